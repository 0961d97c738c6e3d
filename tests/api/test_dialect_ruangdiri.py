"""What the web app of Ruang Diri asks for and reads, line by line, over HTTP."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import aiohttp
import jwt
import pytest
from PIL import Image

from config.values import rate_limits
from rdchat.domain.person import Role
from tests.support import spoken
from tests.support.envelope import envelope_fault
from tests.support.service import Person, Reply, Service, service_settings, whole_second
from tests.support.sessions import opened, reaches
from tests.support.soon import in_days, session_soon

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ORIGIN = "http://localhost:3000"
ZONE = "Asia/Jakarta"


@pytest.fixture(autouse=True)
def as_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everyone calls as the app does, and reads answers as they are."""
    monkeypatch.setattr(spoken, "DIALECT", None)
    monkeypatch.setattr(Person, "headers", {"Origin": ORIGIN, "ngrok-skip-browser-warning": "true"})


@pytest.fixture
async def app(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """A replica that speaks the dialect, with the usual limits on how often one may call."""
    settings = service_settings(tmp_path, dialect="ruangdiri", rate_limits=rate_limits("default=1200/minute"))
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as running:
        yield running


def ok(reply: Reply, status: int = 200) -> Any:
    assert reply.status == status, reply.json
    assert reply.json["status"] == "success"
    assert reply.json["success"] is True
    return reply.json["data"]


def wall(instant: datetime) -> dict[str, str]:
    """Times as the app says them: with seconds, by the clock of Jakarta."""
    local = instant.astimezone(ZoneInfo(ZONE))
    return {"date": f"{local:%Y-%m-%d}", "time": f"{local:%H:%M:%S}"}


def booking(starts_at: datetime, lasts: timedelta = timedelta(hours=1), **more: Any) -> dict[str, Any]:
    start, end = wall(starts_at), wall(starts_at + lasts)
    return {
        "method": "chat",
        "date": start["date"],
        "startTime": start["time"],
        "endTime": end["time"],
        "timezone": ZONE,
        "notes": "",
        **more,
    }


def png() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(content, "PNG")
    return content.getvalue()


async def upload(person: Person, session_id: str, **texts: str) -> Reply:
    form = aiohttp.FormData()
    for name, text in {"sessionId": session_id, "messageType": "image", **texts}.items():
        form.add_field(name, text)
    form.add_field("file", png(), filename="gambar.png", content_type="image/png")
    return await person.call("POST", "/chat/messages/upload", data=form)


async def test_every_answer_says_how_it_went_and_a_401_is_about_tokens_alone(app: Service) -> None:
    client = app.person()
    ok(await client.get("/counselings"))
    refused = {
        400: await client.post("/counselings/book", {"method": "chat"}),
        403: await client.put(f"/people/{uuid4()}", {"isActive": False}),
        404: await client.get("/chat/sessions/" + str(uuid4())),
        405: await client.call("DELETE", "/counselings"),
    }
    unknown = await client.get("/subscriptions")
    without = Person(app.client, app.base, client.caller, "no token")
    answers = [*refused.items(), (404, unknown), (401, await without.get("/counselings"))]
    for status, reply in answers:
        assert (reply.status, reply.json["status"], reply.json["success"]) == (status, "error", False)
    url = f"{app.base}/api/v1/counselings"
    async with app.client.get(url, headers={"Expect": "tea"}) as answer:
        assert (answer.status, (await answer.json())["status"]) == (400, "error")
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization,content-type,ngrok-skip-browser-warning",
    }
    async with app.client.options(url, headers=asked) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "ngrok-skip-browser-warning" in answer.headers["Access-Control-Allow-Headers"]


async def test_booking_moving_cancelling(app: Service) -> None:
    psychologist = await app.psychologist("Sari")
    client = app.person()
    start = in_days(3)
    body = booking(start, psychologistId=str(psychologist.id), locationId=str(uuid4()))
    booked = await client.post("/counselings/book", body)
    data = ok(booked, 201)
    session_id = data["chatSession"]["sessionId"]
    assert booked.json["sessionId"] == session_id
    assert booked.json["psychologistName"] == "Sari"
    assert (await client.get(f"/counselings/{data['id']}")).data["notes"] is None
    # What no one knows is refused as ever.
    unknown = await client.post("/counselings/book", booking(in_days(9)) | {"colour": "red"})
    assert unknown.json["errors"] == {"colour": ["Unknown field."]}

    asked = {"counselingId": data["id"], "scheduledAt": "2020-01-01T00:00:00.000Z"}
    for person in (client, psychologist):
        found = ok(await person.post("/chat/sessions/counseling", asked))
        assert (found["sessionId"], found["status"]) == (session_id, "pending")
        assert datetime.fromisoformat(found["scheduledAt"]) == start
    stranger, admin = app.person(), app.person(Role.SUPER_ADMIN)
    assert (await stranger.post("/chat/sessions/counseling", asked)).status == 403
    assert (await admin.post("/chat/sessions/counseling", asked)).status == 403
    assert (await client.post("/chat/sessions/counseling", {"counselingId": str(uuid4())})).status == 404
    online = ok(await client.post("/counselings/book", booking(in_days(5), method="online")), 201)
    assert (await client.post("/chat/sessions/counseling", {"counselingId": online["id"]})).status == 404

    for days, path in ((4, "/counselings/{}/reschedule"), (6, "/counselings/schedules/{}/reschedule")):
        times = booking(in_days(days))
        del times["method"]
        moved = ok(await client.put(path.format(data["id"]), times))
        assert datetime.fromisoformat(moved["scheduledAt"]) == in_days(days)
    assert (await stranger.put(f"/counselings/schedules/{data['id']}/reschedule", times)).status == 403

    listed = ok(await client.get("/counselings/schedules/organization", page=1, limit=10, type="counseling"))
    assert ok(await psychologist.get("/counselings/schedules/psychologist", clientType="student")) == [
        {**one, "totalCount": 2} for one in listed
    ]
    assert {one["id"]: one["counselingStatus"] for one in listed} == {
        data["id"]: "rescheduled",
        online["id"]: "scheduled",
    }
    (shown,) = (one for one in listed if one["id"] == data["id"])
    assert (shown["location"], shown["totalCount"]) == ("chat", 2)
    assert datetime.fromisoformat(shown["startDateTime"]) == in_days(6)
    assert datetime.fromisoformat(shown["endDateTime"]) == in_days(6) + timedelta(hours=1)
    assert shown["users"] == [
        {
            "id": str(client.id),
            "fullName": "Budi",
            "role": "client",
            "counselingStatus": "rescheduled",
        },
        {
            "id": str(psychologist.id),
            "fullName": "Sari",
            "role": "psychologist",
            "counselingStatus": "rescheduled",
        },
    ]
    second = ok(await client.get("/counselings/schedules/organization", page=2, limit=1))
    assert [one["id"] for one in second] == [online["id"]]
    assert ok(await admin.get("/counselings/schedules/organization")) == []

    cancelled = ok(await client.post(f"/counselings/schedules/{data['id']}/cancel", {"reason": "Sakit"}))
    assert cancelled["status"] == "cancelled"
    listed = ok(await client.get("/counselings/schedules/organization"))
    assert [one["counselingStatus"] for one in listed] == ["cancelled", "scheduled"]


async def test_looking_for_someone_and_for_a_time(app: Service) -> None:
    sari, dewi = await app.psychologist("Sari"), await app.psychologist("Dewi")
    admin = app.person(Role.SUPER_ADMIN)
    # Sari works on one day of the week, from nine to eleven.
    day = in_days(8, zone=ZONE)
    hours = {"weekday": day.isoweekday(), "startTime": "09:00", "endTime": "11:00"}
    saved = await admin.put(f"/psychologists/{sari.id}/availability", {"weekly": [hours], "exceptions": []})
    assert saved.status == 200, saved.json
    await admin.put(f"/psychologists/{dewi.id}", {"isActive": False})
    for _ in range(5):
        taken = await app.person().post(
            "/counselings/book", booking(day.replace(hour=9), psychologistId=str(sari.id))
        )
        assert taken.status == 201, taken.json
    client = app.person()
    assert ok(await client.get("/psychologists", available="true")) == [
        {"id": str(sari.id), "fullName": "Sari", "available": True}
    ]
    ours = ok(await client.get("/psychologists"))
    assert set(ours) == {"data", "nextCursor"}

    availability = ok(await client.get("/psychologists/availability"))["availability"]
    assert all(one["dayOfWeek"] == day.isoweekday() % 7 for one in availability)
    assert len(availability) in (4, 5)
    (shown,) = (one for one in availability if one["date"] == f"{day:%Y-%m-%d}")
    assert (shown["timezone"], len(shown["timeSlots"])) == (ZONE, 2)
    common = {"totalPsychologists": 1}
    assert shown["timeSlots"] == [
        {
            "startTime": "09:00:00",
            "endTime": "10:00:00",
            "availablePsychologists": 0,
            "bookedPsychologists": 1,
            "isBooked": True,
            "availablePsychologistIds": [],
            "bookedPsychologistIds": [str(sari.id)],
        }
        | common,
        {
            "startTime": "10:00:00",
            "endTime": "11:00:00",
            "availablePsychologists": 1,
            "bookedPsychologists": 0,
            "isBooked": False,
            "availablePsychologistIds": [str(sari.id)],
            "bookedPsychologistIds": [],
        }
        | common,
    ]
    path = f"/psychologists/{sari.id}/booked-slots"
    assert ok(await client.get(path, date=f"{day:%Y-%m-%d}", timezone=ZONE)) == {
        "psychologistId": str(sari.id),
        "bookedSlots": [{"startTime": "09:00:00", "endTime": "10:00:00"}],
        "availableSlots": [{"startTime": "10:00:00", "endTime": "11:00:00"}],
    }
    assert (await client.get(path, date=f"{day:%Y-%m-%d}", timezone="Mars/Olympus")).status == 400
    nowhere = f"/psychologists/{uuid4()}/booked-slots"
    assert (await client.get(nowhere, date=f"{day:%Y-%m-%d}")).status == 404


@dataclass
class Talk:
    """An open chat. The client has said four things, the second sealed, the last two with a picture."""

    client: Person
    psychologist: Person
    id: str
    automated: int
    said: list[dict[str, Any]]


SEALED = "enc.v1:0011aabb:" + "QUJD" * 60 + "  =="


async def a_talk(app: Service) -> Talk:
    client, psychologist, session_id = await opened(app)
    automated = len(await client.history(session_id))
    assert ok(await client.get("/chat/unread-count/total")) == {"totalUnread": 0, "sessionUnreadCounts": {}}
    (empty,) = ok(await client.get("/chat/histories"))["data"]
    assert (empty["lastMessage"], empty["lastUserMessageAt"], empty["unreadCount"]) == (None, None, 0)
    said = [ok(await client.say(session_id, text), 201) for text in ("Halo", SEALED)]
    for name, text in (("text", "Ini gambarnya"), ("message", "Lagi")):
        said.append(ok(await upload(client, session_id, **{name: text}), 201))
        assert said[-1]["message"] == text
    return Talk(client, psychologist, session_id, automated, said)


async def test_a_chat_as_it_is_listed_and_read(app: Service) -> None:
    talk = await a_talk(app)
    psychologist, client, last = talk.psychologist, talk.client, talk.said[-1]
    assert (last["attachmentName"], last["attachmentType"]) == ("gambar.png", "image/png")
    assert last["attachmentSize"] == last["attachment"]["size"]
    assert last["attachmentUrl"].startswith(f"{app.base}/api/v1/chat/attachments/")

    histories = ok(await psychologist.get("/chat/histories", page=1, limit=50, search="BUD"))
    assert histories["pagination"] == {"total": 1, "page": 1, "limit": 50, "totalPages": 1}
    (listed,) = histories["data"]
    assert listed["client"] == {"id": str(client.id), "fullName": "Budi", "profilePicture": None}
    assert listed["psychologist"]["fullName"] == "Sari"
    assert (listed["sessionId"], listed["clientId"]) == (talk.id, str(client.id))
    assert (listed["status"], listed["isActive"], listed["unreadCount"]) == ("active", True, 4)
    shown = listed["lastMessage"]
    assert (shown["id"], shown["message"], shown["messageType"]) == (last["id"], "Lagi", "image")
    assert (shown["senderId"], shown["senderFullName"], shown["isRead"]) == (str(client.id), "Budi", False)
    assert (shown["attachmentName"], shown["attachmentType"]) == ("gambar.png", "image/png")
    assert listed["lastUserMessageAt"] == shown["createdAt"] == last["createdAt"]
    assert ok(await psychologist.get("/chat/histories", search="nobody"))["pagination"]["total"] == 0
    assert (await psychologist.get("/chat/histories", limit=51)).status == 400

    # Back through the history by its cursor, two at a time: what was sealed comes as it went.
    read: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = ok(await psychologist.get("/chat/history", sessionId=talk.id, limit=2, **cursor))
        read = page["data"] + read
        following = page["metadata"]["nextCursor"]
        if following is None:
            break
        assert isinstance(following, str)
        cursor = {"cursor": following}
    assert [one["id"] for one in read[talk.automated :]] == [one["id"] for one in talk.said]
    assert read[talk.automated + 1]["message"] == SEALED
    assert read[-1]["attachmentSize"] == last["attachmentSize"]
    async with app.client.get(read[-1]["attachmentUrl"]) as answer:
        assert (answer.status, answer.content_type) == (200, "image/png")
    files = ok(await psychologist.get(f"/chat/session/{talk.id}/attachments"))
    assert [one["id"] for one in files] == [last["id"], talk.said[-2]["id"]]
    assert all(one["attachmentUrl"].startswith("http") for one in files)

    (active,) = ok(await client.get("/chat/sessions/active"))
    assert (active["sessionId"], active["status"], active["isChatEnabled"]) == (talk.id, "active", True)
    paged = ok(await client.get("/chat/sessions/active", limit=10))
    assert [one["id"] for one in paged["data"]] == [talk.id]


async def test_a_chat_as_it_is_counted_and_marked_as_read_by_its_people_alone(app: Service) -> None:
    talk = await a_talk(app)
    psychologist, said = talk.psychologist, talk.said
    unread = ok(await psychologist.get("/chat/unread-count/total"))
    assert unread == {"totalUnread": 4, "sessionUnreadCounts": {talk.id: 4}}
    count = f"/chat/sessions/{talk.id}/unread-count"
    assert ok(await psychologist.get(count)) == {"unreadCount": 4}
    # Up to the second message, then all.
    path = f"/chat/sessions/{talk.id}/messages/read"
    assert ok(await psychologist.put(path, {"messageId": said[1]["id"]}))["readCount"] == 2
    assert ok(await psychologist.get(count)) == {"unreadCount": 2}
    assert ok(await psychologist.put(path, {"messageId": said[3]["id"]}))["readCount"] == 2
    assert ok(await psychologist.put(path, {"messageId": said[3]["id"]}))["readCount"] == 0
    assert (await psychologist.put(path, {"messageId": str(uuid4())})).status == 404
    assert [one["isRead"] for one in await talk.client.history(talk.id)][-4:] == [True] * 4

    for other in (app.person(), app.person(Role.SUPER_ADMIN)):
        assert ok(await other.get("/chat/histories"))["data"] == []
        assert ok(await other.get("/chat/sessions/active")) == []
        refused = [
            await other.get(count),
            await other.get(f"/chat/session/{talk.id}/attachments"),
            await other.put(path, {"messageId": said[0]["id"]}),
            await other.put(f"/chat/sessions/{talk.id}/presence", {"status": "present"}),
            await other.post("/chat/typing", {"sessionId": talk.id, "isTyping": True}),
            await upload(other, talk.id),
        ]
        assert [(one.status, envelope_fault_of(one)) for one in refused] == [(403, None)] * 6


def envelope_fault_of(reply: Reply) -> str | None:
    """What is wrong with an error, but for what the dialect puts beside it."""
    body = dict(reply.json)
    assert body.pop("status") == "error"
    return envelope_fault(replace(reply, json=body))


async def test_tokens_live_as_long_as_the_session_and_never_publish_in_the_chat(app: Service) -> None:
    psychologist, client = await app.psychologist(), app.person()
    start = whole_second(60)
    booked = await client.post(
        "/counselings/book", booking(start, timedelta(minutes=20), psychologistId=str(psychologist.id))
    )
    session_id = booked.json["sessionId"]
    access = ok(await client.get("/chat/ably-token", sessionId=session_id))
    assert access["sessionId"] == session_id
    assert access["channels"] == {
        "chat": f"chat:session:{session_id}",
        "typing": f"typing:session:{session_id}",
    }
    # To the end and five minutes more.
    lives = datetime.fromisoformat(access["expiresAt"])
    assert abs(lives - (start + timedelta(minutes=25))) < timedelta(seconds=2)
    assert "publish" not in access["capability"][access["channels"]["chat"]]
    claims = jwt.decode(access["token"], options={"verify_signature": False})
    assert claims["x-ably-revocation-key"] == session_id

    later = await app.person().post(
        "/counselings/book", booking(in_days(2), psychologistId=str(psychologist.id))
    )
    assert later.status == 201
    far = await client.post("/counselings/book", booking(in_days(3), psychologistId=str(psychologist.id)))
    access = ok(await client.get("/chat/ably-token", sessionId=far.json["sessionId"]))
    left = datetime.fromisoformat(access["expiresAt"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    # For other programs, and for a desk, all is as ever.
    Person.headers = {}
    plain = ok(await client.get("/chat/ably-token", sessionId=far.json["sessionId"]))
    assert datetime.fromisoformat(plain["expiresAt"]) - datetime.now(UTC) <= timedelta(minutes=30)
    assert ok(await client.get("/chat/sessions/active")) == {"data": [], "nextCursor": None}
    desk = ok(await client.get("/chat/ably-token"))
    assert datetime.fromisoformat(desk["expiresAt"]) - datetime.now(UTC) <= timedelta(minutes=30)
    assert "channels" not in desk

    stranger = app.person()
    assert (await stranger.get("/chat/ably-token", sessionId=session_id)).status == 403


async def test_over_is_final_for_the_app(app: Service) -> None:
    psychologist, client = await app.psychologist(), app.person()
    session_id = await session_soon(client, 1, 2, psychologistId=str(psychologist.id))
    await reaches(client, session_id, "completed")
    # Within the five minutes after the end one still listens; nothing else goes.
    assert (await client.get("/chat/ably-token", sessionId=session_id)).status == 200
    for reply in (
        await client.say(session_id, "Halo?"),
        await client.post("/chat/typing", {"sessionId": session_id, "isTyping": True}),
        await client.put(f"/chat/sessions/{session_id}/presence", {"status": "present"}),
        await upload(client, session_id),
    ):
        assert (reply.status, reply.json["status"]) == (400, "error")
        assert "ended" in reply.json["message"]
    listed = ok(await client.get("/counselings/schedules/organization"))
    assert [one["counselingStatus"] for one in listed] == ["completed"]
    (history,) = ok(await client.get("/chat/histories"))["data"]
    assert (history["status"], history["isActive"]) == ("completed", False)


async def test_notifications_by_page_kind_and_number(app: Service) -> None:
    psychologist, client = await app.psychologist(), app.person()
    for days in (3, 4, 5):
        body = booking(in_days(days), psychologistId=str(psychologist.id))
        assert (await client.post("/counselings/book", body)).status == 201
    listed = ok(await client.get("/notifications", page=1, limit=2))
    assert (listed["total"], len(listed["notifications"])) == (3, 2)
    assert set(listed["notifications"][0]) >= {
        *("id", "type", "subType", "title", "message", "status", "readAt", "createdAt"),
    }
    first = listed["notifications"][0]
    assert (first["type"], first["subType"], first["status"]) == ("schedule", "counseling_booked", "unread")
    second = ok(await client.get("/notifications", page=2, limit=2, type="schedule"))
    assert len({one["id"] for one in listed["notifications"] + second["notifications"]}) == 3
    assert ok(await client.get("/notifications", page=1, limit=2, type="system")) == {
        "notifications": [],
        "total": 0,
    }
    assert (await client.get("/notifications", page=1, type="weather")).status == 400
    # Ours, where it is asked for as ever.
    assert set(ok(await client.get("/notifications", limit=2))) == {"data", "unreadCount", "nextCursor"}

    assert ok(await client.get("/notifications/unread-count")) == {"generalCount": 0, "counselingCount": 3}
    theirs = ok(await psychologist.get("/notifications", page=1))["notifications"]
    some = {"notificationIds": [first["id"], str(uuid4()), theirs[0]["id"]]}
    assert ok(await client.post("/notifications/mark-as-read", some)) == {"updatedCount": 1}
    assert ok(await client.post("/notifications/mark-as-read", some)) == {"updatedCount": 0}
    assert ok(await client.post("/notifications/mark-all-as-read", {})) == {"updatedCount": 2}
    assert ok(await psychologist.get("/notifications/unread-count"))["counselingCount"] == 3
    listed = ok(await client.get("/notifications", page=1))
    assert all(one["status"] == "read" and one["readAt"] for one in listed["notifications"])


async def test_off_nothing_of_it_exists(service: Service) -> None:
    client = service.person()
    reply = await client.get("/counselings")
    assert "status" not in reply.json
    assert "status" not in (await client.get("/nowhere")).json
    for method, path in (
        ("GET", "/chat/histories"),
        ("GET", "/psychologists/availability"),
        ("GET", "/notifications/unread-count"),
        ("POST", "/chat/sessions/counseling"),
        ("PUT", f"/chat/sessions/{uuid4()}/presence"),
    ):
        assert (await client.call(method, path)).status in (404, 405)
    async with service.client.get(f"{service.base}/socket.io/?EIO=4&transport=polling") as answer:
        assert answer.status == 404

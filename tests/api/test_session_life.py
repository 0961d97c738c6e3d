"""The life of a session as its participants see it, from the booking to what is left of it."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from handlers.app import ROUTES
from handlers.routing import PREFIX
from rdchat.tokens import Role
from tests.support.envelope import assert_refused, envelope_fault
from tests.support.service import whole_second
from tests.support.shapes import mismatches, references, resolve
from tests.support.soon import book_at, book_soon, in_days, session_soon
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.service import Person, Reply, Service

WELCOME = "Halo! Saya akan segera memulai sesi konseling kita. Mohon tunggu sebentar, ya! 😊"
OPENING = (
    "Sesi konseling dimulai! Silakan ceritakan apa yang ingin Anda bagikan hari ini. "
    "Saya siap mendengarkan 🤗"
)
CLOSING = (
    "Sesi konseling telah berakhir. Terima kasih telah berbagi dengan saya hari ini. "
    "Jaga diri dengan baik ya! 💙"
)
KINDS = ["initial_message", "enable_chat", "end_warning", "auto_end"]
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SESSION_KEYS = {
    *("id", "counselingId", "clientId", "psychologistId", "client", "psychologist", "status", "isActive"),
    *("isChatEnabled", "scheduledAt", "endsAt", "startedAt", "endedAt", "endReason", "lastSeq"),
    *("automations", "createdAt", "updatedAt"),
}
AUTOMATION_KEYS = {"kind", "dueAt", "status", "executedAt", "latenessMs", "reason"}
MESSAGE_KEYS = {
    *("id", "sessionId", "seq", "senderId", "sender", "message", "messageType", "isAutomated"),
    *("isRead", "readAt", "createdAt"),
}


def instant(text: str) -> datetime:
    assert INSTANT.fullmatch(text), text
    return datetime.fromisoformat(text)


async def reaches(person: Person, session_id: str, status: str, seconds: float = 10.0) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        session = await person.session(session_id)
        return session if session["status"] == status else None

    session = await until(there, seconds)
    assert session is not None
    return session


async def opened(service: Service, lasts: float = 60) -> tuple[Person, Person, str]:
    """A client and a psychologist in an open chat."""
    psychologist = await service.psychologist()
    client = service.person()
    session_id = await session_soon(client, 0.2, lasts, psychologistId=str(psychologist.id))
    await reaches(client, session_id, "active")
    return client, psychologist, session_id


async def raw(service: Service, person: Person, path: str) -> tuple[int, str, bytes]:
    url = f"{service.base}/api/v1{path}"
    async with service.client.get(url, headers={"Authorization": f"Bearer {person.token}"}) as answer:
        return answer.status, answer.content_type, await answer.read()


# ---- a whole life -----------------------------------------------------------------------------------------


async def test_a_session_lives_from_booking_to_its_end_by_itself(service: Service) -> None:  # noqa: PLR0915 - one life, told in order
    psychologist = await service.psychologist("Sari")
    client = service.person(name="Budi")
    starts_at = whole_second(1.2)
    ends_at = starts_at + timedelta(seconds=3)
    booking = (await book_at(client, starts_at, 3)).data
    session_id = booking["chatSession"]["sessionId"]

    pending = await client.session(session_id)
    assert set(pending) == SESSION_KEYS
    assert pending == pending | {
        "id": session_id,
        "counselingId": booking["id"],
        "clientId": str(client.id),
        "psychologistId": str(psychologist.id),
        "client": {"id": str(client.id), "fullName": "Budi"},
        "psychologist": {"id": str(psychologist.id), "fullName": "Sari"},
        "status": "pending",
        "isActive": False,
        "isChatEnabled": False,
        "startedAt": None,
        "endedAt": None,
        "endReason": None,
    }
    assert (instant(pending["scheduledAt"]), instant(pending["endsAt"])) == (starts_at, ends_at)
    assert [one["kind"] for one in pending["automations"]] == KINDS
    second = timedelta(seconds=1)
    due = {one["kind"]: instant(one["dueAt"]) for one in pending["automations"]}
    assert due == dict(zip(KINDS, (starts_at - second, starts_at, ends_at - second, ends_at), strict=True))
    for one in pending["automations"]:
        assert set(one) == AUTOMATION_KEYS
        if one["kind"] != "initial_message":
            assert one["status"] == "scheduled"
            assert one["executedAt"] is one["latenessMs"] is one["reason"] is None

    async def welcomed() -> list[dict[str, Any]]:
        return await client.history(session_id)

    (welcome,) = await until(welcomed)
    if datetime.now(UTC) < starts_at - timedelta(seconds=0.2):
        assert_refused(await client.say(session_id, "Halo?"), 400, "CHAT_NOT_ENABLED")

    active = await reaches(client, session_id, "active")
    assert (active["isActive"], active["isChatEnabled"]) == (True, True)
    assert instant(active["startedAt"]) >= starts_at
    hello = await client.say(session_id, "Saya cemas.", "pesan-1")
    reply = await psychologist.say(session_id, "Saya mendengarkan.")
    assert (hello.status, reply.status) == (201, 201)
    assert hello.json["message"] == "Message sent successfully"

    warned = await reaches(psychologist, session_id, "ending_soon")
    assert (warned["isActive"], warned["isChatEnabled"]) == (True, True)
    late = await client.say(session_id, "Sampai jumpa.")
    assert late.status == 201

    over = await reaches(client, session_id, "completed")
    assert (over["isActive"], over["isChatEnabled"]) == (False, False)
    assert over["endReason"] == "auto_ended"
    assert instant(over["endedAt"]) >= ends_at
    assert [one["status"] for one in over["automations"]] == ["done"] * 4
    for one in over["automations"]:
        lateness = instant(one["executedAt"]) - instant(one["dueAt"])
        assert timedelta(0) <= lateness < timedelta(seconds=1)
        assert abs(lateness - timedelta(milliseconds=one["latenessMs"])) <= timedelta(milliseconds=1)
        assert one["reason"] is None

    history = await client.history(session_id)
    assert history == await psychologist.history(session_id)
    assert [one["seq"] for one in history] == [1, 2, 3, 4, 5, 6] == list(range(1, over["lastSeq"] + 1))
    assert [one["message"] for one in history] == [
        WELCOME,
        OPENING,
        "Saya cemas.",
        "Saya mendengarkan.",
        "Sampai jumpa.",
        CLOSING,
    ]
    assert history[0] == welcome
    for one in history:
        assert set(one) - {"clientMessageId"} == MESSAGE_KEYS
        assert one["sessionId"] == session_id
        assert (one["isRead"], one["readAt"]) == (False, None)
        instant(one["createdAt"])
        automated = one["message"] in (WELCOME, OPENING, CLOSING)
        assert one["isAutomated"] is automated
        assert one["messageType"] == ("automated" if automated else "text")
        by_client = one["seq"] in (3, 5)
        assert one["senderId"] == str(client.id if by_client else psychologist.id)
        assert one["sender"] == {
            "id": one["senderId"],
            "fullName": "Budi" if by_client else "Sari",
            "role": "client" if by_client else "psychologist",
        }
    assert [one.get("clientMessageId") for one in history] == [None, None, "pesan-1", None, None, None]
    assert history[2:5] == [hello.data, reply.data, late.data]

    for person in (client, psychologist):
        assert_refused(await person.say(session_id, "Masih ada?"), 400, "SESSION_ENDED")
    again = await client.say(session_id, "Saya cemas.", "pesan-1")
    assert (again.status, again.data) == (200, hello.data)
    assert_refused(await client.put(f"/chat/sessions/{session_id}/end"), 409, "ILLEGAL_TRANSITION")
    assert (await client.get(f"/counselings/{booking['id']}")).data["status"] == "completed"
    cancelled = await client.put(f"/counselings/{booking['id']}/cancel")
    assert_refused(cancelled, 409, "ILLEGAL_TRANSITION")
    assert (await client.get("/chat/sessions/active")).data["data"] == []

    timeline = (await psychologist.get(f"/chat/sessions/{session_id}/timeline")).data
    assert [(one["trigger"], one["from"], one["to"]) for one in timeline] == [
        ("book", "pending", "pending"),
        ("initial_message", "pending", "pending"),
        ("enable_chat", "pending", "active"),
        ("end_warning", "active", "ending_soon"),
        ("auto_end", "ending_soon", "completed"),
    ]
    assert [one["actorId"] for one in timeline] == [str(client.id), None, None, None, None]
    for one, kind in zip(timeline[1:], KINDS, strict=True):
        assert instant(one["plannedAt"]) == due[kind]
        assert one["latenessMs"] >= 0
    assert timeline[0]["plannedAt"] is timeline[0]["latenessMs"] is None
    for one in timeline:
        assert set(one) == {"trigger", "from", "to", "actorId", "plannedAt", "at", "latenessMs"}

    await diagrams_can_be_drawn(service, client, session_id)


async def diagrams_can_be_drawn(service: Service, person: Person, session_id: str) -> None:
    expected = {
        "mermaid": ("text/plain", b"stateDiagram"),
        "dot": ("text/vnd.graphviz", b"digraph"),
        "svg": ("image/svg+xml", b"<svg"),
        "png": ("image/png", b"\x89PNG\r\n\x1a\n"),
        "json": ("application/json", b"{"),
    }
    path = f"/chat/sessions/{session_id}/diagram"
    for form, (content_type, start) in expected.items():
        status, given_type, body = await raw(service, person, f"{path}?format={form}")
        assert (status, given_type) == (200, content_type)
        assert start in body[:200], (form, body[:200])
        if form != "png":
            for state in (b"pending", b"active", b"ending_soon", b"completed", b"cancelled"):
                assert state in body, (form, state)
    plain = await raw(service, person, path)
    assert plain == await raw(service, person, f"{path}?format=mermaid")


async def test_forty_sessions_that_start_in_one_second_all_open_with_one_welcome(service: Service) -> None:
    psychologists = [await service.psychologist(f"Psikolog {number}") for number in range(8)]
    clients = [service.person(name=f"Klien {number}") for number in range(40)]
    starts_at = whole_second(3)
    replies = await asyncio.gather(*(book_at(client, starts_at, 60) for client in clients))
    assert [reply.status for reply in replies] == [201] * 40
    sessions = [reply.data["chatSession"]["sessionId"] for reply in replies]
    taken = Counter(reply.data["psychologist"]["id"] for reply in replies)
    assert taken == {str(psychologist.id): 5 for psychologist in psychologists}

    async def all_open() -> bool:
        open_ones = 0
        for psychologist in psychologists:
            open_ones += len((await psychologist.get("/chat/sessions/active")).data["data"])
        return open_ones == 40

    await until(all_open)
    for client, session_id in zip(clients, sessions, strict=True):
        assert [one["message"] for one in await client.history(session_id)] == [WELCOME, OPENING]
        session = await client.session(session_id)
        assert [one["status"] for one in session["automations"]] == ["done", "done", "scheduled", "scheduled"]
        assert session["automations"][1]["latenessMs"] < 1000

    def told() -> Counter[str]:
        local = service.runtime.ably_local
        assert local is not None
        statuses = [(channel, sent) for channel, sent in local.published if sent["name"] == "session-status"]
        assert all(json.loads(sent["data"])["status"] == "chat_enabled" for _, sent in statuses)
        return Counter(channel for channel, _ in statuses)

    await until(lambda: service.runtime.publisher.held == 0)
    assert told() == {f"chat:session:{session_id}": 1 for session_id in sessions}


async def test_who_books_late_is_welcomed_at_once(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    starts_at = whole_second(0.4)
    session_id = (await book_at(client, starts_at, 60)).data["chatSession"]["sessionId"]
    session = await client.session(session_id)
    lead = timedelta(seconds=1)
    booked_at = instant(session["createdAt"])
    assert instant(session["automations"][0]["dueAt"]) == max(starts_at - lead, booked_at)
    session = await reaches(client, session_id, "active")
    assert [one["message"] for one in await client.history(session_id)] == [WELCOME, OPENING]


# ---- ending and cancelling --------------------------------------------------------------------------------


async def test_whoever_ends_a_session_ends_it_once_and_for_both(service: Service) -> None:
    psychologist = await service.psychologist()
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    clients = [service.person() for _ in range(2)]
    starts_at = whole_second(0.3)
    sessions = []
    for client in clients:
        reply = await book_at(client, starts_at, 60)
        sessions.append(reply.data["chatSession"]["sessionId"])
    enders = {"ended_by_client": clients[0], "ended_by_psychologist": psychologist}
    for client, session_id, (reason, ender) in zip(clients, sessions, enders.items(), strict=True):
        await reaches(client, session_id, "active")
        assert_refused(await admin.put(f"/chat/sessions/{session_id}/end"), 403, "NOT_PARTICIPANT")
        ended = await ender.put(f"/chat/sessions/{session_id}/end")
        assert (ended.status, ended.json["message"]) == (200, "Chat session ended successfully")
        session = ended.data
        assert session == await client.session(session_id)
        assert set(session) == SESSION_KEYS
        assert (session["status"], session["isChatEnabled"]) == ("completed", False)
        assert session["endReason"] == reason
        assert session["endedAt"] == session["updatedAt"]
        for one in session["automations"][2:]:
            assert (one["status"], one["reason"]) == ("cancelled", reason)
            assert one["executedAt"] is one["latenessMs"] is None
        texts = [one["message"] for one in await client.history(session_id)]
        assert texts == [WELCOME, OPENING, CLOSING]
        for person in (client, psychologist):
            again = await person.put(f"/chat/sessions/{session_id}/end")
            assert_refused(again, 409, "ILLEGAL_TRANSITION")
            assert "completed" in again.json["message"]
        assert_refused(await client.say(session_id, "Halo?"), 400, "SESSION_ENDED")
        assert len(await client.history(session_id)) == 3
        assert (await client.get(f"/counselings/{session['counselingId']}")).data["status"] == "completed"
        last = (await client.get(f"/chat/sessions/{session_id}/timeline")).data[-1]
        assert (last["trigger"], last["from"], last["to"]) == ("end", "active", "completed")
        assert last["actorId"] == str(ender.id)
        assert last["plannedAt"] is None


async def test_of_many_who_end_at_once_one_does(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    replies = await asyncio.gather(
        *(person.put(f"/chat/sessions/{session_id}/end") for person in (client, psychologist) * 10)
    )
    assert Counter(reply.status for reply in replies) == {200: 1, 409: 19}
    assert [one["message"] for one in await client.history(session_id)].count(CLOSING) == 1


async def test_a_session_ended_by_hand_stays_ended_when_its_time_comes(service: Service) -> None:
    client, _, session_id = await opened(service, lasts=2)
    ended = (await client.put(f"/chat/sessions/{session_id}/end")).data
    ends_at = instant(ended["endsAt"]) + timedelta(seconds=0.3)

    async def time_is_over() -> bool:
        return datetime.now(UTC) > ends_at

    await until(time_is_over)
    assert await client.session(session_id) == ended
    assert [one["message"] for one in await client.history(session_id)].count(CLOSING) == 1


async def test_a_cancelled_counselling_cancels_its_session_and_all_automations(service: Service) -> None:
    psychologist = await service.psychologist()
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    start = in_days(30)
    for by, reason in (
        (None, "client_cancelled"),
        (psychologist, "psychologist_cancelled"),
        (admin, "admin_cancelled"),
    ):
        client = service.person()
        booking = (await client.book(start, start + timedelta(hours=1))).data
        path = f"/counselings/{booking['id']}/cancel"
        reply = await (by or client).put(path, {"reason": "Ada halangan"})
        assert (reply.status, reply.json["message"]) == (200, "Counseling cancelled successfully")
        session_id = booking["chatSession"]["sessionId"]
        assert reply.data == booking | {
            "status": "cancelled",
            "chatSession": booking["chatSession"] | {"status": "cancelled"},
        }
        session = await client.session(session_id)
        assert (session["status"], session["isChatEnabled"]) == ("cancelled", False)
        assert session["endReason"] == reason
        assert [one["status"] for one in session["automations"]] == ["cancelled"] * 4
        assert await client.history(session_id) == []
        assert_refused(await client.put(path), 409, "ILLEGAL_TRANSITION")
        assert_refused(await client.put(f"/chat/sessions/{session_id}/end"), 409, "ILLEGAL_TRANSITION")


async def test_a_cancelled_session_never_starts_and_an_open_one_can_be_cancelled(service: Service) -> None:
    await service.psychologist()
    before, during = service.person(), service.person()
    starts_at = whole_second(1.2)
    first, second = [(await book_at(client, starts_at, 60)).data for client in (before, during)]
    assert (await before.put(f"/counselings/{first['id']}/cancel")).status == 200
    session_id = second["chatSession"]["sessionId"]
    await reaches(during, session_id, "active")
    cancelled = await before.session(first["chatSession"]["sessionId"])
    assert (cancelled["status"], cancelled["startedAt"]) == ("cancelled", None)
    assert await before.history(cancelled["id"]) == []
    reply = await during.put(f"/counselings/{second['id']}/cancel")
    assert reply.data["chatSession"]["status"] == "cancelled"
    session = await during.session(session_id)
    assert [one["status"] for one in session["automations"]] == ["done", "done", "cancelled", "cancelled"]
    assert_refused(await during.say(session_id, "Halo?"), 400, "SESSION_ENDED")


# ---- messages ---------------------------------------------------------------------------------------------


async def test_a_repeated_client_message_id_is_the_same_message(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    first = await client.say(session_id, "Halo", "a")
    assert first.status == 201
    for text in ("Halo", "Sesuatu yang lain"):
        again = await client.say(session_id, text, "a")
        assert (again.status, again.data) == (200, first.data)
    replies = await asyncio.gather(*(client.say(session_id, "Sekali saja", "b") for _ in range(20)))
    assert Counter(reply.status for reply in replies) == {201: 1, 200: 19}
    assert all(reply.data == replies[0].data for reply in replies)
    both = await asyncio.gather(*(one.say(session_id, "Sama", "c") for one in (client, psychologist)))
    assert [reply.status for reply in both] == [201, 201]
    # Without an id, each is a message of its own; null is no id.
    for body in ({}, {"clientMessageId": None}):
        for _ in range(2):
            reply = await client.post(
                "/chat/messages", {"sessionId": session_id, "message": "Lagi", "messageType": "text", **body}
            )
            assert reply.status == 201
            assert "clientMessageId" not in reply.data
    history = await client.history(session_id)
    assert [one["seq"] for one in history] == list(range(1, 2 + 1 + 1 + 2 + 4 + 1))
    assert Counter(one["message"] for one in history)["Sekali saja"] == 1
    service.runtime.engine.passivate(idle_seconds=-1)
    forgotten = await client.say(session_id, "Halo", "a")
    assert (forgotten.status, forgotten.data) == (200, first.data)


async def test_the_same_client_message_id_in_two_sessions_is_two_messages(service: Service) -> None:
    psychologist = await service.psychologist()
    one, other = service.person(), service.person()
    starts_at = whole_second(0.3)
    ids = []
    bookings = [(await book_at(client, starts_at, 60)).data for client in (one, other)]
    for booking in bookings:
        session_id = booking["chatSession"]["sessionId"]
        await reaches(psychologist, session_id, "active")
        reply = await psychologist.say(session_id, "Halo", "sama")
        assert reply.status == 201
        ids.append(reply.data["id"])
    assert ids[0] != ids[1]


async def test_messages_of_many_at_once_are_numbered_without_gap(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    people = (client, psychologist) * 50
    replies = await asyncio.gather(*(one.say(session_id, f"{n}") for n, one in enumerate(people)))
    assert {reply.status for reply in replies} == {201}
    assert sorted(reply.data["seq"] for reply in replies) == list(range(3, 103))
    session = await client.session(session_id)
    assert session["lastSeq"] == 102
    pages = [
        (await client.get("/chat/history", sessionId=session_id, limit=100, page=page)).data["data"]
        for page in (2, 1)
    ]
    assert [one["seq"] for page in pages for one in page] == list(range(1, 103))


async def test_a_sender_has_the_role_of_the_session_whatever_the_token_says(service: Service) -> None:
    """A psychologist may run the service as well; in the chat they are the psychologist."""
    person_id = uuid4()
    admin = service.person(Role.SUPER_ADMIN, "Sari", person_id=person_id)
    assert (await admin.put(f"/psychologists/{person_id}", {"fullName": "Sari"})).status == 201
    client = service.person()
    session_id = await session_soon(client, 0.2, 60)
    await reaches(client, session_id, "active")
    sent = await admin.say(session_id, "Halo")
    assert sent.status == 201
    assert (await client.history(session_id))[-1]["sender"]["role"] == "psychologist"
    assert sent.data["sender"]["role"] == "psychologist"


# ---- history ----------------------------------------------------------------------------------------------


async def test_history_is_paged_from_the_newest_backwards(service: Service) -> None:
    client, _, session_id = await opened(service)
    for number in range(3, 26):
        assert (await client.say(session_id, f"Pesan {number}")).data["seq"] == number

    async def page(**query: Any) -> tuple[list[int], dict[str, Any]]:
        data = (await client.get("/chat/history", sessionId=session_id, **query)).data
        assert set(data) == {"data", "metadata"}
        return [one["seq"] for one in data["data"]], data["metadata"]

    def metadata(number: int, limit: int, pages: int, cursor: int | None) -> dict[str, Any]:
        return {
            "page": number,
            "limit": limit,
            "total": 25,
            "totalPages": pages,
            "hasNextPage": number < pages,
            "hasPrevPage": number > 1,
            "nextCursor": cursor,
        }

    assert await page() == (list(range(6, 26)), metadata(1, 20, 2, 6))
    assert await page(page=2) == (list(range(1, 6)), metadata(2, 20, 2, None))
    assert await page(limit=10, page=2) == (list(range(6, 16)), metadata(2, 10, 3, 6))
    assert await page(limit=25) == (list(range(1, 26)), metadata(1, 25, 1, None))
    assert await page(limit=1, page=25) == ([1], metadata(25, 1, 25, None))
    for far in (3, 10_000_000):
        seqs, described = await page(page=far)
        assert seqs == []
        assert (described["hasNextPage"], described["nextCursor"]) == (False, None)

    # Cursors: following nextCursor sees every message once.
    seen, (seqs, described) = [], await page(limit=7)
    while True:
        seen = seqs + seen
        if described["nextCursor"] is None:
            break
        seqs, described = await page(limit=7, before=described["nextCursor"])
    assert seen == list(range(1, 26))
    assert (await page(limit=3, before=10))[0] == [7, 8, 9]
    assert (await page(limit=3, before=1))[0] == []
    assert (await page(limit=3, before=26))[0] == [23, 24, 25]
    assert (await page(limit=3, after=10))[0] == [11, 12, 13]
    assert (await page(limit=3, after=0))[0] == [1, 2, 3]
    assert (await page(limit=3, after=25))[0] == []
    assert (await page(limit=3, after=2**53))[0] == []
    seen, position = [], 0
    while True:
        seqs, described = await page(limit=7, after=position)
        seen += seqs
        if not described["hasNextPage"]:
            break
        position = described["nextCursor"]
    assert seen == list(range(1, 26))


async def test_history_before_a_seq_that_is_still_to_come_is_the_newest_page(service: Service) -> None:
    """Whoever heard a later message on the channel first asks for what came before it."""
    client, _, session_id = await opened(service)
    for number in range(3, 9):
        assert (await client.say(session_id, f"Pesan {number}")).data["seq"] == number
    shown = {}
    for before in (9, 10, 11, 12, 1_000, 2**53):
        data = (await client.get("/chat/history", sessionId=session_id, limit=3, before=before)).data
        shown[before] = [one["seq"] for one in data["data"]]
    assert all(seqs == [6, 7, 8] for seqs in shown.values()), shown


async def test_history_refuses_queries_out_of_range(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    session_id = await client.book_session(in_days(30), in_days(30) + timedelta(hours=1))
    faults = {}
    for query in (
        {"limit": 0},
        {"limit": 101},
        {"limit": -1},
        {"page": 0},
        {"page": -1},
        {"before": 0},
        {"before": 2**63},
        {"after": -1},
        {"after": 2**63},
        {"before": 5, "after": 2},
    ):
        reply = await client.get("/chat/history", sessionId=session_id, **query)
        fault = envelope_fault(reply)
        if fault is not None or reply.json["code"] != "VALIDATION_FAILED":
            faults[str(query)] = fault or reply.json
    assert faults == {}
    empty = (await client.get("/chat/history", sessionId=session_id)).data
    assert empty["data"] == []
    assert empty["metadata"] == {
        "page": 1,
        "limit": 20,
        "total": 0,
        "totalPages": 0,
        "hasNextPage": False,
        "hasPrevPage": False,
        "nextCursor": None,
    }


# ---- lists ------------------------------------------------------------------------------------------------


async def test_sessions_are_listed_page_by_page_latest_first(service: Service) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    booked = []
    for day in (33, 31, 35, 32, 34):
        start = in_days(day)
        booked.append((start, await client.book_session(start, start + timedelta(hours=1))))
    # Three that start at the very same instant, so that only the id tells them apart.
    for _ in range(3):
        start = in_days(40)
        booked.append((start, await service.person().book_session(start, start + timedelta(hours=1))))
    expected = [session_id for _, session_id in sorted(booked, reverse=True)]
    for limit in (1, 2, 3, 8, 100):
        seen: list[str] = []
        more: dict[str, str] = {}
        while True:
            data = (await psychologist.get("/chat/sessions", limit=limit, **more)).data
            assert set(data) == {"data", "nextCursor"}
            assert len(data["data"]) <= limit
            assert all(set(session) == SESSION_KEYS for session in data["data"])
            seen += [session["id"] for session in data["data"]]
            if data["nextCursor"] is None:
                break
            more = {"cursor": data["nextCursor"]}
        assert seen == expected
    cancelled = (await client.get("/counselings")).data[0]
    await client.put(f"/counselings/{cancelled['id']}/cancel")
    for status, count in (("pending", 4), ("cancelled", 1), ("active", 0), ("completed", 0)):
        data = (await client.get("/chat/sessions", status=status)).data["data"]
        assert [session["status"] for session in data] == [status] * count


async def test_a_forged_cursor_is_refused(service: Service) -> None:
    client = service.person()
    nobody = uuid4()

    def forged(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode()

    cursors = {
        "no base64": "!",
        "not ASCII": "é",
        "bad padding": "abc",
        "no UTF-8": base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        "empty inside": forged("|"),
        "no id": forged("2027-01-01T00:00:00+00:00"),
        "no instant": forged(f"|{nobody}"),
        "words": forged("yesterday|me"),
        "before the first instant": forged(f"0001-01-01T00:00:00+14:00|{nobody}"),
        "behind the last instant": forged(f"9999-12-31T23:59:59-14:00|{nobody}"),
    }
    faults = {}
    for name, cursor in cursors.items():
        fault = envelope_fault(await client.get("/chat/sessions", cursor=cursor))
        if fault is not None:
            faults[name] = fault
    assert faults == {}


async def test_the_active_list_has_what_is_open_now(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    waiting = service.person()
    later = in_days(1)
    await waiting.book_session(later, later + timedelta(hours=1))
    for person in (client, psychologist):
        listed = (await person.get("/chat/sessions/active")).data
        assert listed == {"data": [await client.session(session_id)], "nextCursor": None}
    assert (await waiting.get("/chat/sessions/active")).data["data"] == []
    await client.put(f"/chat/sessions/{session_id}/end")
    assert (await client.get("/chat/sessions/active")).data["data"] == []


async def test_typing_is_told_while_the_chat_is_open(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    for person in (client, psychologist):
        for is_typing in (True, False):
            reply = await person.post("/chat/typing", {"sessionId": session_id, "isTyping": is_typing})
            assert (reply.status, reply.data) == (200, {"sessionId": session_id, "isTyping": is_typing})
    assert len(await client.history(session_id)) == 2


# ---- what operators ask for -------------------------------------------------------------------------------


async def page_of(service: Service, path: str) -> tuple[int, str, Any]:
    async with service.client.get(service.base + path) as answer:
        is_json = answer.content_type == "application/json"
        return answer.status, answer.content_type, await answer.json() if is_json else await answer.text()


async def test_health_metrics_and_documentation_need_no_token(service: Service) -> None:
    assert await page_of(service, "/healthz") == (200, "application/json", {"status": "ok"})
    status, _, ready = await page_of(service, "/readyz")
    assert (status, ready["status"]) == (200, "ready")
    assert ready == {"status": "ready", "postgresql": "ok", "redis": "ok"}
    await service.person().get("/counselings")
    status, content_type, metrics = await page_of(service, "/metrics")
    assert (status, content_type) == (200, "text/plain")
    assert 'rdchat_http_request_seconds_count{method="GET",route="/api/v1/counselings",status="200"} 1.0' in (
        metrics
    )
    line = re.compile(r"(# (HELP|TYPE) .*|[a-zA-Z_:][\w:]*(\{.*\})? [-+0-9.eE]+(Inf|NaN)?)")
    assert all(line.fullmatch(one) for one in metrics.splitlines() if one)
    status, content_type, page = await page_of(service, "/docs")
    assert (status, content_type) == (200, "text/html")
    assert "<html" in page.lower()


async def test_the_openapi_document_is_whole(service: Service) -> None:
    status, content_type, document = await page_of(service, "/openapi.json")
    assert (status, content_type) == (200, "application/json")
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"]["title"]
    assert document["info"]["version"]
    for reference in references(document):
        assert resolve(document, reference) is not None
    operations = [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    ids = [operation["operationId"] for _, _, operation in operations]
    assert Counter(ids).most_common(1)[0][1] == 1
    assert {(method.upper(), path) for method, path, _ in operations} == {
        *((route.method, PREFIX + route.path) for route in ROUTES),
        *(("GET", path) for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs")),
    }
    schemes = document["components"]["securitySchemes"]
    for method, path, operation in operations:
        where = f"{method} {path}"
        assert operation["responses"], where
        for code, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d", code), where
            assert response["description"], where
        for requirement in operation.get("security", document["security"]):
            assert set(requirement) <= set(schemes), where
        parameters = operation.get("parameters", [])
        named = [(one["name"], one["in"]) for one in parameters]
        assert len(named) == len(set(named)), where
        assert {name for name, place in named if place == "path"} == set(re.findall(r"{(\w+)}", path)), where
        for one in parameters:
            assert "schema" in one, where
            assert one["in"] != "path" or one["required"] is True, where
        if path.startswith(PREFIX):
            assert "401" in operation["responses"], where


async def test_answers_have_the_shape_that_the_document_promises(service: Service) -> None:
    _, _, document = await page_of(service, "/openapi.json")
    psychologist = await service.psychologist()
    client, admin = service.person(), service.person(Role.SUPER_ADMIN, "Admin")
    booked = await book_soon(client, 0.2, 60)
    booking = booked.data
    session_id = booking["chatSession"]["sessionId"]
    path = f"/chat/sessions/{session_id}"
    answers: dict[str, Reply] = {
        "book_counseling": booked,
        "get_session": await client.get(path),
        "list_sessions": await client.get("/chat/sessions"),
    }
    await reaches(client, session_id, "active")
    answers |= {
        "send_message": await client.say(session_id, "Halo", "a"),
        "set_typing": await client.post("/chat/typing", {"sessionId": session_id, "isTyping": True}),
        "get_history": await client.get("/chat/history", sessionId=session_id),
        "get_ably_token": await client.get("/chat/ably-token", sessionId=session_id),
        "get_timeline": await client.get(f"{path}/timeline"),
        "list_active_sessions": await client.get("/chat/sessions/active"),
        "end_session": await client.put(f"{path}/end"),
        "get_counseling": await client.get(f"/counselings/{booking['id']}"),
        "list_counselings": await client.get("/counselings"),
        "list_psychologists": await client.get("/psychologists"),
        "get_psychologist": await client.get(f"/psychologists/{psychologist.id}"),
        "put_psychologist": await admin.put(f"/psychologists/{psychologist.id}", {"fullName": "Sari"}),
    }
    later = (await book_soon(client, 600, 60)).data
    answers["cancel_counseling"] = await client.put(f"/counselings/{later['id']}/cancel")
    faults = {}
    for route in ROUTES:
        responses = document["paths"][PREFIX + route.path][route.method.lower()]["responses"]
        if route.data is None:
            continue
        reply = answers[route.operation]
        assert reply.status < 300, reply.json
        if str(reply.status) not in responses:
            faults[route.operation] = f"{reply.status} is not described"
            continue
        schema = responses[str(reply.status)]["content"]["application/json"]["schema"]
        found = list(mismatches(document, schema, reply.json))
        if found:
            faults[route.operation] = found
    for name, reply in {
        "created": await admin.put(f"/psychologists/{uuid4()}", {"fullName": "Maya"}),
        "repeated": await client.say(session_id, "Halo", "a"),
    }.items():
        operation = {"created": ("put", "/psychologists/{id}"), "repeated": ("post", "/chat/messages")}[name]
        described = document["paths"][PREFIX + operation[1]][operation[0]]["responses"]
        if str(reply.status) not in described:
            faults[name] = f"{operation}: {reply.status} is not described"
    assert faults == {}


async def test_ids_in_answers_are_in_the_canonical_form(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    session_id = await client.book_session(in_days(30), in_days(30) + timedelta(hours=1))
    for spelling in (session_id.upper(), UUID(session_id).hex):
        reply = await client.get(f"/chat/sessions/{spelling}")
        assert reply.status in (200, 404)
        if reply.status == 200:
            assert reply.data["id"] == session_id

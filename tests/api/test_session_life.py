"""The life of a session as its participants see it, from the booking to what is left of it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.envelope import assert_refused
from tests.support.service import Service, service_settings, whole_second
from tests.support.sessions import CLOSING, MARKED_KEYS, OPENING, WELCOME, instant, reaches
from tests.support.soon import book_at, second_ahead
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.service import Person

pytestmark = pytest.mark.wall_time

KINDS = ["initial_message", "enable_chat", "end_warning", "auto_end"]
TIMELINE_KEYS = {"trigger", "from", "to", "actorId", "plannedAt", "at", "latenessMs", "outcome", "reason"}
AUTOMATION_KEYS = {"kind", "dueAt", "status", "executedAt", "latenessMs", "reason"}
MESSAGE_KEYS = {
    *("id", "sessionId", "seq", "senderId", "sender", "message", "messageType", "isAutomated"),
    *("isRead", "readAt", "createdAt"),
}


async def raw(service: Service, person: Person, path: str) -> tuple[int, str, bytes]:
    url = f"{service.base}/api/v1{path}"
    async with service.client.get(url, headers={"Authorization": f"Bearer {person.token}"}) as answer:
        return answer.status, answer.content_type, await answer.read()


async def shown_in_counseling(person: Person, counseling_id: str) -> tuple[str, bool]:
    chat = (await person.get(f"/counselings/{counseling_id}")).data["chatSession"]
    return chat["status"], chat["isChatEnabled"]


async def test_a_session_lives_from_booking_to_its_end_by_itself(service: Service) -> None:  # noqa: PLR0915 - one life, told in order
    psychologist = await service.psychologist("Sari")
    client = service.person(name="Budi")
    starts_at = second_ahead(2.2)
    ends_at = starts_at + timedelta(seconds=3)
    booking = (await book_at(client, starts_at, 3)).data
    session_id = booking["chatSession"]["sessionId"]

    pending = await client.session(session_id)
    assert set(pending) == MARKED_KEYS
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

    assert await shown_in_counseling(client, booking["id"]) == ("pending", False)
    (welcome,) = await until(welcomed)
    if datetime.now(UTC) < starts_at - timedelta(seconds=0.2):
        assert_refused(await client.say(session_id, "Halo?"), 400, "CHAT_NOT_ENABLED")

    active = await reaches(client, session_id, "active")
    assert (active["isActive"], active["isChatEnabled"]) == (True, True)
    assert await shown_in_counseling(client, booking["id"]) == ("active", True)
    assert instant(active["startedAt"]) >= starts_at
    hello = await client.say(session_id, "Saya cemas.", "pesan-1")
    reply = await psychologist.say(session_id, "Saya mendengarkan.")
    assert (hello.status, reply.status) == (201, 201)
    assert hello.json["message"] == "Message sent successfully"

    warned = await reaches(psychologist, session_id, "ending_soon")
    assert (warned["isActive"], warned["isChatEnabled"]) == (True, True)
    assert await shown_in_counseling(client, booking["id"]) == ("ending_soon", True)
    late = await client.say(session_id, "Sampai jumpa.")
    assert late.status == 201

    over = await reaches(client, session_id, "completed")
    assert (over["isActive"], over["isChatEnabled"]) == (False, False)
    assert await shown_in_counseling(client, booking["id"]) == ("completed", False)
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
    assert timeline[0]["plannedAt"] is timeline[0]["latenessMs"] is timeline[0]["outcome"] is None
    assert [(one["outcome"], one["reason"]) for one in timeline[1:]] == [("done", None)] * 4
    for one in timeline:
        assert set(one) == TIMELINE_KEYS

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
    starts_at = whole_second(5)
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


async def test_who_books_late_is_welcomed_at_once(database_url: str, redis_url: str, tmp_path: Path) -> None:
    settings = service_settings(tmp_path, initial_message_lead=timedelta(seconds=30))
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        await service.psychologist()
        client = service.person()
        starts_at = second_ahead(2)
        session_id = (await book_at(client, starts_at, 60)).data["chatSession"]["sessionId"]
        session = await client.session(session_id)
        assert session["automations"][0]["dueAt"] == session["createdAt"]
        await reaches(client, session_id, "active")
        welcome, opening = await client.history(session_id)
        assert (welcome["message"], opening["message"]) == (WELCOME, OPENING)
        assert instant(welcome["createdAt"]) < starts_at

"""Ending by hand and cancelling: who may, what is left, and that it happens once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from rdchat.domain.person import Role
from tests.support.calendars import without_calendar
from tests.support.envelope import assert_refused
from tests.support.sessions import CLOSING, OPENING, SESSION_KEYS, WELCOME, instant, opened, reaches
from tests.support.soon import book_at, in_days, second_ahead
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.service import Service


async def test_whoever_ends_a_session_ends_it_once_and_for_both(service: Service) -> None:
    psychologist = await service.psychologist()
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    clients = [service.person() for _ in range(2)]
    starts_at = second_ahead(3)
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
        assert session.items() <= (await client.session(session_id)).items()
        assert set(session) == SESSION_KEYS
        assert (session["status"], session["isChatEnabled"]) == ("completed", False)
        assert session["endReason"] == reason
        assert session["endedAt"] == session["updatedAt"]
        for one in session["automations"][2:]:
            assert (one["status"], one["reason"]) == ("cancelled", reason)
            assert one["executedAt"] is one["latenessMs"] is None
        texts = [one["message"] for one in await client.history(session_id)]
        assert texts == [WELCOME, OPENING, CLOSING]
        again = await ender.put(f"/chat/sessions/{session_id}/end")
        assert (again.status, again.data) == (200, session)
        other = psychologist if ender is client else client
        late = await other.put(f"/chat/sessions/{session_id}/end")
        assert_refused(late, 409, "ILLEGAL_TRANSITION")
        assert "completed" in late.json["message"]
        assert_refused(await client.say(session_id, "Halo?"), 400, "SESSION_ENDED")
        assert len(await client.history(session_id)) == 3
        assert (await client.get(f"/counselings/{session['counselingId']}")).data["status"] == "completed"
        timeline = (await client.get(f"/chat/sessions/{session_id}/timeline")).data
        last = timeline[3]
        assert (last["trigger"], last["from"], last["to"]) == ("end", "active", "completed")
        assert last["actorId"] == str(ender.id)
        assert last["plannedAt"] is last["outcome"] is None
        called_off = dict.fromkeys(("from", "to"), "completed") | {"outcome": "cancelled", "reason": reason}
        for line, one in zip(timeline[4:], session["automations"][2:], strict=True):
            assert line == line | called_off | {"trigger": one["kind"], "plannedAt": one["dueAt"]}
            assert line["at"] == session["endedAt"]
            assert line["latenessMs"] is line["actorId"] is None


async def test_of_many_who_end_at_once_one_does(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    replies = await asyncio.gather(
        *(person.put(f"/chat/sessions/{session_id}/end") for person in (client, psychologist) * 10)
    )
    # The one who has ended it hears the same ten times.
    assert Counter(reply.status for reply in replies) == {200: 10, 409: 10}
    assert len({str(reply.data) for reply in replies if reply.status == 200}) == 1
    assert [one["message"] for one in await client.history(session_id)].count(CLOSING) == 1


@pytest.mark.wall_time
async def test_a_session_ended_by_hand_stays_ended_when_its_time_comes(service: Service) -> None:
    client, _, session_id = await opened(service, lasts=3)
    ended = (await client.put(f"/chat/sessions/{session_id}/end")).data
    ends_at = instant(ended["endsAt"]) + timedelta(seconds=0.3)

    async def time_is_over() -> bool:
        return datetime.now(UTC) > ends_at

    await until(time_is_over)
    assert ended.items() <= (await client.session(session_id)).items()
    assert [one["message"] for one in await client.history(session_id)].count(CLOSING) == 1


async def test_a_cancelled_counselling_cancels_its_session_and_all_automations(service: Service) -> None:
    psychologist = await service.psychologist(timezone="UTC")
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
        assert reply.data == without_calendar(booking) | {
            "status": "cancelled",
            "chatSession": booking["chatSession"] | {"status": "cancelled"},
        }
        session = await client.session(session_id)
        assert (session["status"], session["isChatEnabled"]) == ("cancelled", False)
        assert session["endReason"] == reason
        assert {one["status"] for one in session["automations"]} == {"cancelled"}
        assert await client.history(session_id) == []
        assert (await client.put(path)).data == reply.data
        assert_refused(await client.put(f"/chat/sessions/{session_id}/end"), 409, "ILLEGAL_TRANSITION")


@pytest.mark.wall_time
async def test_a_cancelled_session_never_starts_and_an_open_one_can_be_cancelled(service: Service) -> None:
    await service.psychologist()
    before, during = service.person(), service.person()
    starts_at = second_ahead(2.5)
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

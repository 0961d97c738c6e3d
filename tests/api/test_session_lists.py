"""Lists of sessions, and the ids in them."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from tests.support.envelope import envelope_fault
from tests.support.sessions import SESSION_KEYS, opened
from tests.support.soon import in_days

if TYPE_CHECKING:
    from tests.support.service import Service


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
            assert all(set(session) == SESSION_KEYS | {"unreadCount"} for session in data["data"])
            seen += [session["id"] for session in data["data"]]
            if data["nextCursor"] is None:
                break
            more = {"cursor": data["nextCursor"]}
        assert seen == expected
    cancelled = (await client.get("/counselings")).data["data"][0]
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


@pytest.mark.wall_time
async def test_the_active_list_has_what_is_open_now(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    waiting = service.person()
    later = in_days(1)
    await waiting.book_session(later, later + timedelta(hours=1))
    for person in (client, psychologist):
        listed = (await person.get("/chat/sessions/active")).data
        # The psychologist has said two words by their automations, and nobody has read them.
        unread = 2 if person is client else 0
        shown = await client.session(session_id) | {"unreadCount": unread}
        assert listed == {"data": [shown], "nextCursor": None}
    assert (await waiting.get("/chat/sessions/active")).data["data"] == []
    await client.put(f"/chat/sessions/{session_id}/end")
    assert (await client.get("/chat/sessions/active")).data["data"] == []


async def test_ids_in_answers_are_in_the_canonical_form(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    session_id = await client.book_session(in_days(30), in_days(30) + timedelta(hours=1))
    for spelling in (session_id.upper(), UUID(session_id).hex):
        reply = await client.get(f"/chat/sessions/{spelling}")
        assert reply.status in (200, 404)
        if reply.status == 200:
            assert reply.data["id"] == session_id

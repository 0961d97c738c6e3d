"""The timeline: every command, timer and transition, and what came of the timers that were not run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from rdchat.domain.person import Role
from statemachine import AutomationKind, RunAutomation
from tests.support.automations import ALWAYS, LONG_BEFORE
from tests.support.service import whole_second
from tests.support.sessions import reaches
from tests.support.soon import book_at, in_days, session_soon

if TYPE_CHECKING:
    from tests.support.service import Person, Service


_MOVE_AUTOMATIONS = "UPDATE automations SET due_at = due_at - $2::interval WHERE session_id = $1::uuid"
_MOVE_SESSION = """
UPDATE chat_sessions SET starts_at = starts_at - $2::interval, ends_at = ends_at - $2::interval
 WHERE id = $1::uuid
"""


async def timeline(person: Person, session_id: str) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = (await person.get(f"/chat/sessions/{session_id}/timeline")).data
    return lines


def short(line: dict[str, Any]) -> tuple[str | None, ...]:
    return line["trigger"], line["from"], line["to"], line["outcome"], line["reason"]


async def test_what_a_cancelled_booking_will_not_do_is_told(service: Service) -> None:
    await service.psychologist()
    client, start = service.person(), in_days(30)
    booked = (await client.book(start, start + timedelta(hours=1))).data
    session_id = booked["chatSession"]["sessionId"]
    assert (await client.put(f"/counselings/{booked['id']}/cancel")).status == 200
    lines = await timeline(client, session_id)
    assert [short(line) for line in lines] == [
        ("book", "pending", "pending", None, None),
        ("cancel", "pending", "cancelled", None, None),
        *((kind, "cancelled", "cancelled", "cancelled", "client_cancelled") for kind in LONG_BEFORE),
    ]
    assert [line["actorId"] for line in lines] == [str(client.id)] * 2 + [None] * len(LONG_BEFORE)
    session = await client.session(session_id)
    assert [line["plannedAt"] for line in lines[2:]] == [one["dueAt"] for one in session["automations"]]
    assert {line["at"] for line in lines[1:]} == {session["endedAt"]}
    assert all(line["latenessMs"] is None for line in lines)
    drawn = (await client.get(f"/chat/sessions/{session_id}/diagram", format="json")).json
    assert [step["trigger"] for step in drawn["path"]] == ["cancel"]


@pytest.mark.wall_time
async def test_a_session_that_was_missed_tells_why_each_timer_did_nothing(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    starts_at = whole_second(1800)
    session_id = (await book_at(client, starts_at, 60)).data["chatSession"]["sessionId"]
    # As if every worker had been away until the warning was due: the session's times lie back.
    back = timedelta(seconds=1861)
    async with service.runtime.pool.acquire() as connection, connection.transaction():
        await connection.execute(_MOVE_AUTOMATIONS, session_id, back)
        await connection.execute(_MOVE_SESSION, session_id, back)
    await service.runtime.engine.submit(UUID(session_id), RunAutomation(AutomationKind.ENABLE_CHAT, 1))
    await reaches(client, session_id, "cancelled")
    lines = await timeline(client, session_id)
    assert short(lines[0]) == ("book", "pending", "pending", None, None)
    by_kind = {line["trigger"]: line for line in lines[1:]}
    assert sorted(by_kind) == sorted(ALWAYS)
    assert len(lines) == 1 + len(ALWAYS)
    assert {line["outcome"] for line in lines[1:]} == {"skipped"}
    missing = [line for line in lines if (line["from"], line["to"]) == ("pending", "cancelled")]
    assert [line["reason"] for line in missing] == ["missed"]
    assert missing[0]["latenessMs"] > 0
    # The line that cancels it is followed by those that it calls off.
    called_off = [line for line in lines if line["from"] == "cancelled"]
    assert lines[-len(called_off) - 1] == missing[0]
    assert [(line["reason"], line["latenessMs"]) for line in called_off] == [("missed", None)] * 2


@pytest.mark.wall_time
async def test_a_diagram_can_be_played_again(service: Service) -> None:
    """Its JSON has the machine, and of the session each step as the timeline has it, and what is planned."""
    await service.psychologist()
    organization = uuid4()
    client = service.person(organization_id=organization)
    overseers = [
        service.person(Role.SUPER_ADMIN, "Admin"),
        service.person(Role.SUPERVISOR, "Penyelia", organization_id=organization),
    ]
    session_id = await session_soon(client, 1.5, 60)
    await reaches(client, session_id, "active")
    path = f"/chat/sessions/{session_id}/diagram"
    live = (await client.get(path, format="json")).json
    assert live["session"]["status"] == "active"
    planned = {one["kind"]: one for one in live["automations"]}
    assert (planned["auto_end"]["status"], planned["auto_end"]["executedAt"]) == ("scheduled", None)
    assert planned["enable_chat"]["executedAt"] is not None
    assert (await client.put(f"/chat/sessions/{session_id}/end")).status == 200
    session, lines = await client.session(session_id), await timeline(client, session_id)
    over = (await client.get(path, format="json")).json
    assert {(one["name"], one["current"]) for one in over["states"] if one["visited"] or one["current"]} == {
        ("pending", False),
        ("active", False),
        ("completed", True),
    }
    assert over["session"] == {"id": session_id} | {
        name: session[name]
        for name in ("status", "createdAt", "scheduledAt", "endsAt", "startedAt", "endedAt", "endReason")
    }
    steps = [line for line in lines if line["trigger"] in ("initial_message", "enable_chat", "end")]
    assert [one["trigger"] for one in over["path"]] == ["initial_message", "enable_chat", "end"]
    for step, line in zip(over["path"], steps, strict=True):
        assert (step["source"], step["destination"]) == (line["from"], line["to"])
        for name in ("plannedAt", "at", "latenessMs", "outcome"):
            assert step[name] == line[name]
    assert (over["path"][1]["plannedAt"], over["path"][1]["at"]) == (
        session["scheduledAt"],
        session["startedAt"],
    )
    arrows = {
        (one["source"], one["trigger"], one["destination"]) for one in over["arrows"] if one["timesTaken"]
    }
    assert arrows == {(one["source"], one["trigger"], one["destination"]) for one in over["path"]}
    for overseer in overseers:
        assert (await overseer.get(path, format="json")).json == over
        assert await timeline(overseer, session_id) == lines
        drawn = await overseer.get(path, format="svg")
        assert (drawn.status, drawn.headers["Content-Type"]) == (200, "image/svg+xml; charset=utf-8")

"""Dead letters over HTTP: listed without content, tried again, dropped; by administrators alone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from rdchat.domain.person import Role
from rdchat.redis.connection import RedisClient
from rdchat.redis.delay_queue import Job
from statemachine import AutomationKind
from tests.support.console import QUOTED, dead_webhook, fail_automation, fail_reminders, pages
from tests.support.envelope import assert_refused
from tests.support.service import Service, service_settings
from tests.support.sessions import INSTANT
from tests.support.soon import in_days, session_soon
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.service import Person

LETTERS, WEBHOOKS = "/operations/dead-letters", "/operations/dead-webhooks"
HOUR = timedelta(hours=1)


@pytest.fixture
async def idle(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Service]:
    """A replica that runs no timers, and reminds of counsellings."""
    settings = service_settings(tmp_path, roles=frozenset({"api"}), reminders=(HOUR,))
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        yield service


def administrator(service: Service) -> Person:
    return service.person(Role.SUPER_ADMIN, "Rina")


async def book(service: Service, days: int = 30, **more: Any) -> tuple[str, str]:
    """Book a chat. Return the ids of the session and of the counselling."""
    booked = (await service.person().book(in_days(days), in_days(days) + HOUR, **more)).data
    session = booked["chatSession"]
    return session["sessionId"] if session is not None else "", booked["id"]


async def state(service: Service, session_id: str, kind: str) -> tuple[Any, ...]:
    row = await service.runtime.pool.fetchrow(
        "SELECT status, attempts, reason FROM automations WHERE session_id = $1 AND kind = $2",
        UUID(session_id),
        kind,
    )
    assert row is not None
    return tuple(row)


async def in_queue(service: Service) -> int:
    return sum(depth.waiting for depth in await service.runtime.queue.depth())


async def test_they_are_listed_without_what_failed(idle: Service) -> None:
    await idle.psychologist()
    session_id, counseling_id = await book(idle)
    _, online = await book(idle, 20, method="online")
    for kind in ("initial_message", "end_warning"):
        await fail_automation(idle, session_id, kind)
    for one in (counseling_id, online):
        await fail_reminders(idle, one)
    admin = administrator(idle)
    for limit in (1, 2, 3, 4, 100):
        listed = await pages(admin, LETTERS, limit)
        assert [(one["subjectId"], one["sessionId"], one["kind"], one["error"]) for one in listed] == [
            (online, None, "reminder", "KeyError"),
            (counseling_id, session_id, "reminder", "KeyError"),
            (session_id, session_id, "initial_message", "ValueError"),
            (session_id, session_id, "end_warning", "ValueError"),
        ]
    assert len({one["id"] for one in listed}) == 4
    assert {one["counselingId"] for one in listed[1:]} == {counseling_id}
    assert {one["attempts"] for one in listed} == {8}
    assert all(INSTANT.fullmatch(one[name]) for one in listed for name in ("dueAt", "failedAt"))
    assert QUOTED not in str(listed)
    refused = await admin.get(LETTERS, cursor="WyJzZXNzaW9ucyJd")
    assert_refused(refused, 400, "VALIDATION_FAILED")


async def test_two_that_were_due_at_one_instant_are_both_listed(idle: Service) -> None:
    await idle.psychologist()
    for day in (30, 31, 32):
        session_id, _ = await book(idle, day)
        await fail_automation(idle, session_id, "enable_chat")
        await fail_automation(idle, session_id, "end_warning")
    await idle.runtime.pool.execute("UPDATE automations SET due_at = '2030-01-01' WHERE status = 'failed'")
    for limit in (1, 2, 5):
        assert len({one["id"] for one in await pages(administrator(idle), LETTERS, limit)}) == 6


async def test_one_is_tried_again(idle: Service) -> None:
    await idle.psychologist()
    session_id = await session_soon(idle.person(), 1800, 1800)
    await idle.runtime.queue.remove([Job(UUID(session_id), kind, 1) for kind in AutomationKind])
    before = await in_queue(idle)
    for kind in ("enable_chat", "end_warning"):
        await fail_automation(idle, session_id, kind)
    admin = administrator(idle)
    said = {"subjectId": session_id, "kind": "enable_chat"}
    reply = await admin.post(f"{LETTERS}/retry", said)
    assert (reply.status, reply.data) == (
        200,
        {"subjectId": session_id, "kinds": ["enable_chat"], "count": 1},
    )
    assert await state(idle, session_id, "enable_chat") == ("scheduled", 0, None)
    assert (await state(idle, session_id, "end_warning"))[0] == "failed"
    assert await in_queue(idle) == before + 1
    # Two operators press at the same time.
    again = await admin.post(f"{LETTERS}/retry", said)
    assert (again.status, again.data) == (200, {"subjectId": session_id, "kinds": [], "count": 0})
    # Without a kind, all that are left.
    rest = await admin.post(f"{LETTERS}/retry", {"subjectId": session_id})
    assert rest.data["kinds"] == ["end_warning"]
    assert await pages(admin, LETTERS, 100) == []


async def test_what_is_tried_again_runs(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    session_id = await session_soon(client, 1800, 1800)
    await fail_automation(service, session_id, "initial_message")
    await service.runtime.pool.execute(
        "UPDATE automations SET due_at = now() WHERE session_id = $1 AND kind = 'initial_message'",
        UUID(session_id),
    )
    retried = await administrator(service).post(f"{LETTERS}/retry", {"subjectId": session_id})
    assert retried.data["count"] == 1

    async def has_run() -> bool:
        return (await state(service, session_id, "initial_message"))[0] == "done"

    await until(has_run)
    assert len(await client.history(session_id)) == 1


async def test_reminders_are_tried_again_and_dropped_by_their_counselling(idle: Service) -> None:
    await idle.psychologist()
    _, first = await book(idle)
    _, second = await book(idle, 31)
    for one in (first, second):
        await fail_reminders(idle, one)
    admin = administrator(idle)
    retried = await admin.post(f"{LETTERS}/retry", {"subjectId": first, "kind": "reminder"})
    dropped = await admin.post(f"{LETTERS}/drop", {"subjectId": second, "kind": "reminder"})
    assert (retried.data["kinds"], dropped.data["kinds"]) == (["reminder"], ["reminder"])
    rows = await idle.runtime.pool.fetch("SELECT counseling_id, status, reason FROM reminders")
    assert {str(row["counseling_id"]): tuple(row)[1:] for row in rows} == {
        first: ("scheduled", None),
        second: ("cancelled", "dropped"),
    }


async def test_one_is_dropped_and_what_waits_is_not(idle: Service) -> None:
    await idle.psychologist()
    session_id, _ = await book(idle)
    await fail_automation(idle, session_id, "enable_chat")
    admin = administrator(idle)
    dropped = await admin.post(f"{LETTERS}/drop", {"subjectId": session_id, "kind": "enable_chat"})
    assert dropped.data == {"subjectId": session_id, "kinds": ["enable_chat"], "count": 1}
    assert (await state(idle, session_id, "enable_chat"))[::2] == ("cancelled", "dropped")
    # A page that is behind does not take away what has been scheduled again in the meantime.
    kept = await admin.post(f"{LETTERS}/drop", {"subjectId": session_id, "kind": "end_warning"})
    assert kept.data["count"] == 0
    assert (await state(idle, session_id, "end_warning"))[0] == "scheduled"
    end = await admin.post(f"{LETTERS}/drop", {"subjectId": session_id, "kind": "auto_end"})
    assert_refused(end, 403, "FORBIDDEN", "The end of a session cannot be dropped; cancel the counseling")


async def test_without_redis_they_are_changed_all_the_same(
    idle: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await idle.psychologist()
    session_id, _ = await book(idle)
    admin = administrator(idle)

    async def lost(_self: object, commands: list[Any]) -> list[Any]:
        return [ConnectionError("gone") for _ in commands]

    monkeypatch.setattr(RedisClient, "many", lost)
    for action, expected in (("retry", "scheduled"), ("drop", "cancelled")):
        await fail_automation(idle, session_id, "enable_chat")
        said = {"subjectId": session_id, "kind": "enable_chat"}
        assert (await admin.post(f"{LETTERS}/{action}", said)).data["count"] == 1
        assert (await state(idle, session_id, "enable_chat"))[0] == expected


async def test_webhooks_are_listed_and_tried_again(idle: Service) -> None:
    admin = administrator(idle)
    made = [await dead_webhook(idle) for _ in range(5)]
    for limit in (2, 100):
        listed = await pages(admin, WEBHOOKS, limit)
        assert [one["id"] for one in listed] == made
    assert {(one["type"], one["endpoint"], one["attempts"], one["lastStatus"]) for one in listed} == {
        ("session_completed", "https://hooks.example/in", 12, None)
    }
    assert not [word for word in (QUOTED, "secret") if word in str(listed)]
    for body, count in (({"ids": made[:2]}, 2), ({"ids": [made[0], str(uuid4())]}, 0), ({}, 3), ({}, 0)):
        reply = await admin.post(f"{WEBHOOKS}/retry", body)
        assert (reply.status, reply.data) == (200, {"count": count})
    assert await pages(admin, WEBHOOKS, 100) == []


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.SUPER_ADMIN}))
async def test_no_one_else_may(idle: Service, role: Role) -> None:
    organization = uuid4()
    await idle.psychologist()
    client = idle.person(organization_id=organization)
    session_id = await client.book_session(in_days(30), in_days(30) + HOUR)
    await fail_automation(idle, session_id, "enable_chat")
    person = idle.person(role, organization_id=organization)
    said = {"subjectId": session_id, "kind": "enable_chat"}
    for reply in (
        await person.get(LETTERS),
        await person.post(f"{LETTERS}/retry", said),
        await person.post(f"{LETTERS}/drop", said),
        await person.get(WEBHOOKS),
        await person.post(f"{WEBHOOKS}/retry", {}),
    ):
        assert_refused(reply, 403, "FORBIDDEN")
    assert (await state(idle, session_id, "enable_chat"))[0] == "failed"

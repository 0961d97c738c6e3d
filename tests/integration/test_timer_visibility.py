"""What operators see of the timers: the watch, /readyz, /metrics, and `run.py queue`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.common.stores import Addresses
from rdchat.operations import administration
from rdchat.postgres import automations, pool
from rdchat.redis.delay_queue import Job
from rdchat.timers.monitor import TimerStatus
from statemachine import AutomationKind
from tests.support.automations import ALWAYS, LONG_BEFORE
from tests.support.service import Service, service_settings
from tests.support.soon import in_days, session_soon
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def idle(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Service]:
    """A replica that runs no timers."""
    settings = service_settings(tmp_path, roles=frozenset({"api", "relay"}))
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        yield service


@pytest.fixture
def addresses(database_url: str, redis_url: str) -> Addresses:
    return Addresses(database_url, redis_url, embedded=False)


async def booked(service: Service) -> UUID:
    await service.psychologist()
    return UUID(await session_soon(service.person(), 1800, 1800))


async def fetch(service: Service, query: str, *arguments: Any) -> list[Any]:
    async with pool.acquire(service.runtime.pool) as one:
        rows: list[Any] = await one.fetch(query, *arguments)
    return rows


async def readyz(service: Service) -> tuple[int, dict[str, str]]:
    async with service.client.get(f"{service.base}/readyz") as answer:
        return answer.status, await answer.json()


async def test_what_nobody_ran_is_seen_and_said(idle: Service) -> None:
    session_id = await booked(idle)
    await fetch(
        idle,
        "UPDATE automations SET due_at = now() - interval '20 s' WHERE session_id = $1 AND kind = $2",
        session_id,
        "initial_message",
    )
    await idle.runtime.monitor.look()
    status, body = await readyz(idle)
    assert body["timers"].startswith("overdue: 1 timers, the oldest for 2")
    assert status == 200, "a replica without a worker can serve"
    async with idle.client.get(f"{idle.base}/metrics") as answer:
        assert "rdchat_automations_overdue 1.0" in await answer.text()


async def test_what_waits_for_its_next_attempt_is_no_fault_of_the_timers(idle: Service) -> None:
    session_id = await booked(idle)
    await fetch(
        idle,
        "UPDATE automations SET due_at = now() - interval '20 s', attempts = 1 WHERE session_id = $1",
        session_id,
    )
    await idle.runtime.monitor.look()
    assert (await readyz(idle))[1]["timers"] == "ok"


async def test_a_replica_whose_timers_are_late_is_not_ready(service: Service) -> None:
    assert await readyz(service) == (
        200,
        {"status": "ready", "postgresql": "ok", "redis": "ok", "timers": "ok", "clock": "ok"},
    )
    service.runtime.monitor.status = TimerStatus(overdue=1_000, oldest_seconds=75.2)
    status, body = await readyz(service)
    assert (status, body["status"]) == (503, "unavailable")
    assert body["timers"] == "overdue: 1000 or more timers, the oldest for 75 s"


async def test_the_queue_is_shown(idle: Service, addresses: Addresses) -> None:
    await booked(idle)
    lines = "\n".join(await administration.show_queue(idle.runtime.settings, addresses))
    assert "overdue timers: 0" in lines
    assert "dead letters: 0" in lines
    assert sum(int(line.split()[1]) for line in lines.splitlines()[1:9]) == len(ALWAYS)


async def test_one_automation_is_dropped(idle: Service, addresses: Addresses) -> None:
    session_id = await booked(idle)
    [before] = await fetch(idle, "SELECT version FROM chat_sessions WHERE id = $1", session_id)
    dropped = await administration.drop_automation(
        idle.runtime.settings, addresses, session_id, AutomationKind.END_WARNING
    )
    assert dropped == ["dropped end_warning"]
    [row] = await fetch(
        idle,
        "SELECT status, reason FROM automations WHERE session_id = $1 AND kind = 'end_warning'",
        session_id,
    )
    assert tuple(row) == ("cancelled", "dropped")
    [after] = await fetch(idle, "SELECT version FROM chat_sessions WHERE id = $1", session_id)
    assert after["version"] == before["version"] + 1, "whoever has the session in memory must read it again"
    assert sum(depth.waiting for depth in await idle.runtime.queue.depth()) == len(ALWAYS) - 1
    again = await administration.drop_automation(
        idle.runtime.settings, addresses, session_id, AutomationKind.END_WARNING
    )
    assert again == ["Nothing of this kind waits."]


async def test_a_dead_letter_is_dropped(idle: Service, addresses: Addresses) -> None:
    session_id = await booked(idle)
    await fetch(idle, "UPDATE automations SET status = 'failed' WHERE kind = 'enable_chat'")
    assert len(await automations.list_dead_letters(idle.runtime.pool)) == 1
    await administration.drop_automation(
        idle.runtime.settings, addresses, session_id, AutomationKind.ENABLE_CHAT
    )
    assert await automations.list_dead_letters(idle.runtime.pool) == []


async def test_a_dead_letter_of_a_former_plan_cannot_be_retried(idle: Service, addresses: Addresses) -> None:
    """What was given up before a move has its place in the new plan: there is nothing left to retry."""
    psychologist = await idle.psychologist()
    session_id = UUID(await session_soon(idle.person(), 1800, 1800))
    await fetch(
        idle,
        "UPDATE automations SET status = 'failed', attempts = 8, executed_at = now(), reason = 'poison'"
        " WHERE kind IN ('initial_message', 'enable_chat')",
    )
    [row] = await fetch(idle, "SELECT counseling_id FROM chat_sessions WHERE id = $1", session_id)
    wish = {"date": f"{in_days(9):%Y-%m-%d}", "startTime": "10:00", "endTime": "11:00", "timezone": "UTC"}
    moved = await psychologist.put(f"/counselings/{row['counseling_id']}/reschedule", wish)
    assert moved.status == 200, moved.json
    assert await automations.list_dead_letters(idle.runtime.pool) == []
    waiting = await idle.runtime.queue.depth()
    assert await administration.retry_dead_letters(idle.runtime.settings, addresses, session_id) == [
        "No dead letters."
    ]
    assert await idle.runtime.queue.depth() == waiting, "nothing of the former plan is to run"
    plans = await fetch(
        idle, "SELECT schedule_version, status, reason FROM automations WHERE session_id = $1", session_id
    )
    assert Counter(tuple(plan) for plan in plans) == {
        (1, "cancelled", "reschedule"): len(ALWAYS),
        (2, "scheduled", None): len(LONG_BEFORE),
    }


async def test_a_dead_letter_of_the_present_plan_is_retried(idle: Service, addresses: Addresses) -> None:
    session_id = await booked(idle)
    await idle.runtime.queue.remove([Job(session_id, kind, 1) for kind in AutomationKind])
    await fetch(
        idle,
        "UPDATE automations SET status = 'failed', attempts = 8, executed_at = now(), reason = 'poison'"
        " WHERE kind = 'enable_chat'",
    )
    assert await administration.retry_dead_letters(idle.runtime.settings, addresses, session_id) == [
        "scheduled enable_chat"
    ]
    [row] = await fetch(
        idle,
        "SELECT status, attempts, executed_at, reason FROM automations WHERE kind = 'enable_chat'",
    )
    assert tuple(row) == ("scheduled", 0, None, None)
    assert sum(depth.waiting for depth in await idle.runtime.queue.depth()) == 1
    assert await administration.retry_dead_letters(idle.runtime.settings, addresses, session_id) == [
        "No dead letters."
    ]


async def test_the_end_of_a_session_cannot_be_dropped(idle: Service, addresses: Addresses) -> None:
    with pytest.raises(RdchatError) as caught:
        await administration.drop_automation(
            idle.runtime.settings, addresses, UUID(int=1), AutomationKind.AUTO_END
        )
    assert caught.value.code is ErrorCode.FORBIDDEN


async def test_a_session_goes_on_without_what_was_dropped(
    service: Service, database_url: str, redis_url: str
) -> None:
    await service.psychologist()
    client = service.person()
    session_id = await session_soon(client, 2.5, 3)
    addresses = Addresses(database_url, redis_url, embedded=False)
    assert await administration.drop_automation(
        service.runtime.settings, addresses, UUID(session_id), AutomationKind.END_WARNING
    ) == ["dropped end_warning"]

    async def ended() -> bool:
        return (await client.session(session_id))["status"] == "completed"

    await until(ended, 10)
    timeline = (await client.get(f"/chat/sessions/{session_id}/timeline")).data
    dropped = [one for one in timeline if one["trigger"] == "end_warning"]
    assert [(one["outcome"], one["reason"], one["latenessMs"]) for one in dropped] == [
        ("cancelled", "dropped", None)
    ]
    ran = [one["trigger"] for one in timeline if one not in dropped]
    assert ran == ["book", "initial_message", "enable_chat", "auto_end"]
    drawn = (await client.get(f"/chat/sessions/{session_id}/diagram", format="json")).json
    assert [step["trigger"] for step in drawn["path"]] == ran[1:]

"""The loops behind the timers, one at a time: what wakes them, and what they do while a store is away."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from rdchat.common.clock import to_ms
from rdchat.common.errors import UnavailableError
from rdchat.redis import connection
from rdchat.redis.delay_queue import DelayQueue
from rdchat.timers import monitor as monitor_module
from rdchat.timers import reconciler as reconciler_module
from rdchat.timers.monitor import TimerMonitor, TimerStatus
from rdchat.timers.reconciler import Reconciler
from statemachine import AutomationKind, Refusal, RefusalCode
from tests.support.memory_storage import SetClock
from tests.support.stray_jobs import store_automations
from tests.support.stub_engine import StubEngine
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rdchat.postgres.pool import Pool

KIND = AutomationKind.ENABLE_CHAT


class FailingQueue(DelayQueue):
    """A queue that cannot be asked while `away`."""

    def __init__(self, store: connection.RedisClient) -> None:
        super().__init__(store)
        self.away = False
        self.asked = 0

    async def _run(self, script: str, arguments: Any) -> list[Any]:
        self.asked += 1
        if self.away:
            raise connection.LOST[0]("away")
        return await super()._run(script, arguments)


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[FailingQueue]:
    store = connection.connect(redis_url)
    yield FailingQueue(store)
    await store.aclose()


@pytest.fixture
def clock() -> SetClock:
    return SetClock(datetime.now(UTC))


@pytest.fixture
def engine() -> StubEngine:
    return StubEngine()


@pytest.fixture
async def reconciler(
    database: Pool, queue: FailingQueue, engine: StubEngine, clock: SetClock
) -> AsyncIterator[Reconciler]:
    made = Reconciler(database, queue, engine, engine.reminders, clock)
    yield made
    await made.close()


async def waiting(queue: FailingQueue) -> int:
    return sum(depth.waiting for depth in await queue.depth())


# ---- the reconciler ---------------------------------------------------------------------------------------


async def test_it_fills_the_queue_at_once_and_again_when_it_is_woken(
    reconciler: Reconciler, queue: FailingQueue, database: Pool, clock: SetClock
) -> None:
    await store_automations(database, [clock.now() + timedelta(minutes=1)])
    with capture_logs() as logged:
        reconciler.start()
        await until(lambda: waiting_is(queue, 1))
        await store_automations(database, [clock.now() + timedelta(minutes=2)])
        await until(lambda: len(logged) == 1)
        reconciler.wake()
        await until(lambda: waiting_is(queue, 2))
        await until(lambda: len(logged) == 2)
    assert [one["added"] for one in logged] == [1, 1]
    [task] = [task for task in asyncio.all_tasks() if task.get_name() == "reconciler"]
    await reconciler.close()
    assert task.done()


async def waiting_is(queue: FailingQueue, count: int) -> bool:
    return await waiting(queue) == count


async def test_it_looks_again_after_a_while(
    reconciler: Reconciler,
    queue: FailingQueue,
    database: Pool,
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconciler_module, "_EVERY_SECONDS", 0.05)
    reconciler.start()
    await until(lambda: queue.asked > 0)
    await store_automations(database, [clock.now() + timedelta(minutes=1)])
    await until(lambda: waiting_is(queue, 1))


async def test_without_redis_what_is_due_runs_from_postgresql_until_redis_is_back(
    *,
    reconciler: Reconciler,
    queue: FailingQueue,
    database: Pool,
    engine: StubEngine,
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconciler_module, "_AWAY_SECONDS", 0.05)
    due, _ = await store_automations(
        database, [clock.now() - timedelta(seconds=3), clock.now() + timedelta(seconds=30)]
    )
    queue.away = True
    with capture_logs() as logged:
        reconciler.start()
        await until(lambda: len(engine.seen) >= 2)
    assert {(session_id, kind) for session_id, kind, _ in engine.seen} == {(due.subject_id, KIND)}
    away = [one for one in logged if one["event"].startswith("Redis is away")]
    assert away[0]["jobs"] == 1
    queue.away = False
    # What was run is settled, and so it leaves the queue again.
    await until(lambda: waiting_is(queue, 1))


async def test_without_postgresql_it_tries_again_soon(
    reconciler: Reconciler, queue: FailingQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler_module, "_AWAY_SECONDS", 0.02)
    tried = []

    async def away() -> int:
        tried.append(1)
        raise UnavailableError("PostgreSQL")

    monkeypatch.setattr(reconciler, "run_once", away)
    with capture_logs() as logged:
        reconciler.start()
        await until(lambda: len(tried) >= 3)
        await reconciler.close()
    assert logged == []
    assert queue.asked == 0


@pytest.mark.parametrize(
    ("answer", "stays"),
    [
        (Refusal(RefusalCode.SETTLED, None), 0),
        (Refusal(RefusalCode.NOT_DUE, None), 1),
        (UnavailableError("PostgreSQL"), 1),
    ],
)
async def test_what_is_not_settled_stays_in_the_queue(
    *,
    reconciler: Reconciler,
    queue: FailingQueue,
    database: Pool,
    engine: StubEngine,
    clock: SetClock,
    answer: Refusal | UnavailableError,
    stays: int,
) -> None:
    engine.answer = lambda _: answer
    [job] = await store_automations(database, [clock.now() - timedelta(seconds=3)])
    assert await reconciler.run_once() == 1
    assert [session_id for session_id, _, _ in engine.seen] == [job.subject_id]
    assert await waiting(queue) == stays


async def test_only_what_is_late_by_a_second_is_run_by_it(
    reconciler: Reconciler, queue: FailingQueue, database: Pool, engine: StubEngine, clock: SetClock
) -> None:
    late = timedelta(seconds=1)
    tick = timedelta(milliseconds=5)
    _, just_late = await store_automations(database, [clock.now() - late, clock.now() - late - tick])
    await reconciler.run_once()
    assert [session_id for session_id, _, _ in engine.seen] == [just_late.subject_id]
    assert await waiting(queue) == 1


async def test_the_queue_is_marked_as_filled_page_by_page(
    reconciler: Reconciler, queue: FailingQueue, database: Pool, clock: SetClock
) -> None:
    last = clock.now() + timedelta(minutes=2)
    await store_automations(database, [clock.now() + timedelta(minutes=1), last])
    marks: list[int] = []
    mark = queue.mark_filled

    async def keep(until_ms: int, *, create: bool = False) -> None:
        marks.append(until_ms)
        await mark(until_ms, create=create)

    queue.mark_filled = keep  # type: ignore[method-assign]
    await reconciler.run_once()
    horizon = to_ms(clock.now() + reconciler_module.HORIZON)
    assert marks == [to_ms(clock.now()), to_ms(last) - 1, horizon]
    assert await queue.filled_until() == horizon


# ---- the monitor ------------------------------------------------------------------------------------------


@pytest.fixture
async def monitor(database: Pool, queue: FailingQueue, clock: SetClock) -> AsyncIterator[TimerMonitor]:
    made = TimerMonitor(database, queue, clock)
    yield made
    await made.close()


async def test_it_looks_again_and_again_and_says_once_that_timers_are_late(
    monitor: TimerMonitor,
    queue: FailingQueue,
    database: Pool,
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(monitor_module, "_EVERY_SECONDS", 0.02)
    assert monitor.status == TimerStatus()
    [job] = await store_automations(database, [clock.now() + timedelta(hours=1)])
    await queue.schedule([(job, to_ms(clock.now() + timedelta(hours=1)))])
    with capture_logs() as logged:
        monitor.start()
        await until(lambda: monitor.status.waiting == 1)
        assert monitor.status == TimerStatus(0, 0.0, 1, 0)
        clock.forward(hours=1, seconds=20)
        await until(lambda: monitor.status.overdue == 1)
        looked = queue.asked
        await until(lambda: queue.asked > looked + 2)
        [task] = [task for task in asyncio.all_tasks() if task.get_name() == "timer monitor"]
        await monitor.close()
    assert task.done()
    assert monitor.status == TimerStatus(1, 20.0, 1, 0)
    assert [one["what"] for one in logged] == ["overdue: 1 timers, the oldest for 20 s"]


async def test_without_redis_it_counts_what_postgresql_knows(
    monitor: TimerMonitor, queue: FailingQueue, database: Pool, clock: SetClock
) -> None:
    await store_automations(database, [clock.now() - timedelta(seconds=30)])
    queue.away = True
    await monitor.look()
    assert monitor.status == TimerStatus(1, 30.0, None, None)


async def test_without_postgresql_it_goes_on_looking(
    monitor: TimerMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor_module, "_EVERY_SECONDS", 0.02)
    looked: list[UUID] = []

    async def away() -> None:
        looked.append(uuid4())
        raise UnavailableError("PostgreSQL")

    monkeypatch.setattr(monitor, "look", away)
    with capture_logs() as logged:
        monitor.start()
        await until(lambda: len(looked) >= 3)
    assert [one["log_level"] for one in logged if one["log_level"] != "debug"] == []

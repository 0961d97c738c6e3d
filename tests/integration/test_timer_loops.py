"""The loops behind the timers, one at a time: what wakes them, and what they do while a store is away."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from rdchat.common.clock import SystemClock, to_ms
from rdchat.common.errors import UnavailableError
from rdchat.common.telemetry import Metrics
from rdchat.postgres import scheduled_jobs
from rdchat.redis import connection
from rdchat.redis.delay_queue import SHARDS, DelayQueue, Job, ReminderKind, filled_key
from rdchat.timers import failures, reminding
from rdchat.timers import monitor as monitor_module
from rdchat.timers import reconciler as reconciler_module
from rdchat.timers import worker as worker_module
from rdchat.timers.monitor import TimerMonitor, TimerStatus
from rdchat.timers.reconciler import Reconciler
from rdchat.timers.worker import TimerWorker
from statemachine import AutomationKind, Refusal, RefusalCode
from tests.support.memory_storage import SetClock
from tests.support.stray_jobs import store_automations
from tests.support.stub_engine import SETTLED, StubEngine
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from rdchat.common.clock import Clock
    from rdchat.postgres.pool import Pool
    from rdchat.redis.delay_queue import ClaimResult

KIND = AutomationKind.ENABLE_CHAT


class FailingQueue(DelayQueue):
    """A queue that cannot be asked while `away`."""

    def __init__(self, store: connection.RedisClient) -> None:
        super().__init__(store)
        self.away = False
        self.asked = 0
        self.claims = 0

    async def _run(self, script: str, arguments: Any) -> list[Any]:
        self.asked += 1
        self._or_away()
        return await super()._run(script, arguments)

    async def claim(self, shards: Sequence[int], **how: Any) -> ClaimResult:
        self.claims += 1
        self._or_away()
        return await super().claim(shards, **how)

    async def finish(self, jobs: Iterable[Job]) -> None:
        self._or_away()
        await super().finish(jobs)

    def _or_away(self) -> None:
        if self.away:
            raise connection.LOST[0]("away")


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[FailingQueue]:
    store = connection.connect(redis_url)
    yield FailingQueue(store)
    await store.aclose()


@pytest.fixture
def clock() -> SetClock:
    return SetClock(SystemClock().now())


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


async def test_without_either_store_it_goes_on_trying(
    reconciler: Reconciler, queue: FailingQueue, engine: StubEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler_module, "_AWAY_SECONDS", 0.02)

    def away(*_: object, **__: object) -> None:
        raise UnavailableError("PostgreSQL")

    monkeypatch.setattr(scheduled_jobs, "list_scheduled", away)
    queue.away = True
    with capture_logs() as logged:
        reconciler.start()
        await until(lambda: queue.asked > 2)
        await reconciler.close()
    assert (logged, engine.seen) == ([], [])


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
    [job] = await store_automations(database, [clock.now() - timedelta(seconds=3)], version=7)
    assert await reconciler.run_once() == 1
    assert [session_id for session_id, _, _ in engine.seen] == [job.subject_id]
    assert engine.versions == [7]
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
    reconciler: Reconciler,
    queue: FailingQueue,
    database: Pool,
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scheduled_jobs, "_PAGE", 1)
    due = [clock.now() + timedelta(minutes=number) for number in (1, 2)]
    await store_automations(database, due)
    marks: list[int] = []
    mark = queue.mark_filled

    async def keep(until_ms: int, *, create: bool = False) -> None:
        marks.append(until_ms)
        await mark(until_ms, create=create)

    queue.mark_filled = keep  # type: ignore[method-assign]
    assert await reconciler.run_once() == 2
    horizon = to_ms(clock.now() + reconciler_module.HORIZON)
    assert marks == [to_ms(clock.now()), *(to_ms(one) - 1 for one in due), horizon]
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


async def test_what_is_late_by_a_burst_or_a_lost_lease_is_no_problem(
    monitor: TimerMonitor, database: Pool, clock: SetClock
) -> None:
    await store_automations(database, [clock.now() - timedelta(seconds=14)])
    await monitor.look()
    assert (monitor.status.overdue, monitor.status.problem) == (0, None)
    clock.forward(seconds=2)
    await monitor.look()
    assert monitor.status.problem == "overdue: 1 timers, the oldest for 16 s"


def test_more_than_are_counted_are_called_so() -> None:
    said = "overdue: {} timers, the oldest for 3 s"
    assert TimerStatus(999, 3.4).problem == said.format("999")
    assert TimerStatus(1_000, 3.4).problem == said.format("1000 or more")


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


# ---- the worker -------------------------------------------------------------------------------------------


class QuietAlarms:
    """Alarms that never go off, and keep what they were asked."""

    def __init__(self) -> None:
        self.scheduled: dict[int, int] = {}
        self.touched: list[int] = []

    async def schedule(self, instants: dict[int, int]) -> None:
        self.scheduled |= instants

    async def wake(self, shards: list[int]) -> None:
        self.touched += shards


class Alone:
    """A worker that nothing wakes but what a test sets in motion."""

    def __init__(self, queue: FailingQueue, engine: StubEngine) -> None:
        self.alarms = QuietAlarms()
        self.woken = asyncio.Event()
        self.doubts = 0
        self.made: list[TimerWorker] = []
        self._queue, self._engine = queue, engine

    def make(self, clock: Clock) -> TimerWorker:
        worker = TimerWorker(
            queue=self._queue,
            alarms=self.alarms,  # type: ignore[arg-type]
            # No job fails here.
            pool=None,  # type: ignore[arg-type]
            engine=self._engine,
            reminders=self._engine.reminders,
            clock=clock,
            metrics=Metrics(),
            woken=self.woken,
            on_doubt=self._doubt,
        )
        self.made.append(worker)
        return worker

    def _doubt(self) -> None:
        self.doubts += 1


@pytest.fixture
async def alone(
    queue: FailingQueue, engine: StubEngine, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Alone]:
    monkeypatch.setattr(worker_module, "_SWEEP_SECONDS", 3_600.0)
    alone = Alone(queue, engine)
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    with capture_logs() as logged:
        yield alone
        for worker in alone.made:
            await worker.close()
    # A loop that was started again would hide what has stopped it.
    faults += [dict(one) for one in logged if "exc_info" in one]
    assert faults == []


@pytest.fixture
def worker(alone: Alone) -> TimerWorker:
    return alone.make(SystemClock())


def a_job(kind: AutomationKind | ReminderKind = KIND) -> Job:
    return Job(uuid4(), kind, 1)


def in_ms(milliseconds: int) -> int:
    return round(SystemClock().ms()) + milliseconds


async def is_empty(queue: FailingQueue) -> bool:
    return all(depth.waiting + depth.leased == 0 for depth in await queue.depth())


async def test_a_head_that_it_knows_is_claimed_when_it_comes_near(
    worker: TimerWorker,
    alone: Alone,
    queue: FailingQueue,
    engine: StubEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_module, "_LOOK_AHEAD_MS", 50)
    job, far, due = Job(uuid4(), KIND, 7), a_job(), in_ms(120)
    await queue.schedule([(job, due), (far, due + 3_600_000)])
    worker.start()
    await until(lambda: is_empty_of(queue, job))
    [(_, _, at)] = engine.seen
    assert 0 <= at - due < 800
    assert (engine.expected, engine.versions) == ([job.subject_id], [7])
    assert alone.alarms.scheduled[far.shard] == due + 3_600_000 - 50
    assert queue.claims <= 6, "it sleeps until then"


async def is_empty_of(queue: FailingQueue, job: Job) -> bool:
    depth = (await queue.depth())[job.shard]
    return depth.leased == 0 and (depth.head_ms is None or depth.head_ms > in_ms(60_000))


async def test_an_alarm_is_touched_when_its_head_can_be_claimed(
    worker: TimerWorker,
    alone: Alone,
    queue: FailingQueue,
    engine: StubEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = a_job()
    await queue.schedule([(job, in_ms(3_600_000)), (a_job(), in_ms(7_200_000))])
    worker.start()
    await until(lambda: queue.claims == 1)
    monkeypatch.setattr(worker_module, "_LOOK_AHEAD_MS", 3_700_000)
    alone.woken.set()
    await until(lambda: engine.expected == [job.subject_id])
    assert alone.alarms.touched == [job.shard]


async def test_it_looks_once_in_a_while_although_nothing_tells_it_to(
    worker: TimerWorker, queue: FailingQueue, engine: StubEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_SWEEP_SECONDS", 0.05)
    worker.start()
    await until(lambda: queue.claims > 0)
    await queue.schedule([(a_job(), in_ms(0))])
    await until(lambda: is_empty(queue))
    assert len(engine.seen) == 1


async def test_it_looks_when_it_is_woken_and_sleeps_again(
    worker: TimerWorker, alone: Alone, queue: FailingQueue, engine: StubEngine
) -> None:
    worker.start()
    for number in range(1, 4):
        await until(lambda: queue.claims)
        queue.claims = 0
        await queue.schedule([(a_job(), in_ms(0))])
        alone.woken.set()
        await until(lambda: is_empty(queue))
        assert len(engine.seen) == number
    assert queue.claims == 1


async def test_a_worker_that_holds_enough_claims_the_rest_as_it_settles_what_it_has(
    worker: TimerWorker, queue: FailingQueue, engine: StubEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_CLAIM_LIMIT", 1)
    monkeypatch.setattr(worker_module, "_IN_FLIGHT", 4)
    monkeypatch.setattr(worker_module, "_FIRED_TOGETHER", 3)
    held: list[int] = []
    together: list[int] = [0]

    def next_turn() -> None:
        if together[-1]:
            together.append(0)

    def answer(_: UUID) -> Refusal:
        held.append(worker.held)
        together[-1] += 1
        asyncio.get_running_loop().call_soon(next_turn)
        return SETTLED

    engine.answer = answer
    jobs = [a_job() for _ in range(100)]
    await queue.schedule((job, in_ms(0)) for job in jobs)
    worker.start()
    await until(lambda: is_empty(queue))
    assert sorted(one for one, _, _ in engine.seen) == sorted(job.subject_id for job in jobs)
    assert max(held) < 4 + SHARDS
    assert max(together) == 3, "others get their turn in between"
    await until(lambda: worker.held == 0)


async def test_others_get_their_turn_while_much_is_claimed(
    worker: TimerWorker, queue: FailingQueue, engine: StubEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_HELD_TOGETHER", 3)
    held: list[int] = []

    def note(_: Iterable[UUID]) -> None:
        asyncio.get_running_loop().call_soon(lambda: held.append(worker.held))

    monkeypatch.setattr(engine, "prefetch", note)
    await queue.schedule((Job(UUID(int=3), KIND, number), in_ms(3_600_000)) for number in range(8))
    monkeypatch.setattr(worker_module, "_LOOK_AHEAD_MS", 3_700_000)
    worker.start()
    await until(lambda: worker.held == 8)
    assert held[:2] == [3, 6]


async def test_without_redis_it_asks_for_the_reconciler_and_goes_on_trying(
    worker: TimerWorker,
    alone: Alone,
    queue: FailingQueue,
    engine: StubEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_module, "_SWEEP_SECONDS", 0.02)
    monkeypatch.setattr(worker_module, "_REDIS_AWAY_SECONDS", 0.02)
    await queue.mark_filled(in_ms(0), create=True)
    await queue.schedule([(a_job(), in_ms(0)), (a_job(), in_ms(3_600_000))])
    queue.away = True
    worker.start()
    await until(lambda: queue.claims > 2)
    assert alone.doubts > 2
    assert alone.alarms.scheduled == {}
    queue.away = False
    await until(lambda: engine.seen)
    doubts, claims = alone.doubts, queue.claims
    await until(lambda: queue.claims > claims + 2)
    assert alone.doubts == doubts, "a queue that answers and is filled is not doubted"


async def test_a_shard_that_was_emptied_or_does_not_answer_is_doubted(
    worker: TimerWorker,
    alone: Alone,
    queue: FailingQueue,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await queue.mark_filled(in_ms(0), create=True)
    worker.start()
    await until(lambda: queue.claims == 1)
    assert alone.doubts == 0
    store = connection.connect(redis_url)
    await (await store.client()).delete(filled_key(3))
    await store.aclose()
    alone.woken.set()
    await until(lambda: alone.doubts == 1)
    await queue.mark_filled(in_ms(0), create=True)
    claim = queue.claim

    async def partly(shards: Sequence[int], **how: Any) -> ClaimResult:
        found = await claim(shards, **how)
        found.away.append(5)
        return found

    monkeypatch.setattr(queue, "claim", partly)
    alone.woken.set()
    await until(lambda: alone.doubts == 2)


async def test_what_cannot_be_settled_is_left_to_its_lease(
    worker: TimerWorker, alone: Alone, queue: FailingQueue, engine: StubEngine
) -> None:
    def answer(_: UUID) -> Refusal:
        queue.away = True
        return SETTLED

    engine.answer = answer
    await queue.schedule([(a_job(), in_ms(0))])
    worker.start()
    await until(lambda: queue.away)
    await until(lambda: worker.held == 0)
    queue.away = False
    engine.answer = lambda _: SETTLED
    assert sum(depth.leased for depth in await queue.depth()) == 1
    await queue.schedule([(a_job(), in_ms(0))])
    alone.woken.set()
    await until(lambda: len(engine.seen) == 2)


@pytest.mark.parametrize("lease_ms", [300, worker_module._LEASE_MS])  # noqa: SLF001
async def test_what_a_dead_worker_held_is_claimed_when_its_lease_runs_out(
    worker: TimerWorker, queue: FailingQueue, engine: StubEngine, lease_ms: int
) -> None:
    job = a_job()
    await queue.schedule([(job, in_ms(0))])
    died_at = in_ms(0)
    await queue.claim(range(SHARDS), look_ahead_ms=0, lease_ms=lease_ms, limit=1)
    queue.claims = 0
    worker.start()
    await until(lambda: engine.seen)
    assert lease_ms <= engine.seen[0][2] - died_at < lease_ms + 900
    assert queue.claims <= 4, "it sleeps until then"


def test_a_lease_is_longer_than_the_look_ahead_and_no_longer_than_two_seconds() -> None:
    """What is claimed ahead is due before its lease runs out, and a dead worker is noticed within three."""
    assert worker_module._LOOK_AHEAD_MS < worker_module._LEASE_MS == 2_000  # noqa: SLF001


async def test_all_that_a_dead_worker_held_is_claimed_although_it_is_more_than_one_claim_takes(
    worker: TimerWorker, queue: FailingQueue, engine: StubEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_CLAIM_LIMIT", 1)
    jobs = [Job(UUID(int=3), KIND, number) for number in range(5)]
    await queue.schedule((job, in_ms(0)) for job in jobs)
    await queue.claim(range(SHARDS), look_ahead_ms=0, lease_ms=-1, limit=5)
    worker.start()
    await until(lambda: is_empty(queue))
    assert sorted(engine.versions) == list(range(5))


async def test_a_living_worker_keeps_what_takes_longer_than_a_lease_also_while_it_closes(
    alone: Alone, queue: FailingQueue, engine: StubEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_LEASE_MS", 200)
    fired: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    renewed: list[list[Job]] = []
    renew = queue.renew

    async def renewing(jobs: Iterable[Job], lease_ms: int) -> None:
        renewed.append(list(jobs))
        await renew(renewed[-1], lease_ms)

    monkeypatch.setattr(queue, "renew", renewing)
    monkeypatch.setattr(engine, "post", lambda *_: fired)
    job = a_job()
    await queue.schedule([(job, in_ms(0))])
    worker = alone.make(SystemClock())
    worker.start()
    await until(lambda: renewed.count([job]) == 3)
    closing = asyncio.create_task(worker.close())
    await until(lambda: renewed.count([job]) == 6)
    assert [job] not in renewed[:2], "half a lease passes first"
    fired.set_result(SETTLED)
    await closing
    assert await is_empty(queue)
    assert "timer leases" not in loops()


async def test_closing_gives_back_what_is_not_due_before_all_is_done_that_was_fired(
    worker: TimerWorker, queue: FailingQueue, engine: StubEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fired: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(engine, "post", lambda *_: fired)
    now, soon = a_job(), a_job()
    due = in_ms(1_000)
    await queue.schedule([(now, in_ms(0)), (soon, due)])
    worker.start()
    await until(lambda: worker.held == 2)
    await until(lambda: "fire 1" in loops())
    closing = asyncio.create_task(worker.close())
    await until(lambda: waiting_is(queue, 1))
    assert (await queue.depth())[soon.shard].head_ms == due
    assert not closing.done()
    fired.set_result(SETTLED)
    await closing
    assert await waiting_is(queue, 1)


class CountingClock(SetClock):
    """A clock that counts how often it is asked."""

    asked = 0

    def ms(self) -> float:
        self.asked += 1
        return super().ms()


async def test_how_long_the_first_has_been_due_and_is_not_fired_can_be_seen(
    alone: Alone, queue: FailingQueue, engine: StubEngine
) -> None:
    """By the worker's own clock, which stands still here while Redis' goes on."""
    clock = CountingClock(SystemClock().now())
    stuck = alone.make(clock)
    assert (stuck.held, stuck.overdue_ms) == (0, 0.0)
    jobs = [a_job() for _ in range(3)]
    first = to_ms(clock.now()) + 1_000
    await queue.schedule((job, first + 100 * number) for number, job in enumerate(jobs))
    stuck.start()
    await until(lambda: stuck.held == 3)
    clock.asked = 0
    await waiting(queue)
    assert clock.asked <= 4, "it sleeps until something is due"
    assert stuck.overdue_ms == 0.0
    clock.instant = datetime.fromtimestamp((first + 250) / 1000, UTC)
    assert stuck.overdue_ms == pytest.approx(250.0, abs=0.01)
    clock.instant -= timedelta(seconds=60)
    await stuck.close()
    assert engine.seen == []
    heads = [depth.head_ms for depth in await queue.depth() if depth.waiting]
    assert min(head for head in heads if head is not None) == first
    assert await waiting(queue) == 3


async def test_reminders_that_were_not_begun_are_given_back_when_it_closes(
    worker: TimerWorker, queue: FailingQueue, engine: StubEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminding, "REMINDED_TOGETHER", 1)
    begun: list[Job] = []
    released = asyncio.Event()

    async def remind(jobs: Sequence[Job]) -> list[BaseException | None]:
        begun.extend(jobs)
        await released.wait()
        return [None] * len(jobs)

    monkeypatch.setattr(engine.reminders, "remind", remind)
    due = in_ms(0)
    await queue.schedule((a_job(ReminderKind.REMINDER), due) for _ in range(5))
    worker.start()
    await until(lambda: len(begun) == 2)
    await until(lambda: worker.held == 5)
    closing = asyncio.create_task(worker.close())
    await until(lambda: not loops() & {"timer claims", "timer firing"})
    for _ in range(5):
        await asyncio.sleep(0)
    released.set()
    await closing
    assert len(begun) == 2
    given_back = [depth for depth in await queue.depth() if depth.waiting]
    assert sum(depth.waiting for depth in given_back) == 3
    assert all(depth.head_ms is not None and due <= depth.head_ms <= in_ms(0) for depth in given_back)
    assert worker.held == 0


def loops() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks()}


async def test_each_of_its_loops_says_in_the_log_what_it_is(worker: TimerWorker) -> None:
    worker.start()
    assert loops() > {"timer claims", "timer firing", "timer settling", "reminders 0", "reminders 1"}
    assert "timer leases" in loops()


async def test_who_is_to_come_again_later_does_not_come_before(
    worker: TimerWorker,
    queue: FailingQueue,
    engine: StubEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_module, "_SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(failures, "_AWAY_MS", 300)
    answers = iter([UnavailableError("PostgreSQL")])
    engine.answer = lambda _: next(answers, SETTLED)
    await queue.schedule([(a_job(), in_ms(0))])
    worker.start()
    await until(lambda: len(engine.seen) == 2)
    assert engine.seen[1][2] - engine.seen[0][2] >= 150


async def test_however_often_it_is_woken_it_looks_only_now_and_then(
    worker: TimerWorker, alone: Alone, queue: FailingQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_CLAIM_PAUSE_SECONDS", 0.5)
    worker.start()
    await until(lambda: queue.claims == 1)
    for _ in range(10):
        alone.woken.set()
        await waiting(queue)
    assert queue.claims <= 2


async def test_closing_waits_for_what_was_fired_and_gives_back_what_has_to_come_again(
    worker: TimerWorker, queue: FailingQueue, engine: StubEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_SETTLE_PAUSE_SECONDS", 0.5)
    fired: list[asyncio.Future[Any]] = []

    def post(*_: object) -> asyncio.Future[Any]:
        fired.append(asyncio.get_running_loop().create_future())
        return fired[-1]

    monkeypatch.setattr(engine, "post", post)
    await queue.schedule([(a_job(), in_ms(0)), (a_job(), in_ms(1))])
    worker.start()
    await until(lambda: len(fired) == 2)
    closing = asyncio.create_task(worker.close())
    await until(lambda: not loops() & {"timer claims", "timer firing"})
    assert not closing.done()
    fired[0].set_result(SETTLED)
    fired[1].set_result(Refusal(RefusalCode.NOT_DUE, None))
    await closing
    depths = await queue.depth()
    assert (sum(one.waiting for one in depths), sum(one.leased for one in depths)) == (1, 0)


@pytest.mark.parametrize("answer", [SETTLED, Refusal(RefusalCode.NOT_DUE, None)])
async def test_closing_waits_for_what_is_being_fired(
    worker: TimerWorker,
    queue: FailingQueue,
    engine: StubEngine,
    monkeypatch: pytest.MonkeyPatch,
    answer: Refusal,
) -> None:
    monkeypatch.setattr(worker_module, "_SETTLE_PAUSE_SECONDS", 0.0)
    fired: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(engine, "post", lambda *_: fired)
    await queue.schedule([(a_job(), in_ms(0))])
    worker.start()
    await until(lambda: worker.held == 1)
    await until(lambda: any(task.get_name() == "fire 1" for task in asyncio.all_tasks()))
    closing = asyncio.create_task(worker.close())
    await while_others_go_on(queue)
    assert not closing.done()
    fired.set_result(answer)
    await closing
    assert await waiting(queue) == (0 if answer is SETTLED else 1)
    assert sum(depth.leased for depth in await queue.depth()) == 0


async def test_closing_gives_back_what_was_being_claimed(
    worker: TimerWorker, queue: FailingQueue, engine: StubEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_SETTLE_PAUSE_SECONDS", 0.0)
    claim, claimed, released = queue.claim, asyncio.Event(), asyncio.Event()

    async def slowly(shards: Sequence[int], **how: Any) -> ClaimResult:
        found = await claim(shards, **how)
        claimed.set()
        await released.wait()
        return found

    monkeypatch.setattr(queue, "claim", slowly)
    await queue.schedule([(a_job(), in_ms(1_000))])
    worker.start()
    await claimed.wait()
    closing = asyncio.create_task(worker.close())
    await while_others_go_on(queue)
    assert not closing.done()
    released.set()
    await closing
    assert engine.seen == []
    assert await waiting(queue) == 1


async def while_others_go_on(queue: FailingQueue) -> None:
    """Let as much happen as takes several calls of Redis."""
    for _ in range(10):
        await queue.depth()


async def test_one_that_was_never_started_can_be_closed(worker: TimerWorker) -> None:
    await worker.close()
    assert worker.held == 0

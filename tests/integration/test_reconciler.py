"""The reconciler: what it adds, how far it looks, and that losing Redis once more does not confuse it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from rdchat.common.clock import SystemClock, to_ms
from rdchat.postgres import scheduled_jobs
from rdchat.redis import connection
from rdchat.redis.delay_queue import SHARDS, DelayQueue, Job, due_key, reminder_score
from rdchat.timers.reconciler import HORIZON, Reconciler
from statemachine import AutomationKind
from tests.support.memory_storage import SetClock
from tests.support.stray_jobs import store_automations, store_reminders
from tests.support.stub_engine import StubEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from rdchat.postgres.pool import Pool

NEAR = timedelta(minutes=2)
KIND = AutomationKind.ENABLE_CHAT


class WatchedQueue(DelayQueue):
    """Keeps what it is offered, and may be emptied when it is."""

    def __init__(self, store: connection.RedisClient) -> None:
        super().__init__(store)
        self.store = store
        self.offered: list[int] = []
        self.empty_at_page = -1

    async def add_missing(self, members: Iterable[tuple[bytes, int]]) -> int:
        members = list(members)
        self.offered.append(len(members))
        added = await super().add_missing(members)
        if len(self.offered) == self.empty_at_page:
            await (await self.store.client()).flushall()
        return added

    async def holds(self) -> int:
        return sum(depth.waiting for depth in await self.depth())


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[WatchedQueue]:
    store = connection.connect(redis_url)
    yield WatchedQueue(store)
    await store.aclose()


@pytest.fixture
def clock() -> SetClock:
    return SetClock(SystemClock().now())


@pytest.fixture
def engine() -> StubEngine:
    return StubEngine()


@pytest.fixture
def reconciler(database: Pool, queue: WatchedQueue, engine: StubEngine, clock: SetClock) -> Reconciler:
    return Reconciler(database, queue, engine, engine.reminders, clock)


@pytest.mark.parametrize("kind", list(AutomationKind))
@pytest.mark.parametrize("version", [1, 513, 65_537])
async def test_postgresql_writes_members_as_the_queue_reads_them(
    database: Pool, clock: SetClock, kind: AutomationKind, version: int
) -> None:
    due = clock.now().replace(microsecond=999_000)
    [job] = await store_automations(database, [due], kind, version)
    pages = scheduled_jobs.list_scheduled(database, after=scheduled_jobs.BEGINNING, until=due)
    assert [page async for page in pages] == [[(job.member(), to_ms(due))]]


@pytest.mark.parametrize("number", [1, 513, 65_537])
async def test_members_of_reminders_are_written_in_the_same_way(
    database: Pool, clock: SetClock, number: int
) -> None:
    due = clock.now().replace(microsecond=999_000)
    [job] = await store_reminders(database, [due], number)
    pages = scheduled_jobs.list_scheduled(database, after=scheduled_jobs.BEGINNING, until=due)
    assert [page async for page in pages] == [[(job.member(), reminder_score(to_ms(due)))]]


async def test_both_tables_are_paged_through_as_one(
    database: Pool, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduled_jobs, "_PAGE", 7)
    # Many at one instant of either kind, and a session with all of its automations due at one.
    now = clock.now().replace(microsecond=0)
    due = [now + timedelta(seconds=number // 10) for number in range(30)]
    jobs = [*await store_automations(database, due), *await store_reminders(database, due)]
    listed = scheduled_jobs.list_scheduled(database, after=scheduled_jobs.BEGINNING, until=due[-1])
    pages = [page async for page in listed]
    assert max(map(len, pages)) == 7
    found = [member for page in pages for member, _ in page]
    assert sorted(found) == sorted(job.member() for job in jobs), "none is missing, none comes twice"
    instants = [due_ms // 1000 for page in pages for _, due_ms in page]
    assert instants == sorted(instants)


async def test_reminders_are_filled_in_and_run_when_they_are_overdue(
    reconciler: Reconciler, queue: WatchedQueue, database: Pool, engine: StubEngine, clock: SetClock
) -> None:
    now = clock.now()
    late = await store_reminders(database, [now - timedelta(seconds=3)] * 2)
    await store_reminders(database, [now + timedelta(hours=1)])
    await store_reminders(database, [now + HORIZON + timedelta(hours=1)])
    [opening] = await store_automations(database, [now - timedelta(seconds=3)])
    assert await reconciler.run_once() == 4
    assert [(one, kind) for one, kind, _ in engine.seen] == [(opening.subject_id, KIND)]
    ((reminded, at),) = engine.reminders.seen
    assert set(reminded) == set(late)
    assert at >= engine.seen[0][2], "the chat opens first"
    assert await queue.holds() == 1, "what was run is not there any more"


async def test_it_adds_what_is_missing_and_only_that(
    reconciler: Reconciler, queue: WatchedQueue, database: Pool, clock: SetClock
) -> None:
    now = clock.now()
    jobs = await store_automations(database, [now + timedelta(minutes=1), now + timedelta(hours=5)])
    await queue.schedule([(jobs[0], to_ms(now) + 60_000)])
    assert await reconciler.run_once() == 1
    assert await reconciler.run_once() == 0
    assert await queue.filled_until() == to_ms(now + HORIZON)


async def test_what_lies_beyond_the_horizon_comes_when_it_is_near_enough(
    reconciler: Reconciler, queue: WatchedQueue, database: Pool, clock: SetClock
) -> None:
    await store_automations(database, [clock.now() + HORIZON + timedelta(minutes=10)])
    assert await reconciler.run_once() == 0
    clock.forward(minutes=9)
    assert await reconciler.run_once() == 0
    clock.forward(minutes=2)
    assert await reconciler.run_once() == 1
    assert await queue.holds() == 1


async def test_a_round_on_a_full_queue_looks_only_at_what_is_near(
    reconciler: Reconciler, queue: WatchedQueue, database: Pool, engine: StubEngine, clock: SetClock
) -> None:
    now = clock.now()
    await store_automations(
        database, [now + NEAR] * 3 + [now + timedelta(hours=hours) for hours in range(1, 23)]
    )
    assert await reconciler.run_once() == 25
    queue.offered.clear()
    # Also in a replica that starts now.
    assert await Reconciler(database, queue, engine, engine.reminders, clock).run_once() == 0
    assert queue.offered == [3]


async def test_a_booking_that_never_reached_redis_is_found_before_it_is_due(
    reconciler: Reconciler, queue: WatchedQueue, database: Pool, clock: SetClock
) -> None:
    await reconciler.run_once()
    [lost] = await store_automations(database, [clock.now() + timedelta(hours=1)])
    assert await reconciler.run_once() == 0
    clock.forward(minutes=58)
    assert await reconciler.run_once() == 1
    claimed = await queue.claim(range(SHARDS), look_ahead_ms=3_600_000, lease_ms=1000, limit=10)
    assert [claim.job for claim in claimed.claims] == [lost]


async def test_redis_emptied_while_it_is_filled_is_filled_from_the_start(
    reconciler: Reconciler,
    queue: WatchedQueue,
    database: Pool,
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scheduled_jobs, "_PAGE", 10)
    due = [clock.now() + timedelta(hours=1, minutes=number) for number in range(45)]
    await store_automations(database, due)
    queue.empty_at_page = 2
    await reconciler.run_once()
    assert await queue.holds() == 25
    assert await queue.filled_until() is None, "who claims now must find out"
    await reconciler.run_once()
    assert await queue.holds() == 45
    assert await queue.filled_until() is not None


async def test_a_shard_that_was_lost_alone_is_filled_again(
    reconciler: Reconciler, queue: WatchedQueue, database: Pool, clock: SetClock
) -> None:
    jobs = await store_automations(
        database, [clock.now() + timedelta(hours=1, minutes=number) for number in range(45)]
    )
    await reconciler.run_once()
    await (await queue.store.client()).delete(due_key(jobs[0].shard))
    assert await queue.holds() < 45
    await reconciler.run_once()
    assert await queue.holds() == 45
    assert await queue.filled_until() == to_ms(clock.now() + HORIZON)


async def test_the_near_ones_come_before_the_far_ones(
    reconciler: Reconciler, queue: WatchedQueue, database: Pool, clock: SetClock
) -> None:
    now = clock.now()
    await store_automations(database, [now + timedelta(hours=9)] * 3 + [now + timedelta(seconds=5)] * 2)
    await reconciler.run_once()
    assert queue.offered == [2, 3]


async def test_what_is_overdue_runs_although_a_dead_worker_holds_its_lease(
    reconciler: Reconciler, queue: WatchedQueue, database: Pool, engine: StubEngine, clock: SetClock
) -> None:
    due = clock.now() - timedelta(seconds=3)
    [job] = await store_automations(database, [due])
    await queue.schedule([(job, to_ms(due))])
    await queue.claim(range(SHARDS), look_ahead_ms=0, lease_ms=60_000, limit=10)
    assert await reconciler.run_once() == 0
    assert [(one, kind) for one, kind, _ in engine.seen] == [(job.subject_id, job.kind)]
    assert [depth.waiting + depth.leased for depth in await queue.depth()] == [0] * SHARDS


def test_a_shard_is_named_by_the_last_bits_of_the_id() -> None:
    for number in range(40):
        job = Job(UUID(int=number), KIND, 1)
        assert job.shard == number % SHARDS

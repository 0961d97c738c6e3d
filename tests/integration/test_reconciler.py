"""The reconciler: what it adds, how far it looks, and that losing Redis once more does not confuse it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from rdchat.common.clock import to_ms
from rdchat.postgres import automations, pool
from rdchat.redis import connection
from rdchat.redis.delay_queue import SHARDS, DelayQueue, Job, due_key
from rdchat.timers.reconciler import HORIZON, Reconciler
from statemachine import AutomationKind
from tests.support.memory_storage import SetClock
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
    clock = SetClock()
    clock.instant = datetime.now(UTC)
    return clock


@pytest.fixture
def engine() -> StubEngine:
    return StubEngine()


@pytest.fixture
def reconciler(database: Pool, queue: WatchedQueue, engine: StubEngine, clock: SetClock) -> Reconciler:
    return Reconciler(database, queue, engine, clock)


async def store(
    database: Pool, due: Iterable[datetime], kind: AutomationKind = KIND, version: int = 1
) -> list[Job]:
    """Store automations of sessions of their own, which play no part here."""
    rows = [(uuid4(), kind.value, version, instant) for instant in due]
    async with pool.acquire(database) as one, one.transaction():
        await one.execute("SET LOCAL session_replication_role = replica")
        await one.executemany(
            "INSERT INTO automations (session_id, kind, schedule_version, due_at, status) "
            "VALUES ($1, $2, $3, $4, 'scheduled')",
            rows,
        )
    return [Job(row[0], kind, version) for row in rows]


@pytest.mark.parametrize("kind", list(AutomationKind))
@pytest.mark.parametrize("version", [1, 513, 65_537])
async def test_postgresql_writes_members_as_the_queue_reads_them(
    database: Pool, clock: SetClock, kind: AutomationKind, version: int
) -> None:
    due = clock.now().replace(microsecond=999_000)
    [job] = await store(database, [due], kind, version)
    pages = automations.list_scheduled(database, after=automations.BEGINNING, until=due)
    assert [page async for page in pages] == [[(job.member(), to_ms(due))]]


async def test_it_adds_what_is_missing_and_only_that(
    reconciler: Reconciler, queue: WatchedQueue, database: Pool, clock: SetClock
) -> None:
    now = clock.now()
    jobs = await store(database, [now + timedelta(minutes=1), now + timedelta(hours=5)])
    await queue.schedule([(jobs[0], to_ms(now) + 60_000)])
    assert await reconciler.run_once() == 1
    assert await reconciler.run_once() == 0
    assert await queue.filled_until() == to_ms(now + HORIZON)


async def test_what_lies_beyond_the_horizon_comes_when_it_is_near_enough(
    reconciler: Reconciler, queue: WatchedQueue, database: Pool, clock: SetClock
) -> None:
    await store(database, [clock.now() + HORIZON + timedelta(minutes=10)])
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
    await store(database, [now + NEAR] * 3 + [now + timedelta(hours=hours) for hours in range(1, 23)])
    assert await reconciler.run_once() == 25
    queue.offered.clear()
    # Also in a replica that starts now.
    assert await Reconciler(database, queue, engine, clock).run_once() == 0
    assert queue.offered == [3]


async def test_a_booking_that_never_reached_redis_is_found_before_it_is_due(
    reconciler: Reconciler, queue: WatchedQueue, database: Pool, clock: SetClock
) -> None:
    await reconciler.run_once()
    [lost] = await store(database, [clock.now() + timedelta(hours=1)])
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
    monkeypatch.setattr(automations, "_PAGE", 10)
    due = [clock.now() + timedelta(hours=1, minutes=number) for number in range(45)]
    await store(database, due)
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
    jobs = await store(database, [clock.now() + timedelta(hours=1, minutes=number) for number in range(45)])
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
    await store(database, [now + timedelta(hours=9)] * 3 + [now + timedelta(seconds=5)] * 2)
    await reconciler.run_once()
    assert queue.offered == [2, 3]


async def test_what_is_overdue_runs_although_a_dead_worker_holds_its_lease(
    reconciler: Reconciler, queue: WatchedQueue, database: Pool, engine: StubEngine, clock: SetClock
) -> None:
    due = clock.now() - timedelta(seconds=3)
    [job] = await store(database, [due])
    await queue.schedule([(job, to_ms(due))])
    await queue.claim(range(SHARDS), look_ahead_ms=0, lease_ms=60_000, limit=10)
    assert await reconciler.run_once() == 0
    assert [(one, kind) for one, kind, _ in engine.seen] == [(job.session_id, job.kind)]
    assert [depth.waiting + depth.leased for depth in await queue.depth()] == [0] * SHARDS


def test_a_shard_is_named_by_the_last_bits_of_the_id() -> None:
    for number in range(40):
        job = Job(UUID(int=number), KIND, 1)
        assert job.shard == number % SHARDS

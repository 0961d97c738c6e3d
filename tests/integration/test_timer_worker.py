"""The timer worker on a real queue and a real database, with an engine that does as it is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from rdchat.common.clock import SystemClock, to_ms
from rdchat.common.errors import UnavailableError
from rdchat.common.telemetry import Metrics
from rdchat.postgres import automations, pool
from rdchat.redis import connection
from rdchat.redis.alarms import Alarms
from rdchat.redis.delay_queue import DelayQueue, Job
from rdchat.timers import failures
from rdchat.timers.failures import backoff_ms
from rdchat.timers.worker import TimerWorker
from statemachine import AutomationKind, Refusal, RefusalCode
from tests.support.stub_engine import SETTLED, StubEngine
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rdchat.postgres.pool import Pool


@pytest.fixture
def engine() -> StubEngine:
    return StubEngine()


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[DelayQueue]:
    client = connection.connect(redis_url)
    yield DelayQueue(client)
    await client.aclose()


@asynccontextmanager
async def running_worker(
    redis_url: str, queue: DelayQueue, database: Pool, engine: StubEngine
) -> AsyncIterator[TimerWorker]:
    woken = asyncio.Event()
    alarms = Alarms(redis_url, on_wake=woken.set, on_reconnect=woken.set)
    await alarms.start()
    await alarms.listening.wait()
    worker = TimerWorker(
        queue=queue,
        alarms=alarms,
        pool=database,
        engine=engine,
        clock=SystemClock(),
        metrics=Metrics(),
        woken=woken,
        on_doubt=lambda: None,
    )
    worker.start()
    try:
        yield worker
    finally:
        await worker.close()
        await alarms.close()


@pytest.fixture
async def worker(
    redis_url: str, queue: DelayQueue, database: Pool, engine: StubEngine
) -> AsyncIterator[TimerWorker]:
    async with running_worker(redis_url, queue, database, engine) as worker:
        yield worker


@pytest.fixture
async def stored(database: Pool) -> Callable[[AutomationKind], Any]:
    """Store an automation of a session of its own, so that failures can be counted."""

    async def store(kind: AutomationKind) -> Job:
        job = Job(uuid4(), kind, 1)
        async with pool.acquire(database) as one:
            await one.execute("SET session_replication_role = replica")  # the session itself plays no part
            await one.execute(
                "INSERT INTO automations (session_id, kind, schedule_version, due_at, status) "
                "VALUES ($1, $2, 1, now(), 'scheduled')",
                job.session_id,
                kind.value,
            )
            await one.execute("RESET session_replication_role")
        return job

    return store


def in_ms(milliseconds: int) -> int:
    return to_ms(SystemClock().now()) + milliseconds


async def empty(queue: DelayQueue) -> bool:
    return all(depth.waiting + depth.leased == 0 for depth in await queue.depth())


@pytest.mark.usefixtures("worker")
async def test_a_job_is_fired_at_its_instant_and_never_before(queue: DelayQueue, engine: StubEngine) -> None:
    dues = {Job(uuid4(), AutomationKind.ENABLE_CHAT, 1): in_ms(100 + 37 * number) for number in range(20)}
    await queue.schedule(dues.items())
    await until(lambda: empty(queue))
    lateness = [at - dues[Job(one, kind, 1)] for one, kind, at in engine.seen]
    assert len(lateness) == 20
    assert min(lateness) >= 0
    # The figure belongs to the benchmark; here a timer must only be far better than the sweep.
    assert sorted(lateness)[10] < 100


@pytest.mark.usefixtures("worker")
async def test_jobs_far_ahead_are_left_alone_and_a_new_head_is_noticed(
    queue: DelayQueue, engine: StubEngine
) -> None:
    session = uuid4()
    await queue.schedule([(Job(session, AutomationKind.AUTO_END, 1), in_ms(3_600_000))])
    await queue.schedule([(Job(session, AutomationKind.ENABLE_CHAT, 1), in_ms(50))])

    async def fired() -> bool:
        return [kind for _, kind, _ in engine.seen] == [AutomationKind.ENABLE_CHAT]

    await until(fired)


@pytest.mark.usefixtures("worker")
async def test_who_is_told_that_it_is_early_comes_again(queue: DelayQueue, engine: StubEngine) -> None:
    answers = iter([Refusal(RefusalCode.NOT_DUE, None), Refusal(RefusalCode.NOT_DUE, None)])
    engine.answer = lambda _: next(answers, SETTLED)
    await queue.schedule([(Job(uuid4(), AutomationKind.ENABLE_CHAT, 1), in_ms(20))])
    await until(lambda: empty(queue))
    assert len(engine.seen) == 3


@pytest.mark.usefixtures("worker")
async def test_a_database_that_is_away_is_not_the_automations_fault(
    queue: DelayQueue, engine: StubEngine, database: Pool, stored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "_AWAY_MS", 10)
    job = await stored(AutomationKind.ENABLE_CHAT)
    answers = iter([UnavailableError("PostgreSQL")] * 20)
    engine.answer = lambda _: next(answers, SETTLED)
    await queue.schedule([(job, in_ms(0))])
    await until(lambda: empty(queue))
    assert len(engine.seen) == 21
    assert await automations.count_failure(database, job, "first") == 1


@pytest.mark.usefixtures("worker")
async def test_what_fails_again_and_again_becomes_a_dead_letter_that_can_be_revived(
    queue: DelayQueue, engine: StubEngine, database: Pool, stored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "_FIRST_BACKOFF_MS", 1)
    job = await stored(AutomationKind.ENABLE_CHAT)
    engine.answer = lambda _: ValueError("poison")
    await queue.schedule([(job, in_ms(0))])
    await until(lambda: empty(queue))
    assert len(engine.seen) == 8
    [letter] = await automations.list_dead_letters(database)
    assert (letter["session_id"], letter["attempts"], letter["reason"]) == (
        job.session_id,
        8,
        "ValueError: poison",
    )
    # A retried one has all its attempts again.
    await queue.schedule(await automations.revive_dead_letters(database, job.session_id))
    await until(lambda: empty(queue))
    assert len(engine.seen) == 16
    [letter] = await automations.list_dead_letters(database)
    assert (letter["session_id"], letter["attempts"]) == (job.session_id, 8)
    engine.answer = lambda _: SETTLED
    await queue.schedule(await automations.revive_dead_letters(database, job.session_id))
    await until(lambda: empty(queue))
    assert len(engine.seen) == 17
    assert await automations.list_dead_letters(database) == []


@pytest.mark.usefixtures("worker")
async def test_the_end_is_never_given_up(
    queue: DelayQueue, engine: StubEngine, database: Pool, stored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "_FIRST_BACKOFF_MS", 1)
    monkeypatch.setattr(failures, "_LONGEST_BACKOFF_MS", 4)
    job = await stored(AutomationKind.AUTO_END)
    answers = iter([ValueError("poison")] * 20)
    engine.answer = lambda _: next(answers, SETTLED)
    await queue.schedule([(job, in_ms(0))])
    await until(lambda: empty(queue))
    assert len(engine.seen) == 21
    assert await automations.list_dead_letters(database) == []


async def test_what_was_claimed_but_not_fired_is_given_back(
    worker: TimerWorker, queue: DelayQueue, engine: StubEngine
) -> None:
    due = in_ms(1_200)
    job = Job(uuid4(), AutomationKind.ENABLE_CHAT, 1)
    await queue.schedule([(job, due)])

    async def claimed() -> bool:
        return any(depth.leased for depth in await queue.depth())

    await until(claimed)
    await worker.close()
    assert engine.seen == []
    assert (await queue.depth())[job.shard].head_ms == due


async def test_several_workers_share_what_is_due_at_one_instant(redis_url: str, database: Pool) -> None:
    """None of them knows of the others; each job is fired by one of them."""
    async with AsyncExitStack() as stack:
        engines = [StubEngine() for _ in range(3)]
        for engine in engines:
            store = connection.connect(redis_url)
            stack.push_async_callback(store.aclose)
            own = DelayQueue(store)
            await stack.enter_async_context(running_worker(redis_url, own, database, engine))
        due = in_ms(3_000)
        jobs = {Job(uuid4(), AutomationKind.ENABLE_CHAT, 1) for _ in range(6_000)}
        await own.schedule((job, due) for job in jobs)
        await until(lambda: sum(len(engine.seen) for engine in engines) >= len(jobs), 20)
        await until(lambda: empty(own))
        fired = Counter(session for engine in engines for session, _, _ in engine.seen)
        assert fired == Counter(job.session_id for job in jobs)
        shares = [len(engine.seen) for engine in engines]
        assert min(shares) > 0, f"one of them had nothing to do: {shares}"


def test_backoff_doubles_up_to_a_minute_and_leaves_half_to_chance() -> None:
    longest = [backoff_ms(attempts, lambda _low, high: high) for attempts in range(1, 12)]
    assert longest[:4] == [200, 400, 800, 1600]
    assert longest[-1] == 60_000
    assert backoff_ms(1, lambda low, _high: low) == 100

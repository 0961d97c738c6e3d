"""The delay queue beside a model of it: whatever is done in whatever order, both hold the same."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import fakeredis
import pytest
import redis.asyncio
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from rdchat.redis.connection import RedisClient
from rdchat.redis.delay_queue import SHARDS, DelayQueue, Job, due_key, leases_key
from rdchat.redis.scripts import KEEPER
from statemachine import AutomationKind

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

#: Few of them, so that they meet often; of three shards.
JOBS = [
    Job(UUID(int=number), kind, version)
    for number in (1, 2, 9, 11)
    for kind in (AutomationKind.ENABLE_CHAT, AutomationKind.AUTO_END)
    for version in (1, 2)
]
jobs = st.sampled_from(JOBS)
#: Milliseconds from now: long past, claimable, and so far ahead that no run of the test gets there.
offsets = st.sampled_from([-86_400_000, -1_000, 400, 3_600_000, 90_000_000])
CLAIMABLE = 500
HOUR = 3_600_000


@dataclass
class Held:
    """Where the model thinks a job is: its due instant, and whether its lease has run out if it is leased."""

    due: int
    leased: bool = False
    lost: bool = False


class QueueMachine(RuleBasedStateMachine):
    def __init__(self, connect: Callable[[], redis.asyncio.Redis]) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.client = self.run(self._connected(connect))
        self.queue = DelayQueue(RedisClient(self.client))
        self.model: dict[Job, Held] = {}
        self.now = time.time_ns() // 1_000_000
        self.marked: int | None = None

    @staticmethod
    async def _connected(connect: Callable[[], redis.asyncio.Redis]) -> redis.asyncio.Redis:
        client = connect()
        await client.flushall()
        return client

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.client.aclose())
        self.loop.close()

    @initialize()
    def begin(self) -> None:
        self.now = time.time_ns() // 1_000_000

    async def _held(self) -> list[tuple[Any, Any]]:
        async with self.client.pipeline(transaction=False) as pipeline:
            for shard in range(SHARDS):
                pipeline.zrange(due_key(shard), 0, -1, withscores=True)
                pipeline.zrange(leases_key(shard), 0, -1)
            answers = await pipeline.execute()
        return list(zip(answers[::2], answers[1::2], strict=True))

    @rule(wanted=st.dictionaries(jobs, offsets, max_size=6))
    def schedule(self, wanted: dict[Job, int]) -> None:
        self.run(self.queue.schedule([(job, self.now + offset) for job, offset in wanted.items()]))
        for job, offset in wanted.items():
            self.model[job] = Held(self.now + offset)

    @rule(wanted=st.dictionaries(jobs, offsets, max_size=6))
    def add_missing(self, wanted: dict[Job, int]) -> None:
        offered = [(job.member(), self.now + offset) for job, offset in wanted.items()]
        missing = [job for job in wanted if job not in self.model]
        assert self.run(self.queue.add_missing(offered)) == len(missing)
        for job in missing:
            self.model[job] = Held(self.now + wanted[job])

    @rule(unwanted=st.sets(jobs, max_size=6))
    def remove(self, unwanted: set[Job]) -> None:
        self.run(self.queue.remove(unwanted))
        for job in unwanted:
            self.model.pop(job, None)

    @rule(limit=st.integers(1, 4), dies=st.booleans())
    def claim(self, limit: int, *, dies: bool) -> None:
        """`dies`: the lease has run out when it begins, as if the worker had been killed long ago."""
        lease_ms = -2 * 86_400_000 if dies else HOUR
        claimed = self.run(
            self.queue.claim(range(SHARDS), look_ahead_ms=CLAIMABLE, lease_ms=lease_ms, limit=limit)
        )
        assert claimed.complete == (self.marked is not None)
        got = {claim.job: claim.due_ms for claim in claimed.claims}
        assert len(got) == len(claimed.claims), "a job was claimed twice at once"
        for shard in range(SHARDS):
            self._check_claim(shard, limit, {job: due for job, due in got.items() if job.shard == shard})
        for job in got:
            self.model[job].leased, self.model[job].lost = True, dies
        for shard, head in claimed.heads.items():
            waiting = [held.due for job, held in self.model.items() if job.shard == shard and not held.leased]
            assert head == min(waiting)

    def _check_claim(self, shard: int, limit: int, got: dict[Job, int]) -> None:
        own = {job: held for job, held in self.model.items() if job.shard == shard}
        lost = {job for job, held in own.items() if held.leased and held.lost}
        due = {job: held.due for job, held in own.items() if not held.leased and held.due <= self.now + 400}
        assert len(got) == min(limit, len(lost) + len(due))
        again = {job for job, due_ms in got.items() if due_ms == 0}
        first = {job: due_ms for job, due_ms in got.items() if due_ms}
        assert again <= lost
        assert len(again) == min(limit, len(lost)), "a lost lease comes before what was never claimed"
        assert first.items() <= due.items()
        # Nothing that was due earlier is left behind.
        left = [due_ms for job, due_ms in due.items() if job not in first]
        assert not first or not left or max(first.values()) <= min(left)

    @rule(done=st.sets(jobs, max_size=6))
    def finish(self, done: set[Job]) -> None:
        self.run(self.queue.finish(done))
        for job in done:
            if job in self.model and self.model[job].leased:
                del self.model[job]

    @rule(later=st.dictionaries(jobs, offsets, max_size=6))
    def postpone(self, later: dict[Job, int]) -> None:
        self.run(self.queue.postpone([(job, self.now + offset) for job, offset in later.items()]))
        for job, offset in later.items():
            if job in self.model and self.model[job].leased:
                self.model[job] = Held(self.now + offset)

    @rule(until=st.integers(0, 10**13), create=st.booleans())
    def mark(self, until: int, *, create: bool) -> None:
        self.run(self.queue.mark_filled(until, create=create))
        if self.marked is not None or create:
            self.marked = max(self.marked or 0, until)
        assert self.run(self.queue.filled_until()) == self.marked

    @rule()
    def lose_everything(self) -> None:
        self.run(self.client.flushall())
        self.model.clear()
        self.marked = None

    @rule()
    def lose_what_is_due(self) -> None:
        self.run(self.client.delete(*map(due_key, range(SHARDS))))
        self.model = {job: held for job, held in self.model.items() if held.leased}
        self.marked = None

    @invariant()
    def both_hold_the_same(self) -> None:
        held = self.run(self._held())
        for shard, (due, leases) in enumerate(held):
            own = {job: held for job, held in self.model.items() if job.shard == shard}
            waiting = dict(due)
            assert (waiting.pop(KEEPER.encode(), None) is not None) == (self.marked is not None)
            assert waiting == {job.member(): held.due for job, held in own.items() if not held.leased}
            assert set(leases) == {job.member() for job, held in own.items() if held.leased}
        depths = self.run(self.queue.depth())
        assert sum(depth.waiting + depth.leased for depth in depths) == len(self.model)


@pytest.mark.parametrize(("server", "examples"), [("redis", 60), ("fakeredis", 25)])
def test_the_queue_does_what_its_model_does(
    request: pytest.FixtureRequest, server: str, examples: int
) -> None:
    def connect() -> redis.asyncio.Redis:
        if server == "fakeredis":
            return fakeredis.FakeAsyncRedis()
        return redis.asyncio.Redis.from_url(request.getfixturevalue("redis_server"))

    class Connected(QueueMachine):
        def __init__(self) -> None:
            super().__init__(connect)

    run_state_machine_as_test(
        Connected,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

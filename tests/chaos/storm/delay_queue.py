"""The delay queue in Redis, as the harness sees it: to put timers into it, and to see what it holds."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rdchat.redis.delay_queue import SHARDS, Job, due_key, leases_key
from rdchat.redis.scripts import KEEPER_MS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis.asyncio import Redis


@dataclass(frozen=True, slots=True)
class Held:
    """How many timers wait, and how many a replica has claimed."""

    waiting: int
    leased: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.waiting + self.leased


class Queue:
    """Written to in the way that a booking does. Raise what redis-py raises."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def schedule(self, jobs: Iterable[tuple[Job, int]]) -> None:
        """Add timers with their due instants (ms since 1970)."""
        shards: defaultdict[int, dict[bytes, int]] = defaultdict(dict)
        for job, due_ms in jobs:
            shards[job.shard][job.member()] = due_ms
        async with self._redis.pipeline(transaction=False) as pipeline:
            for shard, members in shards.items():
                pipeline.zadd(due_key(shard), members)
            await pipeline.execute()

    async def held(self) -> Held:
        """Count."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for shard in range(SHARDS):
                pipeline.zcount(due_key(shard), "-inf", f"({KEEPER_MS}")
                pipeline.zcard(leases_key(shard))
            counts = await pipeline.execute()
        return Held(sum(counts[::2]), sum(counts[1::2]))

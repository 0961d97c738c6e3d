"""The delay queue: which automation is due when, in Redis, by shard.

Per shard there are two sorted sets: `due` (score: due instant, ms since 1970) and `leases` (score: when the
lease of a claimed job runs out). A job is in exactly one of them. A claim moves jobs that fall due within the
look-ahead from `due` to `leases`; finishing removes them; a lease that ran out is claimed again. Nothing here
decides whether an automation runs: that is the commit's affair, so a job claimed twice does no harm.

Every script touches the keys of one shard, which share a hash tag, so the queue spreads over a cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog

from statemachine import AutomationKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis.asyncio import Redis
    from redis.asyncio.client import Pipeline

log = structlog.get_logger(__name__)

SHARDS: Final = 8
_KINDS: Final = tuple(AutomationKind)
_MEMBER_BYTES: Final = 19


@dataclass(frozen=True, slots=True)
class Job:
    """One automation of one plan of one session."""

    session_id: UUID
    kind: AutomationKind
    schedule_version: int

    @property
    def shard(self) -> int:
        """The shard that the session's jobs live in."""
        return shard_of(self.session_id)

    def member(self) -> bytes:
        """Write the job as a member: 16 bytes of the id, 1 of the kind, 2 of the schedule version."""
        return (
            self.session_id.bytes
            + bytes([_KINDS.index(self.kind)])
            + (self.schedule_version % 65536).to_bytes(2, "big")
        )

    @classmethod
    def from_member(cls, member: bytes) -> Job:
        """Read a member. Raises ValueError for anything else."""
        if len(member) != _MEMBER_BYTES or member[16] >= len(_KINDS):
            raise ValueError(f"not a job: {member!r}")
        return cls(UUID(bytes=member[:16]), _KINDS[member[16]], int.from_bytes(member[17:], "big"))


@dataclass(frozen=True, slots=True)
class Claim:
    """A leased job. `due_ms` is 0 when the lease of somebody else ran out: run it now."""

    job: Job
    due_ms: int


@dataclass(slots=True)
class Claimed:
    """What a claim found.

    `heads`: by shard the due instant (ms) of the first job that stays, where there is one. `complete`: no
    shard has been emptied since it was filled.
    """

    claims: list[Claim]
    heads: dict[int, int]
    complete: bool


@dataclass(frozen=True, slots=True)
class Depth:
    """One shard at a glance; instants in ms since 1970, `head_ms` None when nothing waits."""

    shard: int
    waiting: int
    leased: int
    overdue: int
    head_ms: int | None


def shard_of(session_id: UUID) -> int:
    """Say which shard the jobs of a session live in."""
    return session_id.int % SHARDS


def due_key(shard: int) -> str:
    """Name the sorted set of due instants."""
    return f"rdchat:{{q{shard}}}:due"


def leases_key(shard: int) -> str:
    """Name the sorted set of leases."""
    return f"rdchat:{{q{shard}}}:leases"


def filled_key(shard: int) -> str:
    """Name the mark that a shard was filled; whoever finds it gone knows that Redis was emptied."""
    return f"rdchat:{{q{shard}}}:filled"


def alarm_key(shard: int) -> str:
    """Name the key whose expiry is the earliest due instant."""
    return f"rdchat:{{q{shard}}}:alarm"


# ARGV: look-ahead ms, lease ms, limit. Returns: due of the new head (or -1), whether the shard was filled,
# then per job its member and due instant (0: its lease ran out). Redis' own clock rules: replicas need not
# agree.
_CLAIM: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit = tonumber(ARGV[3])
local out = {-1, redis.call('EXISTS', KEYS[3])}
local lease = now + ARGV[2]
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, limit)) do
  redis.call('ZADD', KEYS[2], lease, member)
  out[#out + 1] = member
  out[#out + 1] = '0'
  limit = limit - 1
end
if limit > 0 then
  local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now + ARGV[1], 'WITHSCORES', 'LIMIT', 0, limit)
  for i = 1, #due, 2 do
    redis.call('ZREM', KEYS[1], due[i])
    redis.call('ZADD', KEYS[2], math.max(lease, due[i + 1] + ARGV[2]), due[i])
    out[#out + 1] = due[i]
    out[#out + 1] = due[i + 1]
  end
end
local head = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if head[2] then out[1] = tonumber(head[2]) end
return out
"""

# ARGV: number of members to remove, those members, then score and member of each to add.
_REPLACE: Final = """
local gone = tonumber(ARGV[1])
for i = 2, gone + 1 do
  redis.call('ZREM', KEYS[1], ARGV[i])
  redis.call('ZREM', KEYS[2], ARGV[i])
end
for i = gone + 2, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1])
end
return 1
"""

# ARGV: score and member of each. Adds what is in neither set; returns how many that were.
_ADD_MISSING: Final = """
local added = 0
for i = 1, #ARGV, 2 do
  if not redis.call('ZSCORE', KEYS[2], ARGV[i + 1]) then
    added = added + redis.call('ZADD', KEYS[1], 'NX', ARGV[i], ARGV[i + 1])
  end
end
return added
"""

# ARGV: score, member. A job whose lease was lost meanwhile is somebody else's now.
_POSTPONE: Final = """
if redis.call('ZREM', KEYS[2], ARGV[2]) == 1 then
  return redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
end
return 0
"""


class DelayQueue:
    """The queue on one Redis. Every method raises what redis-py raises (see `hot.connection.LOST`)."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def schedule(self, jobs: Iterable[tuple[Job, int]]) -> None:
        """Add jobs with their due instants (ms), moving those that are there already."""
        await self._by_shard(_REPLACE, jobs, head=[0])

    async def add_missing(self, jobs: Iterable[tuple[Job, int]]) -> int:
        """Add the jobs that the queue does not hold, neither waiting nor leased. Returns how many."""
        return sum(await self._by_shard(_ADD_MISSING, jobs, head=[]))

    async def remove(self, jobs: Iterable[Job]) -> None:
        """Take jobs out, whether they wait or are leased."""
        shards: dict[int, list[bytes]] = {}
        for job in jobs:
            shards.setdefault(job.shard, []).append(job.member())
        async with self._redis.pipeline(transaction=False) as pipeline:
            for shard, members in shards.items():
                _eval(pipeline, _REPLACE, shard, [len(members), *members])
            await pipeline.execute()

    async def claim(self, shards: Sequence[int], *, look_ahead_ms: int, lease_ms: int, limit: int) -> Claimed:
        """Lease up to `limit` jobs a shard that are due within the look-ahead."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for shard in shards:
                _eval(pipeline, _CLAIM, shard, [look_ahead_ms, lease_ms, limit])
            answers = await pipeline.execute()
        claimed = Claimed([], {}, complete=True)
        for shard, (head, filled, *found) in zip(shards, answers, strict=True):
            claimed.complete = claimed.complete and bool(filled)
            if head >= 0:
                claimed.heads[shard] = head
            for member, due in zip(found[::2], found[1::2], strict=True):
                try:
                    job = Job.from_member(member)
                except ValueError as error:
                    # Perhaps of a newer release, whose workers know it: it stays leased, and is left alone.
                    log.warning("the delay queue holds something unknown", error=str(error))
                    continue
                claimed.claims.append(Claim(job, int(float(due))))
        return claimed

    async def mark_filled(self) -> None:
        """Note that every shard holds what it should."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for shard in range(SHARDS):
                pipeline.set(filled_key(shard), b"1")
            await pipeline.execute()

    async def finish(self, jobs: Iterable[Job]) -> None:
        """Remove jobs that are done with."""
        shards: dict[int, list[bytes]] = {}
        for job in jobs:
            shards.setdefault(job.shard, []).append(job.member())
        async with self._redis.pipeline(transaction=False) as pipeline:
            for shard, members in shards.items():
                pipeline.zrem(leases_key(shard), *members)
            await pipeline.execute()

    async def postpone(self, jobs: Iterable[tuple[Job, int]]) -> None:
        """Give leased jobs back, to be due at the instants (ms) named."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for job, due_ms in jobs:
                _eval(pipeline, _POSTPONE, job.shard, [due_ms, job.member()])
            await pipeline.execute()

    async def depth(self, now_ms: int) -> list[Depth]:
        """Look at every shard."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for shard in range(SHARDS):
                pipeline.zcard(due_key(shard))
                pipeline.zcard(leases_key(shard))
                pipeline.zcount(due_key(shard), "-inf", now_ms)
                pipeline.zrange(due_key(shard), 0, 0, withscores=True)
            answers = await pipeline.execute()
        return [
            Depth(shard, waiting, leased, overdue, int(head[0][1]) if head else None)
            for shard in range(SHARDS)
            for waiting, leased, overdue, head in [answers[4 * shard : 4 * shard + 4]]
        ]

    async def _by_shard(self, script: str, jobs: Iterable[tuple[Job, int]], *, head: list[int]) -> list[int]:
        shards: dict[int, list[Any]] = {}
        for job, due_ms in jobs:
            shards.setdefault(job.shard, list(head)).extend((due_ms, job.member()))
        async with self._redis.pipeline(transaction=False) as pipeline:
            for shard, arguments in shards.items():
                _eval(pipeline, script, shard, arguments)
            return list(await pipeline.execute())


def _eval(pipeline: Pipeline, script: str, shard: int, arguments: Sequence[Any]) -> None:
    # The text goes along every time: after a restart or SCRIPT FLUSH there is nothing to load first.
    pipeline.eval(script, 3, due_key(shard), leases_key(shard), filled_key(shard), *arguments)

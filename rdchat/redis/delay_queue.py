"""The delay queue: which automation or reminder is due when, in Redis, by shard.

Per shard there are two sorted sets: `due` (score: due instant, ms since 1970) and `leases` (score: when the
lease of a claimed job runs out). A job is in exactly one of them. A claim moves jobs that fall due within the
look-ahead from `due` to `leases`; finishing removes them; a worker renews the leases of what it holds longer,
and a lease that ran out is claimed again. Nothing here decides whether an automation runs: that is the
commit's affair, so a job claimed twice does no harm.

A third key marks how far a shard is filled. With it goes a member of `due` that is no job: when Redis loses
everything, or that set alone, the next to claim finds out.

Every script touches the keys of one shard, which share a hash tag, so the queue spreads over a cluster.
(Longer than other modules: what a job is in Redis and each move that it makes are one agreement.)
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

import structlog
from redis.exceptions import NoScriptError

from rdchat.common.ids import id_from_bytes
from rdchat.redis import scripts
from rdchat.redis.connection import raise_first
from statemachine import AutomationKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from uuid import UUID

    from rdchat.redis.connection import RedisClient

log = structlog.get_logger(__name__)


class ReminderKind(StrEnum):
    """What a timer does that is no automation of a session."""

    REMINDER = "reminder"


#: What a job is: an automation of a session, or a reminder of a counselling.
JobKind = AutomationKind | ReminderKind

SHARDS: Final = 8
#: The byte that stands for a kind in a member. Jobs outlive releases: a code never changes its meaning, and
#: that of a kind that is gone is not used again.
KIND_CODES: Final[dict[JobKind, int]] = {
    AutomationKind.INITIAL_MESSAGE: 0,
    AutomationKind.ENABLE_CHAT: 1,
    AutomationKind.END_WARNING: 2,
    AutomationKind.AUTO_END: 3,
    ReminderKind.REMINDER: 4,
}
#: Chats that open at the instant of many reminders are claimed and opened before these.
REMINDER_DELAY_MS: Final = 1
_KINDS: Final = {code: kind for kind, code in KIND_CODES.items()}
_MEMBER: Final = Struct(">16sBH")
#: The last byte of the id, whose lowest bits choose the shard, and that of the kind.
_LAST_OF_ID, _KIND = 15, 16


@dataclass(frozen=True, slots=True)
class Job:
    """One automation of one plan of one session, or one reminder of one counselling.

    `subject_id` is the session's or the counselling's, `number` the plan's or the reminder's.
    """

    subject_id: UUID
    kind: JobKind
    number: int

    @property
    def shard(self) -> int:
        """The shard that the jobs of its subject live in."""
        return shard_of(self.subject_id)

    def member(self) -> bytes:
        """Encode the job as a member: 16 bytes of the id, 1 of the kind, 2 of the number.

        `list_scheduled` of `rdchat.postgres.scheduled_jobs` has PostgreSQL write the same bytes.
        """
        return _MEMBER.pack(self.subject_id.bytes, KIND_CODES[self.kind], self.number % 65536)

    @classmethod
    def from_member(cls, member: bytes) -> Job:
        """Read a member. Raise ValueError for anything else."""
        if len(member) != _MEMBER.size or member[_KIND] not in _KINDS:
            raise ValueError(f"not a job: {member!r}")
        subject_id, kind, number = _MEMBER.unpack(member)
        return cls(id_from_bytes(subject_id), _KINDS[kind], number)


@dataclass(frozen=True, slots=True)
class Claim:
    """A leased job. `due_ms` is 0 when another worker's lease ran out: run it now."""

    job: Job
    due_ms: int


@dataclass(slots=True)
class ClaimResult:
    """What a claim found.

    `heads`: by shard the due instant (ms) of the first job that stays, where there is one. `expiry_ms`: after
    how many ms the first lease runs out, whatever worker has it; None when nothing is leased. `complete`: no
    shard has been emptied since it was filled. `away`: the shards that could not be asked.
    """

    claims: list[Claim]
    heads: dict[int, int]
    expiry_ms: int | None
    complete: bool
    away: list[int]


@dataclass(frozen=True, slots=True)
class Depth:
    """One shard at a glance; instants in ms since 1970, `head_ms` None when nothing waits."""

    shard: int
    waiting: int
    leased: int
    overdue: int
    head_ms: int | None


def reminder_score(due_ms: int) -> int:
    """Return when a reminder that is due at an instant (ms) is due in the queue."""
    return due_ms + REMINDER_DELAY_MS


def shard_of(subject_id: UUID) -> int:
    """Return the shard that holds the jobs of a session or a counselling."""
    return subject_id.bytes[_LAST_OF_ID] % SHARDS


def due_key(shard: int) -> str:
    """Return the key of the sorted set of due instants."""
    return f"rdchat:{{q{shard}}}:due"


def leases_key(shard: int) -> str:
    """Return the key of the sorted set of leases."""
    return f"rdchat:{{q{shard}}}:leases"


def filled_key(shard: int) -> str:
    """Return the key that says up to which instant (ms) a shard is filled; without it, Redis was emptied."""
    return f"rdchat:{{q{shard}}}:filled"


def alarm_key(shard: int) -> str:
    """Return the key that expires at the earliest due instant."""
    return f"rdchat:{{q{shard}}}:alarm"


#: The keys of each shard, in the order in which scripts know them.
_KEYS: Final = [(due_key(shard), leases_key(shard), filled_key(shard)) for shard in range(SHARDS)]


class DelayQueue:
    """The queue. Every method raises what redis-py raises (see `redis.connection.LOST`) unless it says more.

    `on_scheduled` is called when this process has scheduled jobs, so that its own worker need not wait for
    Redis to notify it.
    """

    def __init__(self, store: RedisClient, on_scheduled: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._on_scheduled = on_scheduled

    async def schedule(self, jobs: Iterable[tuple[Job, int]]) -> None:
        """Add jobs with their due instants (ms), moving those that are there already."""
        await self._run(scripts.SCHEDULE, _by_shard([(job.member(), due_ms) for job, due_ms in jobs]))
        self._on_scheduled()

    async def add_missing(self, members: Iterable[tuple[bytes, int]]) -> int:
        """Add the jobs that the queue does not hold, neither waiting nor leased. Return how many.

        They come as members (see `Job.member`) with their due instants (ms): there may be millions.
        """
        return sum(await self._run(scripts.ADD_MISSING, _by_shard(members)))

    async def remove(self, jobs: Iterable[Job]) -> None:
        """Remove jobs, waiting or leased."""
        await self._run(scripts.REMOVE, _members_by_shard(jobs))

    async def claim(
        self, shards: Sequence[int], *, look_ahead_ms: int, lease_ms: int, limit: int
    ) -> ClaimResult:
        """Lease up to `limit` jobs a shard that are due within the look-ahead, earliest first.

        Shards that cannot be asked are listed in the answer; raise when that is all of them.
        """
        limit = min(limit, scripts.MOST)
        answers = await self._evaluate(
            scripts.CLAIM, [(shard, [look_ahead_ms, lease_ms, limit]) for shard in shards]
        )
        claimed = ClaimResult([], {}, expiry_ms=None, complete=True, away=[])
        for shard, answer in zip(shards, answers, strict=True):
            if isinstance(answer, BaseException):
                claimed.away.append(shard)
            else:
                _read_claim(claimed, shard, *answer)
                # There may be thousands: other tasks run in between.
                await asyncio.sleep(0)
        if len(claimed.away) == len(shards):
            raise_first(answers)
        return claimed

    async def filled_until(self) -> int | None:
        """Return up to which instant (ms) all shards are filled; None if one was emptied or never filled."""
        marks = await self._run(scripts.FILLED, [(shard, []) for shard in range(SHARDS)])
        return min((int(mark) for mark in marks), default=None) if all(marks) else None

    async def mark_filled(self, until_ms: int, *, create: bool = False) -> None:
        """Note that every shard is filled up to an instant (ms); a mark never moves back.

        Without `create` a missing mark stays missing: filling an emptied queue then has to begin again.
        """
        await self._run(scripts.MARK, [(shard, [until_ms, int(create)]) for shard in range(SHARDS)])

    async def finish(self, jobs: Iterable[Job]) -> None:
        """Remove settled jobs."""
        raise_first(
            await self._store.many(
                [("ZREM", leases_key(shard), *members) for shard, members in _members_by_shard(jobs)]
            )
        )

    async def renew(self, jobs: Iterable[Job], lease_ms: int) -> None:
        """Prolong the leases of claimed jobs, counted from now. What has no lease any more gets none."""
        await self._run(
            scripts.RENEW, ((shard, [lease_ms, *members]) for shard, members in _members_by_shard(jobs))
        )

    async def postpone(self, jobs: Iterable[tuple[Job, int]]) -> None:
        """Release leased jobs, making them due at the given instants (ms)."""
        await self._run(scripts.POSTPONE, _by_shard((job.member(), due_ms) for job, due_ms in jobs))

    async def depth(self, overdue_ms: int = 0) -> list[Depth]:
        """Inspect every shard; a waiting job that was due more than `overdue_ms` ago is overdue."""
        answers = await self._run(scripts.LOOK, [(shard, [overdue_ms]) for shard in range(SHARDS)])
        return [
            Depth(shard, waiting, leased, overdue, head if head >= 0 else None)
            for shard, (waiting, leased, overdue, head) in enumerate(answers)
        ]

    async def _run(self, script: str, arguments: Iterable[tuple[int, list[Any]]]) -> list[Any]:
        answers = await self._evaluate(script, arguments)
        raise_first(answers)
        return answers

    async def _evaluate(self, script: str, arguments: Iterable[tuple[int, list[Any]]]) -> list[Any]:
        keyed = [(3, *_KEYS[shard], *own) for shard, own in arguments]
        digest = scripts.digest_of(script)
        answers = await self._store.many([("EVALSHA", digest, *own) for own in keyed])
        # A server that has been started or emptied of scripts since does not know them by their digests.
        unknown = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            texts = await self._store.many([("EVAL", script, *keyed[index]) for index in unknown])
            for index, answer in zip(unknown, texts, strict=True):
                answers[index] = answer
        return answers


def _read_claim(
    claimed: ClaimResult, shard: int, head: int, expiry_ms: int, filled: int, *found: bytes
) -> None:
    claimed.complete = claimed.complete and bool(filled)
    if head >= 0:
        claimed.heads[shard] = head
    if expiry_ms >= 0:
        claimed.expiry_ms = expiry_ms if claimed.expiry_ms is None else min(claimed.expiry_ms, expiry_ms)
    for member, due in zip(found[::2], found[1::2], strict=True):
        try:
            job = Job.from_member(member)
        except ValueError as error:
            # Perhaps from a newer release, whose workers can read it: it stays leased and is left alone.
            log.warning("the delay queue holds something unknown", error=str(error))
            continue
        claimed.claims.append(Claim(job, int(float(due))))


def _by_shard(members: Iterable[tuple[bytes, int]]) -> list[tuple[int, list[Any]]]:
    """Turn members and due instants into script arguments: score and member of each, by shard."""
    shards: defaultdict[int, list[Any]] = defaultdict(list)
    for member, due_ms in members:
        shards[member[_LAST_OF_ID] % SHARDS] += due_ms, member
    return _in_parts(shards, 2 * scripts.MOST)


def _members_by_shard(jobs: Iterable[Job]) -> list[tuple[int, list[Any]]]:
    shards: dict[int, list[Any]] = {}
    for job in jobs:
        shards.setdefault(job.shard, []).append(job.member())
    return _in_parts(shards, scripts.MOST)


def _in_parts(shards: dict[int, list[Any]], size: int) -> list[tuple[int, list[Any]]]:
    return [
        (shard, arguments[start : start + size])
        for shard, arguments in shards.items()
        for start in range(0, len(arguments), size)
    ]

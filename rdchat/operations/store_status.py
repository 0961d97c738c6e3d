"""How the parts are that sessions rest on: queue, outbox, webhooks, stores, clock, replicas."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rdchat.common.corrected_clock import CorrectedClock
from rdchat.common.kept import Kept
from rdchat.postgres import dead_letters, outbox, scheduled_jobs, webhooks
from rdchat.postgres.server_status import measure_server
from rdchat.redis.connection import LOST

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from rdchat.common.clock import Clock
    from rdchat.domain.overview import PostgresqlStatus
    from rdchat.operations.heartbeat import Vitals
    from rdchat.postgres.pool import Pool
    from rdchat.realtime.publisher import Publisher
    from rdchat.redis.connection import RedisClient
    from rdchat.redis.replica_registry import ReplicaRegistry
    from rdchat.timers.monitor import TimerMonitor

T = TypeVar("T")

#: What is younger than this is being run just now.
LATE: Final = timedelta(seconds=2)
REDIS: Final = "Redis"
#: A page that asks more often than this is given what is known.
KEPT_SECONDS: Final = 3.0


class Away(Exception):  # noqa: N818 - a state, in a sentence for people
    """A store other than PostgreSQL cannot be asked."""


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """Timers. `scheduled`, `leased`: jobs in the delay queue, which holds those of a day; None without Redis.

    `due`: what should have run and was never tried, OVERDUE_COUNTED at most; since when, `oldest_due_at`.
    """

    scheduled: int | None
    leased: int | None
    due: int
    oldest_due_at: datetime | None
    late_ms: int
    dead_letters: int


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """Commits that Ably has yet to take."""

    waiting: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class WebhookStatus:
    """Webhooks that wait, and that were given up."""

    waiting: int
    dead: int


@dataclass(frozen=True, slots=True)
class AblyStatus:
    """Whether this replica's events are taken, and by whom: Ably, or the local endpoint."""

    is_refusing: bool
    is_local: bool


@dataclass(frozen=True, slots=True)
class RedisStatus:
    """How long an answer takes; memory in use and its limit (0: none), in bytes; clients."""

    latency_ms: float
    used_memory: int
    most_memory: int
    clients: int


@dataclass(frozen=True, slots=True)
class ClockStatus:
    """How far this machine's clock is ahead of PostgreSQL's; None where it is not measured."""

    offset_ms: float | None
    problem: str | None


class StoreStatus:
    """Asks the parts, each at most once in `seconds`.

    What needs Redis raises Away without it, what needs PostgreSQL UnavailableError.
    """

    def __init__(
        self,
        *,
        pool: Pool,
        redis: RedisClient,
        registry: ReplicaRegistry,
        monitor: TimerMonitor,
        publisher: Publisher,
        vitals: Vitals,
        clock: Clock,
        ably_is_local: bool,
        seconds: float,
    ) -> None:
        self._pool = pool
        self._redis = redis
        self._registry = registry
        self._monitor = monitor
        self._publisher = publisher
        self._vitals = vitals
        self._clock = clock
        self._ably_is_local = ably_is_local

        def kept(read: Callable[[], Coroutine[None, None, T]], what: str = "PostgreSQL") -> Kept[T]:
            return Kept(read, what=what, seconds=seconds)

        self.queue: Kept[QueueStatus] = kept(self._look_at_queue)
        self.outbox: Kept[OutboxStatus] = kept(self._look_at_outbox)
        self.webhooks: Kept[WebhookStatus] = kept(self._look_at_webhooks)
        self.postgresql: Kept[PostgresqlStatus] = kept(self._look_at_postgresql)
        self.redis: Kept[RedisStatus] = kept(self._look_at_redis, REDIS)
        self.replicas: Kept[list[dict[str, Any]]] = kept(self._list_replicas, REDIS)

    async def close(self) -> None:
        """Stop asking."""
        kept = (self.queue, self.outbox, self.webhooks, self.postgresql, self.redis, self.replicas)
        await asyncio.gather(*(one.close() for one in kept))

    def ably(self) -> AblyStatus:
        """Tell whether Ably takes this replica's events."""
        return AblyStatus(self._publisher.is_refused, self._ably_is_local)

    def clock(self) -> ClockStatus:
        """Tell how right this machine's clock is."""
        clock = self._clock
        problem = clock.problem if isinstance(clock, CorrectedClock) else None
        return ClockStatus(self._vitals.clock_offset_ms, problem)

    async def _look_at_queue(self) -> QueueStatus:
        now = self._clock.now()
        due, oldest = await scheduled_jobs.count_overdue(self._pool, now - LATE)
        # The monitor asks Redis every few seconds in any case.
        seen = self._monitor.status
        return QueueStatus(
            scheduled=seen.waiting,
            leased=seen.leased,
            due=due,
            oldest_due_at=oldest,
            late_ms=round((now - oldest).total_seconds() * 1000) if oldest is not None else 0,
            dead_letters=await dead_letters.count_dead_letters(self._pool),
        )

    async def _look_at_outbox(self) -> OutboxStatus:
        return OutboxStatus(*await outbox.measure_entries(self._pool))

    async def _look_at_webhooks(self) -> WebhookStatus:
        return WebhookStatus(*await webhooks.count_deliveries(self._pool))

    async def _look_at_postgresql(self) -> PostgresqlStatus:
        return await measure_server(self._pool)

    async def _look_at_redis(self) -> RedisStatus:
        loop = asyncio.get_running_loop()
        try:
            asked = loop.time()
            await self._redis.probe()
            latency = loop.time() - asked
            return RedisStatus(latency * 1000, *await self._redis.measure())
        except LOST as error:
            raise Away(f"{REDIS} is away") from error

    async def _list_replicas(self) -> list[dict[str, Any]]:
        try:
            found = await self._registry.list_present()
        except LOST as error:
            raise Away(f"{REDIS} is away: which replicas there are is not known") from error
        return sorted(found, key=lambda one: (one["startedAt"], one["id"]))

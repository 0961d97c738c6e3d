"""What those see at a glance who run the service. Pages ask every few seconds, so parts are kept for a while.

A part whose store is away is None, and `problems` says why; the others are shown all the same.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rdchat.common.clock import from_ms, to_ms
from rdchat.common.errors import UnavailableError
from rdchat.common.kept import Kept
from rdchat.domain import permissions
from rdchat.domain.availability import to_instant
from rdchat.domain.booking import zone
from rdchat.domain.overview import LatenessMinute, Opening, PostgresqlStatus, SessionCounts
from rdchat.operations.store_status import (
    AblyStatus,
    Away,
    ClockStatus,
    OutboxStatus,
    QueueStatus,
    RedisStatus,
    StoreStatus,
    WebhookStatus,
)
from rdchat.postgres import session_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from datetime import datetime
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.person import Caller
    from rdchat.postgres.pool import Pool
    from rdchat.postgres.session_numbers import ByOrganization

T = TypeVar("T")

_HOUR: Final = timedelta(hours=1)
#: When more than this are kept by organisation or by day, those that are stale are forgotten.
_KEPT: Final = 100
POSTGRESQL: Final = "PostgreSQL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The whole of it. `counted_at`: as of when sessions that are ahead were counted, which is kept longest.

    `runs`: what is about the service and not about sessions; None for those who oversee an organisation.
    """

    at: datetime
    counted_at: datetime | None
    counts: SessionCounts | None
    openings: tuple[list[Opening], int] | None
    lateness: list[LatenessMinute] | None
    runs: ServiceStatus | None
    problems: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """How the service is; a part is None that could not be asked for."""

    queue: QueueStatus | None
    outbox: OutboxStatus | None
    webhooks: WebhookStatus | None
    ably: AblyStatus
    postgresql: PostgresqlStatus | None
    redis: RedisStatus | None
    clock: ClockStatus
    replicas: list[dict[str, Any]] | None


@dataclass(frozen=True, slots=True)
class _Ahead:
    at: datetime
    sessions: ByOrganization


@dataclass(slots=True, kw_only=True)
class OverviewService:
    """Puts it together, from what is known already and what is asked for and kept `seconds` at least."""

    pool: Pool
    clock: Clock
    stores: StoreStatus
    seconds: float
    _ended: dict[datetime, Kept[Any]] = field(default_factory=dict, init=False)
    _openings: dict[UUID | None, Kept[Any]] = field(default_factory=dict, init=False)
    _ahead: Kept[_Ahead] = field(init=False)
    _last_ahead: _Ahead | None = field(default=None, init=False)
    _begun: Kept[tuple[_Ahead, Mapping[str, ByOrganization]]] = field(init=False)
    _lateness: Kept[Any] = field(init=False)

    def __post_init__(self) -> None:
        """Make what is asked of PostgreSQL for all who look."""
        self._ahead = self._kept(self._count_ahead)
        self._begun = self._kept(self._count_begun)
        self._lateness = self._kept(self._measure_lateness)

    async def close(self) -> None:
        """Stop asking."""
        kept: list[Kept[Any]] = [self._ahead, self._begun, self._lateness]
        kept += [*self._ended.values(), *self._openings.values()]
        await asyncio.gather(*(one.close() for one in kept))

    async def look(self, caller: Caller, timezone: str) -> Overview:
        """Put together what a caller may see; `today` is the day of `timezone`.

        Raise RdchatError: VALIDATION_FAILED for an unknown zone, FORBIDDEN for one who oversees nothing.
        """
        organization_id = permissions.overseen_organization(caller, None)
        now = self.clock.now()
        today = now.astimezone(zone(timezone)).date()
        day = to_instant(today, time(0), zone(timezone))
        problems: dict[str, str] = {}

        async def part(name: str, read: Coroutine[None, None, T]) -> T | None:
            try:
                return await read
            except UnavailableError as error:
                problems[name] = f"{error.what} is away"
            except Away as error:
                problems[name] = str(error)
            return None

        is_admin = permissions.is_administrator(caller)
        counted, openings, lateness, runs = await asyncio.gather(
            part("counts", self._count(organization_id, day)),
            part("opening", self._list_openings(organization_id)),
            part("lateness", self._lateness_of(organization_id)),
            self._look_at_service(part, problems) if is_admin else _nothing(),
        )
        return Overview(
            at=now,
            counted_at=counted[1] if counted is not None else None,
            counts=counted[0] if counted is not None else None,
            openings=openings,
            lateness=lateness,
            runs=runs,
            problems=problems,
        )

    async def _look_at_service(
        self,
        part: Callable[[str, Coroutine[None, None, Any]], Coroutine[None, None, Any]],
        problems: dict[str, str],
    ) -> ServiceStatus:
        stores = self.stores
        queue, outbox, webhooks, postgresql, redis, replicas = await asyncio.gather(
            part("queue", stores.queue.get()),
            part("outbox", stores.outbox.get()),
            part("webhooks", stores.webhooks.get()),
            part("postgresql", stores.postgresql.get()),
            part("redis", stores.redis.get()),
            part("replicas", stores.replicas.get()),
        )
        ably, clock = stores.ably(), stores.clock()
        if queue is not None and queue.scheduled is None:
            problems["queue"] = "Redis is away: what waits there is not known"
        if ably.is_refusing:
            problems["ably"] = "Ably does not take events; they are kept"
        if clock.problem is not None:
            problems["clock"] = clock.problem
        return ServiceStatus(
            queue=queue,
            outbox=outbox,
            webhooks=webhooks,
            ably=ably,
            postgresql=postgresql,
            redis=redis,
            clock=clock,
            replicas=replicas,
        )

    # ---- sessions -----------------------------------------------------------------------------------------

    async def _count(self, organization_id: UUID | None, day: datetime) -> tuple[SessionCounts, datetime]:
        self._last_ahead = await self._ahead.get()
        (ahead, begun), ended = await asyncio.gather(
            self._begun.get(), self._keyed(self._ended, day, partial(self._count_ended, day)).get()
        )

        def of(counted: ByOrganization | None) -> int:
            if counted is None:
                return 0
            return sum(counted.values()) if organization_id is None else counted.get(organization_id, 0)

        # What has opened since the count of those ahead is counted as open, and would be counted twice.
        pending = of(ahead.sessions) - of(begun.get("opened_since")) + of(begun.get("late"))
        counts = SessionCounts(
            pending=max(0, pending),
            active=of(begun.get("active")),
            ending_soon=of(begun.get("ending_soon")),
            completed=of(ended.get("completed")),
            cancelled=of(ended.get("cancelled")),
            missed=of(ended.get("missed")),
        )
        return counts, ahead.at

    async def _count_ahead(self) -> _Ahead:
        now = self.clock.now()
        return _Ahead(now, await session_numbers.count_ahead(self.pool, now))

    async def _count_begun(self) -> tuple[_Ahead, Mapping[str, ByOrganization]]:
        ahead = self._last_ahead
        if ahead is None:  # pragma: no cover - `_count` sets it first
            raise LookupError("nothing was counted before")
        return ahead, await session_numbers.count_begun(self.pool, self.clock.now(), ahead.at)

    async def _count_ended(self, day: datetime) -> Mapping[str, ByOrganization]:
        return await session_numbers.count_ended(self.pool, day)

    async def _list_openings(self, organization_id: UUID | None) -> tuple[list[Opening], int]:
        kept = self._keyed(self._openings, organization_id, partial(self._find_openings, organization_id))
        found: tuple[list[Opening], int] = await kept.get()
        return found

    async def _find_openings(self, organization_id: UUID | None) -> tuple[list[Opening], int]:
        now = self.clock.now()
        return await session_numbers.list_openings(self.pool, organization_id, now, now + _HOUR)

    async def _lateness_of(self, organization_id: UUID | None) -> list[LatenessMinute]:
        total, by_organization = await self._lateness.get()
        found: list[LatenessMinute] = (
            total if organization_id is None else by_organization.get(organization_id, [])
        )
        return found

    async def _measure_lateness(self) -> tuple[list[LatenessMinute], Mapping[Any, list[LatenessMinute]]]:
        # Whole minutes: one that has begun before would seem to have fewer.
        minute_ms = 60_000
        since = from_ms((to_ms(self.clock.now() - _HOUR) // minute_ms + 1) * minute_ms)
        return await session_numbers.measure_lateness(self.pool, since)

    def _kept(self, read: Callable[[], Coroutine[None, None, T]]) -> Kept[T]:
        return Kept(read, what=POSTGRESQL, seconds=self.seconds)

    def _keyed(
        self,
        kept: dict[Any, Kept[Any]],
        key: object,
        read: Callable[[], Coroutine[None, None, Any]],
    ) -> Kept[Any]:
        if key not in kept:
            if len(kept) >= _KEPT:
                for stale in [one for one, value in kept.items() if not value.is_fresh]:
                    del kept[stale]
            kept[key] = self._kept(read)
        return kept[key]


async def _nothing() -> None:
    return None

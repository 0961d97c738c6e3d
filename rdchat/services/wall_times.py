"""Keeping wall times: when the tz database changes, a counselling stays at the time that was agreed.

What was promised is what a clock shows. If a country changes its rules, the instants of what is booked there
are others, and the counsellings are moved to them, as an administrator would: limits, session and timers move
along, and both people are told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.common.errors import RdchatError, UnavailableError
from rdchat.domain.booking import Slot, is_zone
from rdchat.postgres import counselings, zones

if TYPE_CHECKING:
    import asyncio
    from datetime import date, time
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.postgres.pool import Pool
    from rdchat.postgres.zones import Agreed
    from rdchat.services.rescheduling import ReschedulingService

log = structlog.get_logger(__name__)

#: The version of the tz database that this release knows: every replica of it, since it is a package.
TZDATA: Final = version("tzdata")


@dataclass(frozen=True, slots=True)
class Shifted:
    """A counselling whose wall time means another instant now. `fault`: why it could not be moved."""

    counseling_id: UUID
    before: datetime
    after: datetime
    fault: str | None = None


@dataclass(slots=True, kw_only=True)
class WallTimeService:
    """Finds what a change of the tz database has shifted, and moves it back to its wall time."""

    pool: Pool
    rescheduling: ReschedulingService
    clock: Clock
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, in the background, unless this version of the tz database was held to before."""
        self._task = keep_running(self._keep, "wall times")

    async def close(self) -> None:
        """Stop. What is left is found at the next start."""
        await cancel(self._task)

    async def keep(self, *, dry_run: bool = False) -> list[Shifted]:
        """Move what has shifted, or with `dry_run` only find it. Raise UnavailableError."""
        now = self.clock.now()
        found = []
        async for page in zones.list_agreed(self.pool, after=now):
            for agreed in page:
                slot = _slot_now(agreed)
                if slot is None or (slot.starts_at, slot.ends_at) == (agreed.starts_at, agreed.ends_at):
                    continue
                fault = None if dry_run else await self._move(agreed, slot)
                found.append(Shifted(agreed.counseling_id, agreed.starts_at, slot.starts_at, fault))
        if not dry_run:
            await zones.set_tzdata_version(self.pool, TZDATA)
        return found

    async def _move(self, agreed: Agreed, slot: Slot) -> str | None:
        counseling = await counselings.get_counseling(self.pool, agreed.counseling_id, at=self.clock.now())
        if counseling is None:  # pragma: no cover - counsellings are not deleted
            return "it is gone"
        if (counseling.slot.starts_at, counseling.slot.ends_at) == (slot.starts_at, slot.ends_at):
            return None  # another replica was here
        if slot.starts_at <= self.clock.now():
            return "its time would be past"
        try:
            await self.rescheduling.keep_wall_time(counseling, slot)
        except UnavailableError:
            raise
        except RdchatError as error:
            return str(error)
        return None

    async def _keep(self) -> None:
        if await zones.get_tzdata_version(self.pool) == TZDATA:
            return
        for one in await self.keep():
            log.warning(
                "a counselling was moved to keep its wall time"
                if one.fault is None
                else "a counselling does not keep its wall time",
                counseling=str(one.counseling_id),
                before=one.before.isoformat(),
                after=one.after.isoformat(),
                why=one.fault,
            )


def _slot_now(agreed: Agreed) -> Slot | None:
    """Return when the agreed wall time is by today's rules; None where the zone is not known here."""
    if not is_zone(agreed.timezone):
        log.error("a time zone is not known any more", zone=agreed.timezone)
        return None
    tz = ZoneInfo(agreed.timezone)
    return Slot(
        _instant(agreed.start_day, agreed.start, tz),
        _instant(agreed.end_day, agreed.end, tz),
        agreed.timezone,
    )


def _instant(day: date, at: time, tz: ZoneInfo) -> datetime:
    # A time that does not exist any more means what Python takes it for: the offset of before the change.
    return datetime.combine(day, at, tz).astimezone(UTC)

"""Who can be booked, and when: psychologists, their working hours, and the times that are left."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from rdchat.common.errors import ErrorCode, RdchatError, invalid
from rdchat.domain import permissions
from rdchat.domain.availability import checked
from rdchat.domain.booking import zone
from rdchat.domain.free_slots import Desk, bounds_of, free_slots, shared_slots
from rdchat.domain.person import clean_name
from rdchat.postgres import availability, people

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.availability import Availability, DayException, WeeklyHours
    from rdchat.domain.booking import Limits, Slot
    from rdchat.domain.booking_rules import BookingRules
    from rdchat.domain.free_slots import FreeSlot, SharedSlot, Wish
    from rdchat.domain.person import Caller, Psychologist
    from rdchat.postgres.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class PsychologistService:
    """Psychologists, as clients look for them and as administrators and they themselves change them."""

    pool: Pool
    clock: Clock
    limits: Limits
    rules: BookingRules
    one_at_a_time: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, 1))

    # ---- people -------------------------------------------------------------------------------------------

    async def list_psychologists(self, *, after: tuple[str, UUID] | None, limit: int) -> list[Psychologist]:
        """List those who can be booked, by name; `after` is the (name, id) of the last one that was seen."""
        return await people.list_psychologists(self.pool, after=after, limit=limit)

    async def list_free(
        self, caller: Caller, slot: Slot, *, after: tuple[str, UUID] | None, limit: int
    ) -> list[Psychologist]:
        """List those whom the caller can book for a slot, like `list_psychologists`."""
        if slot.starts_at < self.rules.earliest_start(caller, self.clock.now()):
            return []
        free = await availability.list_free_psychologists(self.pool, slot, self.limits, after=after)
        return free[:limit]

    async def get_psychologist(self, psychologist_id: UUID) -> Psychologist:
        """Look at one. Raise RdchatError (NOT_FOUND)."""
        found = await people.get_psychologist(self.pool, psychologist_id)
        if found is None:
            raise _unknown()
        return found

    async def save_psychologist(
        self,
        caller: Caller,
        psychologist_id: UUID,
        *,
        full_name: str | None,
        timezone: str | None,
        is_active: bool | None,
    ) -> tuple[Psychologist, bool]:
        """Create or change one; None leaves a field as it is. Return them, and whether they are new.

        Raise RdchatError: FORBIDDEN; VALIDATION_FAILED for an unknown time zone, or a new one without a
        name; ILLEGAL_TRANSITION for a client.
        """
        if not permissions.may_manage_psychologists(caller):
            raise RdchatError(ErrorCode.FORBIDDEN)
        if timezone is not None:
            zone(timezone)
        return await people.put_psychologist(
            self.pool,
            psychologist_id,
            full_name=clean_name(full_name) if full_name is not None else None,
            timezone=timezone,
            is_active=is_active,
            at=self.clock.now(),
        )

    async def introduce(self, newcomers: Iterable[tuple[UUID, str]], *, timezone: str) -> None:
        """Create psychologists, by id and name, where there are none yet who can be booked."""
        if await people.list_psychologists(self.pool, limit=1):
            return
        for psychologist_id, name in newcomers:
            await people.put_psychologist(
                self.pool,
                psychologist_id,
                full_name=name,
                timezone=timezone,
                is_active=True,
                at=self.clock.now(),
            )

    # ---- hours --------------------------------------------------------------------------------------------

    async def get_availability(self, psychologist_id: UUID) -> Availability:
        """Look at a psychologist's working hours. Raise RdchatError (NOT_FOUND)."""
        found = await availability.get_availability(self.pool, psychologist_id)
        if found is None:
            raise _unknown()
        return found

    async def save_availability(
        self,
        caller: Caller,
        psychologist_id: UUID,
        *,
        weekly: Iterable[WeeklyHours] | None,
        exceptions: Iterable[DayException] | None,
        timezone: str | None,
    ) -> Availability:
        """Replace parts of a psychologist's working hours; None leaves a part as it is.

        Raise RdchatError: FORBIDDEN, VALIDATION_FAILED, NOT_FOUND.
        """
        if not permissions.may_change_hours(caller, psychologist_id):
            raise RdchatError(ErrorCode.FORBIDDEN)
        if timezone is not None:
            zone(timezone)
        by_day, by_date = checked(weekly or (), exceptions or ())
        saved = await availability.put_availability(
            self.pool,
            psychologist_id,
            weekly=None if weekly is None else by_day,
            exceptions=None if exceptions is None else by_date,
            timezone=timezone,
            at=self.clock.now(),
        )
        if saved is None:
            raise _unknown()
        return saved

    async def list_free_slots(
        self, caller: Caller, psychologist_id: UUID, wish: Wish, *, except_counseling: UUID | None = None
    ) -> list[FreeSlot]:
        """List the times of a day that the caller can book with a psychologist, earliest first.

        `except_counseling` is not counted: it is the one that is to be moved.

        Raise RdchatError: VALIDATION_FAILED for a length or a time zone that cannot be, NOT_FOUND.
        """
        limits, now = self.limits, self.clock.now()
        _check_length(wish, limits)
        bounds = wish.bounds(limits=limits, now=now)
        who = await self.get_psychologist(psychologist_id)
        hours = await self.get_availability(psychologist_id)
        if not who.is_active or bounds is None:
            return []
        since, until = bounds[0], bounds[1] + wish.length
        booked = await availability.list_booked(
            self.pool, [psychologist_id], since, until, except_counseling=except_counseling
        )
        return list(
            free_slots(
                wish,
                hours,
                booked.get(psychologist_id, []),
                limits=limits,
                now=now,
                earliest=self.rules.earliest_start(caller, now),
            )
        )

    async def list_shared_slots(self, caller: Caller, wishes: Sequence[Wish]) -> list[SharedSlot]:
        """List the times of several days that the caller can book with any psychologist, earliest first.

        Computed beside the event loop, one request at a time. Raise RdchatError (VALIDATION_FAILED) for a
        length or a time zone that cannot be.
        """
        limits, now = self.limits, self.clock.now()
        _check_length(wishes[0], limits)
        bounds = bounds_of(wishes, limits=limits, now=now)
        if bounds is None:
            return []
        working = await availability.list_working(self.pool)
        booked = await availability.list_booked(self.pool, [one.id for one, _ in working], *bounds)
        desks = [Desk(one, hours, booked.get(one.id, ())) for one, hours in working]
        async with self.one_at_a_time:
            return await asyncio.to_thread(
                shared_slots,
                wishes,
                desks,
                limits=limits,
                now=now,
                earliest=self.rules.earliest_start(caller, now),
            )


def _check_length(wish: Wish, limits: Limits) -> None:
    if not limits.shortest <= wish.length <= limits.longest:
        raise invalid("duration", "No session can be so short or so long.")


def _unknown() -> RdchatError:
    return RdchatError(ErrorCode.NOT_FOUND, "Psychologist not found")

"""Who can be booked, and when: psychologists, their working hours, and the times that are left."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from rdchat.common.errors import ErrorCode, RdchatError, invalid
from rdchat.domain import permissions
from rdchat.domain.appointment import Appointment
from rdchat.domain.availability import Availability, checked
from rdchat.domain.booking import zone
from rdchat.domain.free_slots import Desk, bounds_of, free_slots, shared_slots
from rdchat.domain.person import clean_name
from rdchat.postgres import availability, counseling_lists, people, working_time
from rdchat.postgres.pool import transaction
from rdchat.texts.notifications import appointment_notification
from statemachine.effects import NotificationType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.availability import DayException, WeeklyHours, WorkingTime
    from rdchat.domain.booking import Limits, Slot
    from rdchat.domain.booking_rules import BookingRules
    from rdchat.domain.counseling import Counseling
    from rdchat.domain.free_slots import FreeSlot, SharedSlot, Wish
    from rdchat.domain.person import Caller, Psychologist
    from rdchat.events.outbox_entry import OutboxEntry
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.services.notifier import Notifier


@dataclass(frozen=True, slots=True, kw_only=True)
class PsychologistService:
    """Psychologists, as clients look for them and as administrators and they themselves change them.

    `language`: of what people are told of a counselling that has none of its own.
    """

    pool: Pool
    notifier: Notifier
    clock: Clock
    limits: Limits
    rules: BookingRules
    language: str
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
    ) -> tuple[Psychologist, bool, list[Counseling]]:
        """Create or change one; None leaves a field as it is.

        Return them, whether they are new, and what no longer fits (see `_tell_affected`).

        Raise RdchatError: FORBIDDEN; VALIDATION_FAILED for an unknown time zone, or a new one without a
        name; ILLEGAL_TRANSITION for a client.
        """
        if not permissions.may_manage_psychologists(caller):
            raise RdchatError(ErrorCode.FORBIDDEN)
        if timezone is not None:
            zone(timezone)
        now = self.clock.now()
        async with transaction(self.pool) as connection:
            saved, former = await people.put_psychologist(
                connection,
                psychologist_id,
                full_name=clean_name(full_name) if full_name is not None else None,
                timezone=timezone,
                is_active=is_active,
                at=now,
            )
            affected, entries = await self._tell_affected(connection, caller, saved.id, former, now)
        self.notifier.publish(entries)
        return saved, former is None, affected

    async def introduce(self, newcomers: Iterable[tuple[UUID, str]], *, timezone: str) -> None:
        """Create psychologists, by id and name, where there are none yet who can be booked."""
        if await people.list_psychologists(self.pool, limit=1):
            return
        for psychologist_id, name in newcomers:
            async with transaction(self.pool) as connection:
                await people.put_psychologist(
                    connection,
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
        is_expected: Callable[[Availability], bool] = lambda _: True,
    ) -> tuple[Availability, list[Counseling]]:
        """Replace parts of a psychologist's working hours; None leaves a part as it is.

        Nothing is replaced unless the hours are those that `is_expected` by the caller. Return the hours, and
        what no longer fits (see `_tell_affected`).

        Raise RdchatError: FORBIDDEN, VALIDATION_FAILED, NOT_FOUND, PRECONDITION_FAILED.
        """
        if not permissions.may_change_hours(caller, psychologist_id):
            raise RdchatError(ErrorCode.FORBIDDEN)
        if timezone is not None:
            zone(timezone)
        by_day, by_date = checked(weekly or (), exceptions or ())
        now = self.clock.now()
        async with transaction(self.pool) as connection:
            former = await working_time.get_working_time(connection, psychologist_id, lock=True)
            if former is None:
                raise _unknown()
            if not is_expected(former.hours):
                raise RdchatError(ErrorCode.PRECONDITION_FAILED)
            present = Availability(
                former.hours.timezone if timezone is None else timezone,
                former.hours.weekly if weekly is None else by_day,
                former.hours.exceptions if exceptions is None else by_date,
            )
            if present != former.hours:
                await availability.put_availability(connection, psychologist_id, present, at=now)
            affected, entries = await self._tell_affected(connection, caller, psychologist_id, former, now)
        self.notifier.publish(entries)
        return present, affected

    async def _tell_affected(
        self,
        connection: Connection,
        caller: Caller,
        psychologist_id: UUID,
        former: WorkingTime | None,
        now: datetime,
    ) -> tuple[list[Counseling], list[OutboxEntry]]:
        """Find what a psychologist has ahead outside of their working time, whose row is locked.

        Those who are to meet are told of what fitted until now, but not the caller: so what is saved once
        more tells no one again. Give what comes back second to the notifier's `publish` after the commit.
        """
        present = await working_time.get_working_time(connection, psychologist_id)
        if former is None or present is None:
            return [], []
        affected = [
            one
            for one in await counseling_lists.list_pending(connection, psychologist_id, at=now)
            if not present.fits(one.slot.starts_at, one.slot.ends_at)
        ]
        made = [
            appointment_notification(
                Appointment.of_counseling(one, self.language),
                uuid4(),
                person_id,
                NotificationType.PSYCHOLOGIST_UNAVAILABLE,
                now,
            )
            for one in affected
            if former.fits(one.slot.starts_at, one.slot.ends_at)
            for person_id in one.participants
            if person_id != caller.id
        ]
        return affected, await self.notifier.insert(connection, made) if made else []

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

"""Who can be booked, and when they work: psychologists, and what a change of these leaves without a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain import permissions
from rdchat.domain.appointment import Appointment
from rdchat.domain.availability import Availability, checked
from rdchat.domain.booking import zone
from rdchat.domain.person import clean_name
from rdchat.postgres import availability, counseling_lists, people, working_time
from rdchat.postgres.pool import transaction
from rdchat.texts.notifications import appointment_notification
from statemachine.effects import NotificationType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.availability import DayException, WeeklyHours, WorkingTime
    from rdchat.domain.counseling import Counseling
    from rdchat.domain.person import Caller, Psychologist
    from rdchat.events.outbox_entry import OutboxEntry
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.services.notifier import Notifier


@dataclass(frozen=True, slots=True, kw_only=True)
class PsychologistService:
    """Psychologists, as clients look at them and as administrators and they themselves change them.

    `language`: of what people are told of a counselling that has none of its own.
    """

    pool: Pool
    notifier: Notifier
    clock: Clock
    language: str

    # ---- people -------------------------------------------------------------------------------------------

    async def list_psychologists(self, *, after: tuple[str, UUID] | None, limit: int) -> list[Psychologist]:
        """List those who can be booked, by name; `after` is the (name, id) of the last one that was seen."""
        return await people.list_psychologists(self.pool, after=after, limit=limit)

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

    async def introduce(
        self, newcomers: Iterable[tuple[str, UUID, Availability]], *, beside_others: bool = True
    ) -> None:
        """Create psychologists, by name, id and hours; those who are there stay as they are.

        With `beside_others` False, only where there are none yet who can be booked.
        """
        known = await people.list_psychologists(self.pool, all_of_them=beside_others)
        if known and not beside_others:
            return
        there = {one.id for one in known}
        for name, psychologist_id, hours in newcomers:
            if psychologist_id in there:
                continue
            now = self.clock.now()
            async with transaction(self.pool) as connection:
                _, former = await people.put_psychologist(
                    connection,
                    psychologist_id,
                    full_name=name,
                    timezone=hours.timezone,
                    is_active=None,
                    at=now,
                )
                if former is None:
                    await availability.put_availability(connection, psychologist_id, hours, at=now)

    async def withdraw(
        self, connection: Connection, caller: Caller, psychologist_id: UUID, now: datetime
    ) -> tuple[list[Counseling], list[OutboxEntry]]:
        """Let a person not be booked any more, in the open transaction, if they are a psychologist who is.

        Return what no longer fits; give what comes back second to the notifier's `publish` after the commit.
        """
        present = await working_time.get_working_time(connection, psychologist_id)
        if present is None:
            return [], []
        _, former = await people.put_psychologist(
            connection, psychologist_id, full_name=None, timezone=None, is_active=False, at=now
        )
        return await self._tell_affected(connection, caller, psychologist_id, former, now)

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


def _unknown() -> RdchatError:
    return RdchatError(ErrorCode.NOT_FOUND, "Psychologist not found")

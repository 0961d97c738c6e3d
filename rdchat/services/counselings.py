"""Booking and cancelling counsellings: the ways into and out of a session's life that people take.

Longer than most: a cancellation takes back, piece by piece, what a booking has written and scheduled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from rdchat.common.clock import to_ms
from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain import permissions
from rdchat.domain.appointment import Appointment
from rdchat.domain.audit import AuditEntry, AuditKind
from rdchat.domain.reminder import plan_reminders
from rdchat.postgres import audit, counseling_lists, counselings, people, reminders, sessions
from rdchat.postgres.pool import transaction
from rdchat.redis.connection import LOST
from rdchat.redis.delay_queue import Job
from rdchat.timers.reconciler import HORIZON
from statemachine import AutomationStatus, Cancel, Refusal, Session, Status
from statemachine.effects import NotificationType
from statemachine.schedule import Leads, plan

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from config import Organizations
    from rdchat.common.clock import Clock
    from rdchat.domain.booking import Limits, Slot, Times
    from rdchat.domain.booking_rules import BookingRules
    from rdchat.domain.counseling import Booking, Counseling, CounselingFilter
    from rdchat.domain.person import Caller, Psychologist
    from rdchat.engine.engine import Engine
    from rdchat.events.outbox_entry import OutboxEntry
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.redis.delay_queue import DelayQueue
    from rdchat.services.audit import AuditTrail
    from rdchat.services.notifier import Notifier
    from rdchat.services.reminders import ReminderService

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CounselingService:
    """Books and cancels.

    `language`: of new sessions, where neither booking nor organisation names one. `keeps_hours` False books
    psychologists who are named also outside of their hours.
    """

    pool: Pool
    engine: Engine
    queue: DelayQueue
    notifier: Notifier
    reminders: ReminderService
    keys: DataKeys
    clock: Clock
    limits: Limits
    rules: BookingRules
    leads: Leads
    language: str
    organizations: Organizations
    audit: AuditTrail
    keeps_hours: bool = True

    def make_slot(self, said: Times, timezone: str) -> Slot:
        """Turn what a request says into instants that can be booked; wall times are those of `timezone`.

        Raise RdchatError (VALIDATION_FAILED).
        """
        return said.slot(timezone, limits=self.limits, now=self.clock.now())

    async def book(self, caller: Caller, booking: Booking, *, counseling_id: UUID) -> Counseling:
        """Book a counselling; with method chat, its session and automations are in the same transaction.

        `counseling_id` is the id that it gets: new, and known to a caller who asks again (see `find_booked`).
        Raise RdchatError: TOO_LATE, PENDING_LIMIT, CLIENT_LIMIT, PSYCHOLOGIST_LIMIT, NO_PSYCHOLOGIST,
        VALIDATION_FAILED, UNAVAILABLE.
        """
        now = self.clock.now()
        self.rules.check_booking(caller, booking.slot, now)
        session: Session | None = None
        async with transaction(self.pool) as connection:
            await people.upsert_person(connection, caller, now)
            if permissions.is_client(caller):
                await counselings.check_pending(connection, booking.client_id, self.rules, at=now)
            await counselings.check_client(connection, booking.client_id, booking.slot, self.limits)
            psychologist = await counselings.choose_psychologist(
                connection, booking, self.limits, keeps_hours=self.keeps_hours
            )
            await counselings.insert_counseling(
                connection,
                booking,
                counseling_id=counseling_id,
                psychologist=psychologist,
                exclusive=self.limits.per_client == 1,
                keys=self.keys,
                at=now,
            )
            if booking.method == "chat":
                session = self._new_session(caller, booking, counseling_id, psychologist)
                command_id = uuid4()
                await counselings.insert_session(
                    connection, session, command_id=command_id, actor_id=caller.id, keys=self.keys
                )
            else:
                await self.write_down(
                    connection, counseling_id, "book", Status.PENDING, actor_id=caller.id, at=now
                )
            planned = plan_reminders(counseling_id, booking.slot.starts_at, self.reminders.leads, now)
            await reminders.insert_reminders(connection, planned)
            counseling = await counselings.get_counseling_on(connection, counseling_id, at=now)
            if counseling is None:  # pragma: no cover - written in this transaction
                raise LookupError(counseling_id)
            appointment = (
                Appointment.of_session(session)
                if session is not None
                else Appointment.of_counseling(counseling, self.language)
            )
            # Both: to the one who has booked it, it is the confirmation.
            entries = await self.notifier.notify(
                connection, appointment, counseling.participants, NotificationType.COUNSELING_BOOKED, now
            )
        self.notifier.publish(entries)
        if session is not None:
            await schedule_timers(self.queue, session, self.clock.now())
        await self.reminders.schedule(planned)
        return counseling

    async def write_down(
        self,
        connection: Connection,
        counseling_id: UUID,
        action: str,
        status: Status,
        *,
        actor_id: UUID | None,
        at: datetime,
    ) -> None:
        """Write down for the audit what becomes of a counselling without chat, in the open transaction."""
        entry = AuditEntry(
            at=at,
            kind=AuditKind.STATE_CHANGED,
            action=action,
            outcome=status.value,
            actor_id=actor_id,
            subject_id=counseling_id,
        )
        await audit.insert_entries(connection, [entry], keys=self.keys)

    async def notify_others(
        self,
        connection: Connection,
        counseling: Counseling,
        by: UUID | None,
        kind: NotificationType,
        at: datetime,
        *,
        reason: str | None = None,
    ) -> list[OutboxEntry]:
        """Tell those who did not do it of a counselling without chat, in the open transaction.

        Give what comes back to the notifier's `publish` when it is committed.
        """
        appointment = Appointment.of_counseling(counseling, self.language)
        people = [one for one in counseling.participants if one != by]
        return await self.notifier.notify(connection, appointment, people, kind, at, reason=reason)

    def _new_session(
        self, caller: Caller, booking: Booking, counseling_id: UUID, psychologist: Psychologist
    ) -> Session:
        now = self.clock.now()
        slot = booking.slot
        return Session(
            id=uuid4(),
            counseling_id=counseling_id,
            client_id=booking.client_id,
            client_name=caller.full_name,
            psychologist_id=psychologist.id,
            psychologist_name=psychologist.full_name,
            starts_at=slot.starts_at,
            ends_at=slot.ends_at,
            created_at=now,
            updated_at=now,
            language=booking.language
            or self.organizations.language_of(booking.organization_id)
            or self.language,
            client_timezone=booking.client_timezone,
            psychologist_timezone=psychologist.timezone,
            organization_id=booking.organization_id,
            automations=plan(slot.starts_at, slot.ends_at, self.leads, now),
        )

    async def cancel(self, caller: Caller, counseling_id: UUID, reason: str | None) -> Counseling:
        """Cancel a counselling that is not over, its session with it.

        One that a person has cancelled may be cancelled again: nothing happens, the first reason stays.

        Raise RdchatError: NOT_FOUND, FORBIDDEN, TOO_LATE, ILLEGAL_TRANSITION, UNAVAILABLE.
        """
        counseling = await self.get_counseling(caller, counseling_id, to_change=True)
        self.rules.check_cancelling(caller, counseling, self.clock.now())
        by = permissions.acting_participant(caller)
        if counseling.session_id is not None:
            result = await self.engine.submit(counseling.session_id, Cancel(by, reason), actor_id=caller.id)
            cancelled = not isinstance(result, Refusal)
        else:
            cancelled = await self._cancel_without_chat(caller, counseling, reason)
        if cancelled:
            await self.reminders.cancel(counseling.id)
        after = await self.get_counseling(caller, counseling_id)
        if not cancelled and not await self._is_called_off(after):
            raise RdchatError(
                ErrorCode.ILLEGAL_TRANSITION, f"The counseling cannot be cancelled: it is {after.status}"
            )
        return after

    async def _is_called_off(self, counseling: Counseling) -> bool:
        """Ask whether a person has cancelled it, and not the service."""
        if counseling.session_id is None:
            return counseling.status == Status.CANCELLED
        session = await sessions.get_session(self.pool, counseling.session_id)
        return session is not None and session.is_called_off

    async def _cancel_without_chat(self, caller: Caller, counseling: Counseling, reason: str | None) -> bool:
        now, by = self.clock.now(), permissions.acting_participant(caller)
        async with transaction(self.pool) as connection:
            # Asked again behind the lock: it may have been handed over or moved meanwhile.
            await counselings.lock_client(connection, counseling.client_id)
            present = await counselings.get_counseling_on(connection, counseling.id, at=now) or counseling
            if not permissions.may_change_counseling(caller, present):
                raise RdchatError(ErrorCode.FORBIDDEN)
            self.rules.check_cancelling(caller, present, now)
            cancelled = await counselings.cancel_without_chat(
                connection, present, by, reason, keys=self.keys, at=now
            )
            if cancelled:
                await self.write_down(
                    connection, present.id, Cancel.trigger, Status.CANCELLED, actor_id=caller.id, at=now
                )
            entries = (
                await self.notify_others(
                    connection, present, by, NotificationType.SESSION_CANCELLED, now, reason=reason
                )
                if cancelled
                else []
            )
        self.notifier.publish(entries)
        return cancelled

    async def find_booked(self, caller: Caller, counseling_id: UUID) -> Counseling | None:
        """Find a counselling that the caller has perhaps booked.

        Looked for behind the lock on their row, new as it may be: a booking that is about to be committed on
        a connection that was lost holds it.
        """
        now = self.clock.now()
        async with transaction(self.pool) as connection:
            await people.upsert_person(connection, caller, now)
        return await counselings.get_counseling(self.pool, counseling_id, at=now)

    async def get_counseling(
        self, caller: Caller, counseling_id: UUID, *, to_change: bool = False
    ) -> Counseling:
        """Read a counselling that the caller may see, or `to_change` it: may move and cancel.

        Raise RdchatError: NOT_FOUND, FORBIDDEN.
        """
        counseling = await counselings.get_counseling(self.pool, counseling_id, at=self.clock.now())
        if counseling is None:
            raise RdchatError(ErrorCode.NOT_FOUND, "Counseling not found")
        may = permissions.may_change_counseling if to_change else permissions.may_see_state
        if not may(caller, counseling):
            raise RdchatError(ErrorCode.FORBIDDEN)
        return counseling

    async def find_visible(self, caller: Caller, counseling_id: UUID) -> Counseling | None:
        """Read a counselling as `get_counseling` does; None where the caller may not see it (any more)."""
        try:
            return await self.get_counseling(caller, counseling_id)
        except RdchatError as error:
            if error.code is ErrorCode.FORBIDDEN:
                return None
            raise

    async def list_counselings(self, caller: Caller, part: CounselingFilter) -> list[Counseling]:
        """List a part of the caller's counsellings, latest start first."""
        return await counseling_lists.list_counselings(
            self.pool, part, person_id=caller.id, at=self.clock.now()
        )

    async def count_counselings(self, caller: Caller) -> int:
        """Count the caller's counsellings."""
        return await counseling_lists.count_counselings(self.pool, caller.id)

    async def get_notes(self, caller: Caller, counseling: Counseling) -> str | None:
        """Read the client's notes, as one of the two whom they are for; None for all others.

        It is written down that they did.
        """
        if not permissions.may_read_content(caller, counseling):
            return None
        notes = await counselings.get_notes(self.pool, counseling, keys=self.keys)
        if notes is not None:
            await self.audit.record(
                AuditKind.CONTENT_READ,
                "booking_notes",
                caller.id,
                session_id=counseling.session_id,
                subject_id=counseling.id,
            )
        return notes

    async def get_cancel_reasons(self, caller: Caller, some: Iterable[Counseling]) -> dict[UUID, str]:
        """Read why counsellings were cancelled, in the words of the one who did; none but for the two."""
        own = [one for one in some if permissions.may_read_content(caller, one)]
        return await counselings.get_cancel_reasons(self.pool, own, keys=self.keys)


async def schedule_timers(queue: DelayQueue, session: Session, now: datetime) -> None:
    """Put a session's automations into the delay queue. Where that fails, the reconciler does it."""
    jobs = [
        (Job(session.id, one.kind, session.schedule_version), to_ms(one.due_at))
        for one in session.automations.values()
        if one.status is AutomationStatus.SCHEDULED and one.due_at <= now + HORIZON
    ]
    try:
        await queue.schedule(jobs)
    except LOST as error:
        log.warning("timers are left to the reconciler", session=str(session.id), error=str(error))

"""Moving a counselling to another time, and extending a chat that is going on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from rdchat.common.errors import ErrorCode, RdchatError, invalid
from rdchat.domain import permissions
from rdchat.domain.booking import Slot
from rdchat.postgres import commit, counselings, reads, reminders, schedule
from rdchat.postgres.pool import transaction
from statemachine import Extend, Reschedule, Session, Status
from statemachine.effects import NotificationType

if TYPE_CHECKING:
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.booking import Limits
    from rdchat.domain.counseling import Counseling
    from rdchat.domain.person import Caller
    from rdchat.domain.reminder import Reminder
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.redis.delay_queue import Job
    from rdchat.services.appointment_changes import AppointmentChanges
    from rdchat.services.counselings import CounselingService
    from statemachine.schedule import Leads


@dataclass(frozen=True, slots=True, kw_only=True)
class ReschedulingService:
    """Moves and extends. `step`: the length that an extension is a multiple of."""

    pool: Pool
    counselings: CounselingService
    changes: AppointmentChanges
    clock: Clock
    limits: Limits
    leads: Leads
    extension_step: timedelta

    async def reschedule(
        self, caller: Caller, counseling: Counseling, slot: Slot, *, command_id: UUID
    ) -> Counseling:
        """Move a counselling that has not begun to another time, with the same psychologist.

        To the time that it has, nothing happens, whatever else is at that time by now. A command that is
        carried out meanwhile, on a connection that was lost, is not carried out again; of one that was
        before, whatever its caller was told, `find_committed` knows.

        Raise RdchatError: TOO_LATE, ILLEGAL_TRANSITION, CLIENT_LIMIT, PSYCHOLOGIST_LIMIT, NO_PSYCHOLOGIST,
        UNAVAILABLE.
        """
        self.counselings.rules.check_moving(caller, counseling, slot, self.clock.now())
        by = permissions.acting_participant(caller)
        if counseling.session_id is None:
            await self._move_without_chat(counseling, slot, by, caller.id)
        else:
            command = Reschedule(by, slot.starts_at, slot.ends_at, self.leads)
            session = await self.changes.get_session(counseling.session_id)
            # What the session refuses anyway is said before the limits are asked.
            self.changes.check(session, command)
            if not _has_times(session, slot):
                await self._move(counseling, slot, command, actor_id=caller.id, command_id=command_id)
        return await self.counselings.get_counseling(caller, counseling.id)

    async def keep_wall_time(self, counseling: Counseling, slot: Slot) -> None:
        """Move a counselling to what its wall time means now, on behalf of no person: both are told.

        Raise RdchatError like `reschedule`.
        """
        if counseling.session_id is None:
            await self._move_without_chat(counseling, slot, None, None)
            return
        command = Reschedule(None, slot.starts_at, slot.ends_at, self.leads)
        await self._move(counseling, slot, command, actor_id=None, command_id=uuid4())

    async def find_committed(self, session_id: UUID, command_id: UUID) -> bool:
        """Ask whether a command was carried out, whatever its caller was told. Raise UNAVAILABLE."""
        return await self.changes.find_committed(session_id, command_id)

    async def _move(
        self,
        counseling: Counseling,
        slot: Slot,
        command: Reschedule,
        *,
        actor_id: UUID | None,
        command_id: UUID,
    ) -> None:
        if counseling.session_id is None:  # pragma: no cover - asked before
            raise LookupError(counseling.id)
        planned: list[Reminder] = []
        replaced: list[Job] = []

        async def prepare(connection: Connection, present: Counseling) -> Reschedule | None:
            if _is_pending_at(present, slot):
                return None
            await self.changes.check_limits(connection, present, slot)
            return command

        async def write(connection: Connection, _session: Session) -> None:
            nonlocal planned, replaced
            now = self.clock.now()
            planned, replaced = await self._replace_reminders(connection, counseling, slot, now)
            # The session says whether it has begun: one whose start is due but was not run can be moved.
            await schedule.move_counseling(connection, counseling.id, slot, now, begun_too=True)

        await self.changes.carry_out(
            counseling,
            prepare,
            write,
            session_id=counseling.session_id,
            actor_id=actor_id,
            command_id=command_id,
        )
        await self.counselings.reminders.schedule(planned, replaced)

    async def _move_without_chat(
        self, counseling: Counseling, slot: Slot, by: UUID | None, actor_id: UUID | None
    ) -> None:
        if counseling.status != Status.PENDING:
            raise _too_late()
        if _is_pending_at(counseling, slot):
            return
        now = self.clock.now()
        async with transaction(self.pool) as connection:
            # Read behind the lock: the same move may have been made meanwhile, or it was handed over.
            present = await self.changes.lock(connection, counseling)
            if by is not None and by not in present.participants:
                raise RdchatError(ErrorCode.FORBIDDEN)
            if _is_pending_at(present, slot):
                return
            await self.changes.check_limits(connection, present, slot)
            planned, replaced = await self._replace_reminders(connection, counseling, slot, now)
            if not await schedule.move_counseling(connection, counseling.id, slot, now, begun_too=False):
                raise _too_late()
            await self.counselings.write_down(
                connection, counseling.id, Reschedule.trigger, Status.PENDING, actor_id=actor_id, at=now
            )
            entries = await self.counselings.notify_others(
                connection, replace(present, slot=slot), by, NotificationType.SESSION_RESCHEDULED, now
            )
        self.counselings.notifier.publish(entries)
        await self.counselings.reminders.schedule(planned, replaced)

    async def _replace_reminders(
        self, connection: Connection, counseling: Counseling, slot: Slot, now: datetime
    ) -> tuple[list[Reminder], list[Job]]:
        return await reminders.replace_reminders(
            connection,
            counseling.id,
            slot.starts_at,
            self.counselings.reminders.leads,
            reason="rescheduled",
            at=now,
        )

    # ---- extending ----------------------------------------------------------------------------------------

    async def extend(
        self, caller: Caller, session_id: UUID, to: timedelta | datetime, *, command_id: UUID
    ) -> Session:
        """Move the end of an open chat, by a multiple of the step: by a length, or to an instant.

        To the end that it has, nothing happens: so an instant may be said twice.

        Raise RdchatError: VALIDATION_FAILED, SESSION_NOT_FOUND, NOT_PARTICIPANT, FORBIDDEN, SESSION_ENDED,
        ILLEGAL_TRANSITION, CLIENT_LIMIT, PSYCHOLOGIST_LIMIT, UNAVAILABLE.
        """
        session = await self.changes.get_session(session_id)
        if not permissions.may_extend(caller, session):
            raise RdchatError(ErrorCode.NOT_PARTICIPANT)
        if await commit.find_committed(self.pool, [session_id], [command_id]):
            return await self.changes.get_session(session_id)
        # What the session refuses anyway, to whatever end, is said before what it asks for is looked at.
        try:
            self.changes.check(session, Extend(caller.id, session.ends_at, self.leads))
        except RdchatError:
            if await self.find_committed(session_id, command_id):
                return await self.changes.get_session(session_id)
            raise
        ends_at = to if isinstance(to, datetime) else session.ends_at + to
        if ends_at == session.ends_at:
            return session
        self._check_extension(session, ends_at, "endsAt" if isinstance(to, datetime) else "minutes")
        return await self._extend(
            caller, session, ends_at, by_length=isinstance(to, timedelta), command_id=command_id
        )

    async def _extend(
        self, caller: Caller, session: Session, ends_at: datetime, *, by_length: bool, command_id: UUID
    ) -> Session:
        """Extend a session that is open, as it was read.

        `by_length`: its new end was reckoned from the former one, so another that is the same is none of it.
        """
        counseling = await counselings.get_counseling(self.pool, session.counseling_id, at=self.clock.now())
        if counseling is None:  # pragma: no cover - a session has its counselling
            raise RdchatError(ErrorCode.SESSION_NOT_FOUND)
        slot = Slot(session.starts_at, ends_at, counseling.slot.timezone)

        async def prepare(connection: Connection, present: Counseling) -> Extend | None:
            if not by_length and present.slot.ends_at == ends_at:
                return None
            await self.changes.check_limits(connection, present, slot, hours=False)
            return Extend(caller.id, ends_at, self.leads)

        async def write(connection: Connection, locked: Session) -> None:
            if locked.ends_at != session.ends_at:
                # What was to be moved is no longer the end: the new end was reckoned from another.
                raise RdchatError(
                    ErrorCode.ILLEGAL_TRANSITION,
                    "The chat session was extended at the same time: look again",
                )
            now = self.clock.now()
            await schedule.move_counseling(connection, counseling.id, slot, now, begun_too=True)
            await reads.record_attendance_on(connection, [session.id], caller.id, now)

        return await self.changes.carry_out(
            counseling, prepare, write, session_id=session.id, actor_id=caller.id, command_id=command_id
        )

    def _check_extension(self, session: Session, ends_at: datetime, field: str) -> None:
        minute = timedelta(minutes=1)
        length = ends_at - session.ends_at
        if length < timedelta(0):
            raise invalid(field, "Must be later than the end that the session has.")
        if length % self.extension_step:
            step_minutes = self.extension_step / minute
            raise invalid(field, f"The session must be extended by a multiple of {step_minutes:g} minutes.")
        if ends_at - session.starts_at > self.limits.longest:
            raise invalid(field, f"The session must last at most {self.limits.longest / minute:g} minutes.")


def _has_times(session: Session, slot: Slot) -> bool:
    """Tell whether a session has the time that it would be moved to."""
    return (session.starts_at, session.ends_at) == (slot.starts_at, slot.ends_at)


def _is_pending_at(counseling: Counseling, slot: Slot) -> bool:
    """Tell whether a counselling has not begun, and has the time that it would be moved to."""
    present = counseling.slot.starts_at, counseling.slot.ends_at
    return counseling.status == Status.PENDING and present == (slot.starts_at, slot.ends_at)


def _too_late() -> RdchatError:
    return RdchatError(ErrorCode.ILLEGAL_TRANSITION, "The counseling cannot be moved any more")

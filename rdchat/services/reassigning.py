"""Handing a counselling over to another psychologist, at the time that it has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rdchat.common.errors import ErrorCode, RdchatError, invalid
from rdchat.domain import permissions
from rdchat.domain.appointment import Appointment
from rdchat.postgres import counselings, people, schedule
from rdchat.postgres.data_keys import KeyOwner
from rdchat.postgres.pool import transaction
from statemachine import Reassign, Session, Status
from statemachine.effects import NotificationType

if TYPE_CHECKING:
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.counseling import Counseling
    from rdchat.domain.person import Caller, Psychologist
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.services.appointment_changes import AppointmentChanges
    from rdchat.services.counselings import CounselingService


@dataclass(frozen=True, slots=True, kw_only=True)
class ReassigningService:
    """Hands over, on behalf of the psychologist who has the counselling, or of those who oversee it."""

    pool: Pool
    counselings: CounselingService
    changes: AppointmentChanges
    clock: Clock

    async def reassign(
        self, caller: Caller, counseling_id: UUID, psychologist_id: UUID, *, command_id: UUID
    ) -> Counseling:
        """Hand a counselling that has not begun over to another psychologist.

        To the one who has it, nothing happens. What is asked of the other is what a booking asks: that they
        take any, work then, and have room. Return the counselling, which may no longer be the caller's.

        Raise RdchatError: NOT_FOUND, FORBIDDEN, VALIDATION_FAILED, ILLEGAL_TRANSITION, NO_PSYCHOLOGIST,
        PSYCHOLOGIST_LIMIT, UNAVAILABLE.
        """
        counseling = await self._get_counseling(counseling_id)
        _check_caller(caller, counseling)
        if psychologist_id == counseling.client_id:
            raise invalid("psychologistId", "No one can counsel themselves.")
        if psychologist_id == counseling.psychologist_id:
            if psychologist_id == caller.id:
                raise invalid("psychologistId", "You have this counseling yourself.")
            return counseling
        if counseling.session_id is not None:
            await self._reassign_session(
                caller, counseling, psychologist_id, session_id=counseling.session_id, command_id=command_id
            )
        else:
            await self._reassign_without_chat(caller, counseling, psychologist_id)
        return await self._get_counseling(counseling_id)

    async def find_reassigned(self, counseling_id: UUID, command_id: UUID) -> Counseling | None:
        """Find a counselling if a command has handed it over, whatever its caller was told.

        Of one without chat nothing is kept by which a command could be known. Raise RdchatError: NOT_FOUND,
        UNAVAILABLE.
        """
        counseling = await self._get_counseling(counseling_id)
        session_id = counseling.session_id
        if session_id is None or not await self.changes.find_committed(session_id, command_id):
            return None
        return await self._get_counseling(counseling_id)

    async def _get_counseling(self, counseling_id: UUID) -> Counseling:
        counseling = await counselings.get_counseling(self.pool, counseling_id, at=self.clock.now())
        if counseling is None:
            raise RdchatError(ErrorCode.NOT_FOUND, "Counseling not found")
        return counseling

    async def _reassign_session(
        self,
        caller: Caller,
        counseling: Counseling,
        psychologist_id: UUID,
        *,
        session_id: UUID,
        command_id: UUID,
    ) -> None:
        by = permissions.acting_psychologist(caller)
        new = await self._get_bookable(psychologist_id)
        # What the session refuses anyway is said before the limits are asked.
        session = await self.changes.get_session(session_id)
        if session.psychologist_id == psychologist_id:
            return  # handed over since the counselling was read
        self.changes.check(session, Reassign(by, new.id, new.full_name, new.timezone))

        async def prepare(connection: Connection, present: Counseling) -> Reassign | None:
            if present.psychologist_id == psychologist_id:
                return None
            _check_caller(caller, present)
            chosen = await self.changes.check_psychologist(connection, present, psychologist_id)
            return Reassign(by, chosen.id, chosen.full_name, chosen.timezone)

        async def write(_connection: Connection, _session: Session) -> None:
            """Write nothing: who has the counselling is written with its session."""

        await self.changes.carry_out(
            counseling, prepare, write, session_id=session_id, actor_id=caller.id, command_id=command_id
        )

    async def _reassign_without_chat(
        self, caller: Caller, counseling: Counseling, psychologist_id: UUID
    ) -> None:
        await self._get_bookable(psychologist_id)
        now = self.clock.now()
        async with transaction(self.pool) as connection:
            # Read behind the lock: it may have been handed over, moved or cancelled meanwhile.
            former = await self.changes.lock(connection, counseling)
            if former.psychologist_id == psychologist_id:
                return
            _check_caller(caller, former)
            if former.status != Status.PENDING:
                raise RdchatError(
                    ErrorCode.ILLEGAL_TRANSITION,
                    f"The counseling cannot be handed over: it is {former.status}",
                )
            chosen = await self.changes.check_psychologist(connection, former, psychologist_id)
            await schedule.reassign_counseling(
                connection,
                KeyOwner(former.id, former.participants),
                chosen.id,
                chosen.timezone,
                now,
                keys=self.counselings.keys,
            )
            await self.counselings.write_down(
                connection, former.id, Reassign.trigger, Status.PENDING, actor_id=caller.id, at=now
            )
            present = replace(
                former,
                psychologist_id=chosen.id,
                psychologist_name=chosen.full_name,
                psychologist_timezone=chosen.timezone,
            )
            appointment = replace(
                Appointment.of_counseling(present, self.counselings.language),
                former_timezone=former.psychologist_timezone,
            )
            by = permissions.acting_psychologist(caller)
            told = [one for one in (*present.participants, former.psychologist_id) if one != by]
            entries = await self.counselings.notifier.notify(
                connection, appointment, told, NotificationType.COUNSELING_REASSIGNED, now
            )
        self.counselings.notifier.publish(entries)

    async def _get_bookable(self, psychologist_id: UUID) -> Psychologist:
        """Read one who takes bookings. Raise RdchatError (VALIDATION_FAILED): asked again under the locks."""
        found = await people.get_psychologist(self.pool, psychologist_id)
        if found is None or not found.is_active:
            raise invalid("psychologistId", "Unknown psychologist.")
        return found


def _check_caller(caller: Caller, counseling: Counseling) -> None:
    if not permissions.may_reassign(caller, counseling):
        raise RdchatError(ErrorCode.FORBIDDEN)

"""Moving a counselling to another time, and extending a chat that is going on.

Both change how much two people have at one time, so both are decided and committed in the transaction that
holds their rows: the limits, the counselling, its session and the plan of automations change together. The
engine's actors learn of it by their fence, like of everything that another replica does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from rdchat.common.errors import ErrorCode, RdchatError, UnavailableError, invalid
from rdchat.domain import permissions
from rdchat.domain.booking import Slot
from rdchat.postgres import commit, counselings, reads, reminders, schedule, sessions
from rdchat.postgres.pool import transaction
from rdchat.services.chat import refuse
from rdchat.services.counselings import schedule_timers
from statemachine import Extend, Refusal, Reschedule, Session, Status, step
from statemachine.effects import NotificationType

if TYPE_CHECKING:
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.booking import Limits
    from rdchat.domain.counseling import Counseling
    from rdchat.domain.person import Caller
    from rdchat.domain.reminder import Reminder
    from rdchat.engine.change import Change
    from rdchat.engine.engine import Effects
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.postgres.storage import StoredSessions
    from rdchat.redis.delay_queue import DelayQueue, Job
    from rdchat.services.counselings import CounselingService
    from statemachine.schedule import Leads

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReschedulingService:
    """Moves and extends. `step`: the length that an extension is a multiple of."""

    pool: Pool
    counselings: CounselingService
    effects: Effects
    queue: DelayQueue
    storage: StoredSessions
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
            await self._move_without_chat(counseling, slot, by)
        else:
            command = Reschedule(by, slot.starts_at, slot.ends_at, self.leads)
            session = await self._session(counseling.session_id)
            # What the session refuses anyway is said before the limits are asked.
            self._check(session, command, self.clock.now())
            if not _is_done(session, command):
                await self._carry_out(
                    command, session, counseling, slot, caller_id=caller.id, command_id=command_id
                )
        return await self.counselings.get_counseling(caller, counseling.id)

    async def keep_wall_time(self, counseling: Counseling, slot: Slot) -> None:
        """Move a counselling to what its wall time means now, on behalf of no person: both are told.

        Raise RdchatError like `reschedule`.
        """
        if counseling.session_id is None:
            await self._move_without_chat(counseling, slot, None)
            return
        command = Reschedule(None, slot.starts_at, slot.ends_at, self.leads)
        session = await self._session(counseling.session_id)
        await self._carry_out(command, session, counseling, slot, caller_id=None, command_id=uuid4())

    async def extend(
        self, caller: Caller, session_id: UUID, to: timedelta | datetime, *, command_id: UUID
    ) -> Session:
        """Move the end of an open chat, by a multiple of the step: by a length, or to an instant.

        To the end that it has, nothing happens: so an instant may be said twice.

        Raise RdchatError: VALIDATION_FAILED, SESSION_NOT_FOUND, NOT_PARTICIPANT, FORBIDDEN, SESSION_ENDED,
        ILLEGAL_TRANSITION, CLIENT_LIMIT, PSYCHOLOGIST_LIMIT, UNAVAILABLE.
        """
        session = await self._session(session_id)
        if not permissions.may_extend(caller, session):
            raise RdchatError(ErrorCode.NOT_PARTICIPANT)
        if await commit.find_committed(self.pool, [session_id], [command_id]):
            return await self._session(session_id)
        # What the session refuses anyway, to whatever end, is said before what it asks for is looked at.
        try:
            self._check(session, Extend(caller.id, session.ends_at, self.leads), self.clock.now())
        except RdchatError:
            if await self.find_committed(session_id, command_id):
                return await self._session(session_id)
            raise
        ends_at = to if isinstance(to, datetime) else session.ends_at + to
        command = Extend(caller.id, ends_at, self.leads)
        if _is_done(session, command):
            return session
        self._check_extension(session, ends_at, "endsAt" if isinstance(to, datetime) else "minutes")
        counseling = await counselings.get_counseling(self.pool, session.counseling_id, at=self.clock.now())
        if counseling is None:  # pragma: no cover - a session has its counselling
            raise RdchatError(ErrorCode.SESSION_NOT_FOUND)
        slot = Slot(session.starts_at, ends_at, counseling.slot.timezone)
        return await self._carry_out(
            command,
            session,
            counseling,
            slot,
            caller_id=caller.id,
            command_id=command_id,
            by_length=isinstance(to, timedelta),
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

    async def find_committed(self, session_id: UUID, command_id: UUID) -> bool:
        """Ask whether a command was carried out, whatever its caller was told. Raise UNAVAILABLE.

        Asked behind the session's lock: what is about to be committed on a connection that was lost holds it.
        """
        async with transaction(self.pool) as connection:
            await schedule.lock_session(connection, session_id)
            return bool(await commit.find_committed_on(connection, [session_id], [command_id]))

    async def _session(self, session_id: UUID) -> Session:
        session = await sessions.get_session(self.pool, session_id)
        if session is None:
            raise RdchatError(ErrorCode.SESSION_NOT_FOUND)
        return session

    async def _move_without_chat(self, counseling: Counseling, slot: Slot, by: UUID | None) -> None:
        if counseling.status != Status.PENDING:
            raise _too_late()
        if _is_pending_at(counseling, slot):
            return
        now = self.clock.now()
        async with transaction(self.pool) as connection:
            await self._check_limits(connection, counseling, slot, hours=True)
            # Read behind the locks: the same move may have been made meanwhile.
            present = await counselings.get_counseling_on(connection, counseling.id, at=now)
            if present is not None and _is_pending_at(present, slot):
                return
            planned, replaced = await self._replace_reminders(connection, counseling, slot, now)
            if not await schedule.move_counseling(connection, counseling.id, slot, now, begun_too=False):
                raise _too_late()
            moved = replace(counseling, slot=slot)
            entries = await self.counselings.notify_others(
                connection, moved, by, NotificationType.SESSION_RESCHEDULED, now
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

    async def _check_limits(
        self, connection: Connection, counseling: Counseling, slot: Slot, *, hours: bool
    ) -> None:
        except_this = counseling.id
        await counselings.check_client(
            connection, counseling.client_id, slot, self.limits, except_counseling=except_this
        )
        await counselings.check_psychologist(
            connection,
            counseling.psychologist_id,
            slot,
            self.limits,
            except_counseling=except_this,
            hours=hours,
        )

    async def _carry_out(
        self,
        command: Reschedule | Extend,
        session: Session,
        counseling: Counseling,
        slot: Slot,
        *,
        caller_id: UUID | None,
        command_id: UUID,
        by_length: bool = False,
    ) -> Session:
        """Carry out a command that was made for `session` as it was read.

        `by_length`: its new end was reckoned from the former one, so another that is the same is none of it.
        """
        moves = isinstance(command, Reschedule)
        change: Change | None = None
        planned: list[Reminder] = []
        replaced: list[Job] = []
        try:
            async with transaction(self.pool) as connection:
                await self._check_limits(connection, counseling, slot, hours=moves)
                await schedule.lock_session(connection, session.id)
                locked = await sessions.get_locked_session(connection, session.id) or session
                # Asked behind the locks: on a connection that was lost, it may have waited for them as well.
                if await commit.find_committed_on(connection, [session.id], [command_id]):
                    return locked
                now = self.clock.now()
                self._check(locked, command, now)
                if not by_length and _is_done(locked, command):
                    return locked
                if isinstance(command, Extend) and locked.ends_at != session.ends_at:
                    # What was to be moved is no longer the end: the new end was reckoned from another.
                    raise RdchatError(
                        ErrorCode.ILLEGAL_TRANSITION,
                        "The chat session was extended at the same time: look again",
                    )
                if moves:
                    planned, replaced = await self._replace_reminders(connection, counseling, slot, now)
                # The session says whether it has begun: one whose start is due but was not run can be moved.
                await schedule.move_counseling(connection, counseling.id, slot, now, begun_too=True)
                change = self._taken(
                    command,
                    await self.storage.decide_and_write(
                        connection, locked, command, now, command_id=command_id, actor_id=caller_id
                    ),
                )
                if not moves and caller_id is not None:
                    await reads.record_attendance_on(connection, [session.id], caller_id, now)
        except UnavailableError:
            if change is not None:
                self.effects.uncertain([change])
            raise
        self.effects.committed([change])
        await schedule_timers(self.queue, change.after, self.clock.now())
        if moves:
            await self.counselings.reminders.schedule(planned, replaced)
        return change.after

    def _check(self, session: Session, command: Reschedule | Extend, now: datetime) -> None:
        """Raise what the session refuses anyway, before anything else is asked."""
        self._taken(command, step(session, command, now))

    def _taken(self, command: Reschedule | Extend, answer: T | Refusal) -> T:
        if isinstance(answer, Refusal):
            done = "moved" if isinstance(command, Reschedule) else "extended"
            refuse(answer, f"The chat session cannot be {done}: it is {{status}}")
        return answer


def _is_done(session: Session, command: Reschedule | Extend) -> bool:
    """Tell whether a session has the time that a command would give it."""
    starts_at = command.starts_at if isinstance(command, Reschedule) else session.starts_at
    return (session.starts_at, session.ends_at) == (starts_at, command.ends_at)


def _is_pending_at(counseling: Counseling, slot: Slot) -> bool:
    """Tell whether a counselling has not begun, and has the time that it would be moved to."""
    present = counseling.slot.starts_at, counseling.slot.ends_at
    return counseling.status == Status.PENDING and present == (slot.starts_at, slot.ends_at)


def _too_late() -> RdchatError:
    return RdchatError(ErrorCode.ILLEGAL_TRANSITION, "The counseling cannot be moved any more")

"""What changes when two people meet, or who meets: decided and committed with both of them locked.

A move, an extension and a hand-over all change how much people have at one time. So each is carried out in
the transaction that holds their rows: the limits, the counselling, its session and the plan of automations
change together. The engine's actors learn of it by their fence, like of everything that another replica does.

The client's row is locked first by everything that changes a counselling of theirs in this way. Behind it,
when it is and whom it is with stay as they are read; then the psychologist's row is locked, then the session.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from rdchat.common.errors import ErrorCode, RdchatError, UnavailableError
from rdchat.postgres import commit, counselings, schedule, sessions
from rdchat.postgres.pool import transaction
from rdchat.services.chat import refuse
from rdchat.services.counselings import schedule_timers
from statemachine import Extend, Reassign, Refusal, Reschedule, Session, step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.booking import Limits, Slot
    from rdchat.domain.counseling import Counseling
    from rdchat.domain.person import Psychologist
    from rdchat.engine.change import Change
    from rdchat.engine.engine import Effects
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.postgres.storage import StoredSessions
    from rdchat.redis.delay_queue import DelayQueue

T = TypeVar("T")

AppointmentCommand = Reschedule | Extend | Reassign
#: What a session is then, in the sentence that says that it cannot be.
_DONE = {Reschedule: "moved", Extend: "extended", Reassign: "handed over"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointmentChanges:
    """Carries out commands that need other rows than a session's."""

    pool: Pool
    effects: Effects
    queue: DelayQueue
    storage: StoredSessions
    clock: Clock
    limits: Limits

    async def get_session(self, session_id: UUID) -> Session:
        """Read a session. Raise RdchatError (SESSION_NOT_FOUND)."""
        session = await sessions.get_session(self.pool, session_id)
        if session is None:
            raise RdchatError(ErrorCode.SESSION_NOT_FOUND)
        return session

    async def find_committed(self, session_id: UUID, command_id: UUID) -> bool:
        """Ask whether a command was carried out, whatever its caller was told. Raise UNAVAILABLE.

        Asked behind the session's lock: what is about to be committed on a connection that was lost holds it.
        """
        async with transaction(self.pool) as connection:
            await schedule.lock_session(connection, session_id)
            return bool(await commit.find_committed_on(connection, [session_id], [command_id]))

    def check(self, session: Session, command: AppointmentCommand) -> None:
        """Raise what the session refuses anyway, before anything else is asked."""
        _taken(command, step(session, command, self.clock.now()))

    async def lock(self, connection: Connection, counseling: Counseling) -> Counseling:
        """Lock the client's row, and read the counselling behind it: its time and its psychologist stay."""
        await counselings.lock_client(connection, counseling.client_id)
        present = await counselings.get_counseling_on(connection, counseling.id, at=self.clock.now())
        if present is None:  # pragma: no cover - counsellings are not deleted
            raise LookupError(counseling.id)
        return present

    async def check_limits(
        self, connection: Connection, present: Counseling, slot: Slot, *, hours: bool = True
    ) -> None:
        """See that a counselling fits at another time. Lock its psychologist.

        Raise RdchatError: CLIENT_LIMIT, PSYCHOLOGIST_LIMIT, and with `hours` NO_PSYCHOLOGIST.
        """
        await counselings.check_client(
            connection, present.client_id, slot, self.limits, except_counseling=present.id
        )
        await counselings.check_psychologist(
            connection,
            present.psychologist_id,
            slot,
            self.limits,
            except_counseling=present.id,
            hours=hours,
        )

    async def check_psychologist(
        self, connection: Connection, present: Counseling, psychologist_id: UUID
    ) -> Psychologist:
        """See that another psychologist can have a counselling at its time. Lock both, and return the other.

        Raise RdchatError: NO_PSYCHOLOGIST, PSYCHOLOGIST_LIMIT.
        """
        # The former one's as well: those who meet them are told when they stop, and no one else is.
        await counselings.lock_psychologists(connection, [present.psychologist_id, psychologist_id])
        return await counselings.check_psychologist(
            connection, psychologist_id, present.slot, self.limits, except_counseling=present.id
        )

    async def carry_out(
        self,
        counseling: Counseling,
        prepare: Callable[[Connection, Counseling], Awaitable[AppointmentCommand | None]],
        write: Callable[[Connection, Session], Awaitable[None]],
        *,
        session_id: UUID,
        actor_id: UUID | None,
        command_id: UUID,
    ) -> Session:
        """Carry out a command to a counselling's session, with its people locked.

        `prepare` is given the counselling as it is behind the client's lock. It locks the psychologist, sees
        that the limits hold and makes the command; None: there is nothing left to do. `write` gets the
        session behind its lock, as it still is; it raises what is against it, and writes what is not the
        session's.

        A command that is carried out meanwhile, on a connection that was lost, is not carried out again.
        Raise what these two raise, and RdchatError: what the session refuses, UNAVAILABLE.
        """
        change: Change | None = None
        try:
            async with transaction(self.pool) as connection:
                command = await prepare(connection, await self.lock(connection, counseling))
                await schedule.lock_session(connection, session_id)
                locked = await sessions.get_locked_session(connection, session_id)
                if locked is None:  # pragma: no cover - sessions are not deleted
                    raise RdchatError(ErrorCode.SESSION_NOT_FOUND)
                # Asked behind the locks: on a connection that was lost, it may have waited for them as well.
                if command is None or await commit.find_committed_on(connection, [session_id], [command_id]):
                    return locked
                self.check(locked, command)
                await write(connection, locked)
                change = _taken(
                    command,
                    await self.storage.decide_and_write(
                        connection,
                        locked,
                        command,
                        self.clock.now(),
                        command_id=command_id,
                        actor_id=actor_id,
                    ),
                )
        except UnavailableError:
            if change is not None:
                self.effects.uncertain([change])
            raise
        self.effects.committed([change])
        if change.reschedules_timers:
            await schedule_timers(self.queue, change.after, self.clock.now())
        return change.after


def _taken(command: AppointmentCommand, answer: T | Refusal) -> T:
    if isinstance(answer, Refusal):
        refuse(answer, f"The chat session cannot be {_DONE[type(command)]}: it is {{status}}")
    return answer

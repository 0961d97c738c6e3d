"""The engine's storage on the real stores: Redis for hydration, PostgreSQL for the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncpg import PostgresError, UniqueViolationError

from rdchat.engine.change import decide
from rdchat.engine.storage import CommitRefusedError
from rdchat.postgres import commit as group
from rdchat.postgres import messages, schedule, sessions
from rdchat.postgres.data_keys import DataKeyError
from statemachine import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from rdchat.domain.booking import Limits
    from rdchat.domain.message import Message
    from rdchat.engine.change import Change
    from rdchat.engine.storage import CommitResult
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.redis.snapshots import Snapshots
    from statemachine import Command, Session


class StoredSessions:
    """Implements `rdchat.engine.storage.Storage`, which documents the methods."""

    def __init__(
        self,
        pool: Pool,
        snapshots: Snapshots,
        *,
        keys: DataKeys,
        limits: Limits,
        outbox_lease: timedelta,
        endpoints: Sequence[str],
        text_of: Callable[[str, Session], str],
    ) -> None:
        self._pool = pool
        self._snapshots = snapshots
        self._keys = keys
        self._limits = limits
        self._outbox_lease = outbox_lease
        self._endpoints = endpoints
        self.automated_text = text_of

    async def hydrate(self, session_ids: Sequence[UUID]) -> tuple[dict[UUID, Session], set[UUID]]:
        """Read snapshots, and from PostgreSQL what has none."""
        found = await self._snapshots.load(session_ids)
        missing = [session_id for session_id in session_ids if session_id not in found]
        if not missing:
            return found, set()
        read = await self.read(missing)
        return found | read, set(missing)

    async def read(self, session_ids: Sequence[UUID]) -> dict[UUID, Session]:
        """Read from PostgreSQL."""
        return await sessions.get_sessions_to_run(self._pool, session_ids, self._limits)

    async def commit(self, changes: Sequence[Change]) -> dict[UUID, CommitResult]:
        """Write the changes in one statement."""
        try:
            return await group.commit(
                self._pool,
                changes,
                keys=self._keys,
                outbox_lease=self._outbox_lease,
                endpoints=self._endpoints,
            )
        except UniqueViolationError as error:
            raise CommitRefusedError(str(error), repeats=True) from error
        except DataKeyError as error:
            raise CommitRefusedError(
                f"no data key opens {error.owner} for its people", failure=error
            ) from error
        except PostgresError as error:
            raise CommitRefusedError(f"{type(error).__name__}: {error}") from error

    async def decide_and_write(
        self,
        connection: Connection,
        session: Session,
        command: Command,
        now: datetime,
        *,
        command_id: UUID,
        actor_id: UUID | None,
    ) -> Change | Refusal:
        """Do in the open transaction what the engine does in one of its own: decide, write, plan again.

        For commands that have to hold other rows as well. The session was read behind the lock on its row.
        Give the change to `Effects.committed` after the commit.
        """
        change = decide(
            session, command, now, command_id=command_id, actor_id=actor_id, text_of=self.automated_text
        )
        if isinstance(change, Refusal):
            return change
        won = await group.write(
            connection,
            [change],
            keys=self._keys,
            outbox_lease=self._outbox_lease,
            endpoints=self._endpoints,
        )
        if change.reschedules_timers:
            await schedule.move_session(connection, change.after, command.trigger)
        if change.after.psychologist_id != session.psychologist_id:
            await schedule.reassign_session(connection, session, change.after, keys=self._keys)
        change.after.version = change.after.state_version = won[session.id].version
        return change

    async def find_committed(self, session_ids: Sequence[UUID], command_ids: Sequence[UUID]) -> set[UUID]:
        """Look for the rows that the commands would have left."""
        return await group.find_committed(self._pool, session_ids, command_ids)

    async def messages_by_client_id(
        self, session_id: UUID, named: Sequence[tuple[UUID, str]]
    ) -> dict[tuple[UUID, str], Message]:
        """Find messages by (sender, clientMessageId)."""
        return await messages.list_messages_by_client_id(self._pool, session_id, named, keys=self._keys)

    async def message_by_id(self, session_id: UUID, message_id: UUID) -> Message | None:
        """Find one message by its id."""
        return await messages.get_message(self._pool, session_id, message_id, keys=self._keys)

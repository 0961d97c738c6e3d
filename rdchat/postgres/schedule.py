"""Moving and handing over a counselling: its rows, in the transaction that checks the limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncpg import ExclusionViolationError

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.postgres.counselings import slot_columns
from rdchat.postgres.data_keys import KeyOwner, session_owner
from rdchat.postgres.pool import rows_changed

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.domain.booking import Slot
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection
    from statemachine import Session

_LOCK_SESSION = "SELECT 1 FROM chat_sessions WHERE id = $1 FOR UPDATE"

_MOVE_COUNSELING = """
UPDATE counselings
   SET starts_at = $2, ends_at = $3, timezone = $4, local_date = $5, local_start = $6, local_end_date = $7,
       local_end = $8, start_fold = $9, end_fold = $10, updated_at = $11
 WHERE id = $1 AND status = 'pending' AND (starts_at > $11 OR $12)
"""

_MOVE_SESSION = """
UPDATE chat_sessions SET starts_at = $2, ends_at = $3, schedule_version = $4 WHERE id = $1
"""

_REASSIGN_COUNSELING = """
UPDATE counselings SET psychologist_id = $2, psychologist_timezone = $3, updated_at = $4 WHERE id = $1
"""

_REASSIGN_SESSION = "UPDATE chat_sessions SET psychologist_id = $2 WHERE id = $1"

_DROP_PLAN = """
UPDATE automations SET status = 'cancelled', reason = $3
 WHERE session_id = $1 AND schedule_version < $2 AND status IN ('scheduled', 'failed')
"""

_NEW_PLAN = """
INSERT INTO automations (session_id, kind, schedule_version, due_at, status, executed_at, lateness_ms, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def lock_session(connection: Connection, session_id: UUID) -> None:
    """Keep a session as it is until the transaction ends. Rows of people are locked before it."""
    await connection.execute(_LOCK_SESSION, session_id)


async def move_counseling(
    connection: Connection, counseling_id: UUID, slot: Slot, at: datetime, *, begun_too: bool
) -> bool:
    """Give a counselling that is not over another range. Return whether there was one to move.

    `begun_too`: also when it has begun. Raise RdchatError (CLIENT_LIMIT) where another overlaps.
    """
    try:
        tag = await connection.execute(
            _MOVE_COUNSELING,
            counseling_id,
            *slot_columns(slot),
            at,
            begun_too,
        )
    except ExclusionViolationError as error:
        raise RdchatError(ErrorCode.CLIENT_LIMIT) from error
    return rows_changed(tag) == 1


async def reassign_counseling(
    connection: Connection,
    owner: KeyOwner,
    psychologist_id: UUID,
    timezone: str,
    at: datetime,
    *,
    keys: DataKeys,
) -> None:
    """Give a counselling, whose client and new psychologist are locked, to that psychologist.

    `owner`: the counselling as it was, with its two people.
    """
    client_id, _ = owner.people or ()
    await keys.hand_over(connection, owner, (client_id, psychologist_id))
    await connection.execute(_REASSIGN_COUNSELING, owner.id, psychologist_id, timezone, at)


async def reassign_session(
    connection: Connection, before: Session, session: Session, *, keys: DataKeys
) -> None:
    """Give a session and its counselling to the psychologist that it has by now."""
    await keys.hand_over(connection, session_owner(before), session.participants)
    await connection.execute(_REASSIGN_SESSION, session.id, session.psychologist_id)
    await reassign_counseling(
        connection,
        KeyOwner(before.counseling_id, before.participants),
        session.psychologist_id,
        session.psychologist_timezone,
        session.updated_at,
        keys=keys,
    )


async def move_session(connection: Connection, session: Session, reason: str) -> None:
    """Give a session its new range and plan; what is left of the former plan is cancelled with a reason."""
    await connection.execute(
        _MOVE_SESSION, session.id, session.starts_at, session.ends_at, session.schedule_version
    )
    await connection.execute(_DROP_PLAN, session.id, session.schedule_version, reason)
    await connection.executemany(
        _NEW_PLAN,
        [
            (
                session.id,
                one.kind.value,
                session.schedule_version,
                one.due_at,
                one.status.value,
                one.executed_at,
                one.lateness_ms,
                one.reason,
            )
            for one in session.automations.values()
        ],
    )

"""Legal holds: what must not be erased, of a person or of one session, until it is lifted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import uuid4

from rdchat.domain.erasure import HoldSubject, LegalHold
from rdchat.postgres.pool import acquire
from rdchat.security.encryption import context

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Encryptor

_COLUMNS: Final = "id, subject_type, subject_id, set_by, set_at, lifted_at"

_SET: Final = """
INSERT INTO legal_holds (id, subject_type, subject_id, reason, set_by, set_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (subject_id) WHERE lifted_at IS NULL DO NOTHING
"""

_LOCKED: Final = f"""
SELECT {_COLUMNS} FROM legal_holds WHERE subject_id = $1 AND lifted_at IS NULL FOR UPDATE
"""  # noqa: S608 - ours

_LIFT: Final = "UPDATE legal_holds SET lifted_at = $2, lifted_by = $3, lift_reason = $4 WHERE id = $1"

_IN_FORCE: Final = f"""
SELECT {_COLUMNS} FROM legal_holds WHERE lifted_at IS NULL ORDER BY set_at, id
"""  # noqa: S608 - ours

# Of a person, and of the sessions that they had as a client: all that would go with them.
_OF_PERSON: Final = f"""
SELECT {_COLUMNS} FROM legal_holds
 WHERE lifted_at IS NULL
   AND (subject_id = $1 OR subject_id IN (SELECT id FROM chat_sessions WHERE client_id = $1))
 ORDER BY set_at LIMIT 1
"""  # noqa: S608 - ours

_EXISTS: Final = {
    HoldSubject.PERSON: "SELECT EXISTS (SELECT FROM people WHERE id = $1)",
    HoldSubject.SESSION: "SELECT EXISTS (SELECT FROM chat_sessions WHERE id = $1)",
}


async def is_there(connection: Connection, subject_type: HoldSubject, subject_id: UUID) -> bool:
    """Tell whether there is a person, or a session, of that id."""
    found: bool = await connection.fetchval(_EXISTS[subject_type], subject_id)
    return found


async def set_hold(
    connection: Connection,
    subject_type: HoldSubject,
    subject_id: UUID,
    *,
    reason: str,
    by: UUID | None,
    at: datetime,
    service_key: Encryptor,
) -> LegalHold:
    """Set a hold, within a transaction that counts a change. Where there is one, it stays as it is."""
    hold_id = uuid4()
    encrypted = service_key.encrypt(reason.encode(), _context("reason", hold_id))
    await connection.execute(_SET, hold_id, subject_type.value, subject_id, encrypted, by, at)
    row = await connection.fetchrow(_LOCKED, subject_id)
    if row is None:  # pragma: no cover - set, or found, in this transaction
        raise LookupError(subject_id)
    return _hold(row)


async def lift_hold(
    connection: Connection,
    subject_id: UUID,
    *,
    reason: str,
    by: UUID | None,
    at: datetime,
    service_key: Encryptor,
) -> bool:
    """Lift a hold, within a transaction. Return whether there was one."""
    row = await connection.fetchrow(_LOCKED, subject_id)
    if row is None:
        return False
    encrypted = service_key.encrypt(reason.encode(), _context("lift reason", row["id"]))
    await connection.execute(_LIFT, row["id"], at, by, encrypted)
    return True


async def find_hold(connection: Connection, person_id: UUID) -> LegalHold | None:
    """Find a hold that stands in the way of a person's erasure."""
    row = await connection.fetchrow(_OF_PERSON, person_id)
    return None if row is None else _hold(row)


async def list_holds(pool: Pool) -> list[LegalHold]:
    """List the holds that are in force, the oldest first."""
    async with acquire(pool) as connection:
        return [_hold(row) for row in await connection.fetch(_IN_FORCE)]


def _hold(row: asyncpg.Record) -> LegalHold:
    return LegalHold(
        id=row["id"],
        subject_type=HoldSubject(row["subject_type"]),
        subject_id=row["subject_id"],
        set_by=row["set_by"],
        set_at=row["set_at"],
        lifted_at=row["lifted_at"],
    )


def _context(column: str, hold_id: UUID) -> bytes:
    return context("legal hold", column, hold_id)

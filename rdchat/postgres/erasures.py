"""Erasures, as they are recorded: begun, how far they are, how much was erased, and the receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from rdchat.domain.erasure import Erasure, ErasureKind, ErasureStatus
from rdchat.postgres.pool import acquire
from rdchat.security.encryption import context

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Encryptor

_INSERT: Final = """
INSERT INTO erasures (id, kind, person_id, actor_id, reason, status, begun_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""

_UNFINISHED: Final = "SELECT * FROM erasures WHERE person_id = $1 AND finished_at IS NULL"

_GET: Final = "SELECT * FROM erasures WHERE id = $1"

_LATEST: Final = """
SELECT * FROM erasures WHERE ($1::timestamptz IS NULL OR (begun_at, id) < ($1, $2))
 ORDER BY begun_at DESC, id DESC LIMIT $3
"""

_ALL_OF_PEOPLE: Final = "SELECT * FROM erasures WHERE person_id IS NOT NULL ORDER BY begun_at, id"

_ALL_UNFINISHED: Final = """
SELECT * FROM erasures WHERE person_id IS NOT NULL AND finished_at IS NULL ORDER BY begun_at
"""

_UNFINISHED_RETENTION: Final = """
SELECT * FROM erasures WHERE kind = 'retention' AND finished_at IS NULL ORDER BY begun_at LIMIT 1
"""

_KNOWN_KEYS: Final = """
SELECT kid, created_at FROM encryption_keys WHERE kid = ANY($1) ORDER BY created_at, kid
"""

# Added up in the row, so that what is done again adds what it has done, and no more.
_COUNT: Final = """
UPDATE erasures e SET counts = e.counts || (
    SELECT coalesce(jsonb_object_agg(key, value::bigint + coalesce((e.counts ->> key)::bigint, 0)), '{}')
      FROM jsonb_each_text($2::jsonb))
 WHERE id = $1
"""

_DESTROYED: Final = """
UPDATE erasures SET status = 'destroyed', destroyed_at = $2 WHERE id = $1 AND status = 'begun'
"""

_DONE: Final = """
UPDATE erasures SET status = 'done', finished_at = $2, receipt = $3 WHERE id = $1 AND status <> 'done'
"""


async def insert_erasure(
    connection: Connection, erasure: Erasure, reason: str | None, service_key: Encryptor
) -> None:
    """Record that an erasure begins, within a transaction."""
    encrypted = None
    if reason is not None:
        encrypted = service_key.encrypt(reason.encode(), _reason_context(erasure.id))
    await connection.execute(
        _INSERT,
        erasure.id,
        erasure.kind.value,
        erasure.person_id,
        erasure.actor_id,
        encrypted,
        erasure.status.value,
        erasure.begun_at,
    )


async def get_unfinished(connection: Connection, person_id: UUID) -> Erasure | None:
    """Read the erasure of a person that is under way or was interrupted, if there is one."""
    row = await connection.fetchrow(_UNFINISHED, person_id)
    return None if row is None else _erasure(row)


async def get_unfinished_retention(connection: Connection) -> Erasure | None:
    """Read the run of the retention that is under way or was interrupted, if there is one."""
    row = await connection.fetchrow(_UNFINISHED_RETENTION)
    return None if row is None else _erasure(row)


async def list_known_keys(pool: Pool, kids: Sequence[str]) -> list[tuple[str, datetime]]:
    """List since when keys of the ring are known, the oldest first."""
    async with acquire(pool) as connection:
        return [(row["kid"], row["created_at"]) for row in await connection.fetch(_KNOWN_KEYS, list(kids))]


async def get_erasure(pool: Pool, erasure_id: UUID) -> Erasure | None:
    """Read an erasure, or None."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow(_GET, erasure_id)
    return None if row is None else _erasure(row)


async def list_erasures(pool: Pool, *, before: tuple[datetime, UUID] | None, limit: int) -> list[Erasure]:
    """List erasures, latest first; `before` is the (instant, id) of the last one that was seen."""
    async with acquire(pool) as connection:
        return [_erasure(row) for row in await connection.fetch(_LATEST, *(before or (None, None)), limit)]


async def list_unfinished(pool: Pool) -> list[Erasure]:
    """List the erasures of people that are under way or were interrupted, the oldest first."""
    async with acquire(pool) as connection:
        return [_erasure(row) for row in await connection.fetch(_ALL_UNFINISHED)]


async def list_of_people(pool: Pool) -> list[Erasure]:
    """List all erasures of people, the oldest first."""
    async with acquire(pool) as connection:
        return [_erasure(row) for row in await connection.fetch(_ALL_OF_PEOPLE)]


async def add_counts(connection: Connection, erasure_id: UUID, counts: Mapping[str, int]) -> None:
    """Add to how much was erased, in the transaction that erases it."""
    counted = {name: count for name, count in counts.items() if count}
    if counted:
        await connection.execute(_COUNT, erasure_id, orjson.dumps(counted).decode())


async def mark_destroyed(connection: Connection, erasure_id: UUID, at: datetime) -> None:
    """Record that all keys are destroyed, within a transaction."""
    await connection.execute(_DESTROYED, erasure_id, at)


async def mark_done(connection: Connection, erasure_id: UUID, at: datetime, receipt: str | None) -> None:
    """Record that nothing is left to be done, with the receipt."""
    await connection.execute(_DONE, erasure_id, at, receipt)


def _erasure(row: asyncpg.Record) -> Erasure:
    return Erasure(
        id=row["id"],
        kind=ErasureKind(row["kind"]),
        person_id=row["person_id"],
        actor_id=row["actor_id"],
        status=ErasureStatus(row["status"]),
        begun_at=row["begun_at"],
        counts=orjson.loads(row["counts"]),
        destroyed_at=row["destroyed_at"],
        finished_at=row["finished_at"],
        receipt=row["receipt"],
    )


def _reason_context(erasure_id: UUID) -> bytes:
    return context("reason of an erasure", erasure_id)

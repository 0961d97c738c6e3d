"""People: a row per person the service has seen. It is no identity provider; tokens say who they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rdchat.domain.person import Psychologist
from rdchat.postgres.pool import acquire, transaction

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from rdchat.domain.person import Caller
    from rdchat.postgres.pool import Connection, Pool

_SEE = """
INSERT INTO people (id, role, full_name, email, organization_id, seen_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (id) DO UPDATE
   SET role = excluded.role, full_name = excluded.full_name, email = coalesce(excluded.email, people.email),
       organization_id = coalesce(excluded.organization_id, people.organization_id),
       seen_at = excluded.seen_at
-- Psychologists are named by an administrator, not by whatever token they book with.
 WHERE people.role <> 'psychologist'
"""

_PUT = """
INSERT INTO psychologists (id, timezone, is_active, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
ON CONFLICT (id) DO UPDATE
   SET timezone = excluded.timezone, is_active = excluded.is_active, updated_at = excluded.updated_at
RETURNING xmax = 0 AS created
"""

_NAME = """
INSERT INTO people (id, role, full_name, seen_at) VALUES ($1, 'psychologist', $2, $3)
ON CONFLICT (id) DO UPDATE SET role = 'psychologist', full_name = excluded.full_name
"""

_PSYCHOLOGIST = """
SELECT s.id, p.full_name, s.timezone, s.is_active, s.created_at, s.updated_at
  FROM psychologists s JOIN people p USING (id)
"""


async def upsert_person(connection: Connection, caller: Caller, at: datetime) -> None:
    """Keep what a caller's token says of them."""
    await connection.execute(
        _SEE, caller.id, caller.role.value, caller.full_name, caller.email, caller.organization_id, at
    )


async def put_psychologist(
    pool: Pool, psychologist_id: UUID, *, full_name: str, timezone: str, is_active: bool, at: datetime
) -> tuple[Psychologist, bool]:
    """Create or change a psychologist. Returns them, and whether they are new."""
    async with transaction(pool) as connection:
        await connection.execute(_NAME, psychologist_id, full_name, at)
        created = await connection.fetchval(_PUT, psychologist_id, timezone, is_active, at)
        row = await connection.fetchrow(_PSYCHOLOGIST + "WHERE s.id = $1", psychologist_id)
    if row is None:  # pragma: no cover - written in this transaction
        raise LookupError(psychologist_id)
    return psychologist_from_row(row), bool(created)


async def get_psychologist(pool: Pool, psychologist_id: UUID) -> Psychologist | None:
    """Read one psychologist, or None."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow(_PSYCHOLOGIST + "WHERE s.id = $1", psychologist_id)
    return None if row is None else psychologist_from_row(row)


async def list_psychologists(pool: Pool, *, all_of_them: bool = False) -> list[Psychologist]:
    """List the psychologists that can be booked, or all of them, by name."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(
            _PSYCHOLOGIST + "WHERE s.is_active OR $1 ORDER BY p.full_name, s.id", all_of_them
        )
    return [psychologist_from_row(row) for row in rows]


def psychologist_from_row(row: asyncpg.Record) -> Psychologist:
    """Read a psychologist off a row, which may have more columns."""
    return Psychologist(
        id=row["id"],
        full_name=row["full_name"],
        timezone=row["timezone"],
        is_active=row["is_active"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )

"""People: a row per person the service has seen. It is no identity provider; tokens say who they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rdchat.domain.person import Psychologist
from rdchat.postgres.pool import acquire, transaction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from rdchat.domain.person import Caller
    from rdchat.postgres.pool import Connection, Pool

_SEE = """
WITH before AS (SELECT full_name FROM people WHERE id = $1)
INSERT INTO people (id, role, full_name, email, organization_id, seen_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (id) DO UPDATE
   SET role = excluded.role, full_name = excluded.full_name, email = coalesce(excluded.email, people.email),
       organization_id = coalesce(excluded.organization_id, people.organization_id),
       seen_at = excluded.seen_at
-- Psychologists are named by an administrator, not by whatever token they book with.
 WHERE NOT EXISTS (SELECT FROM psychologists s WHERE s.id = people.id)
RETURNING (SELECT full_name FROM before) AS name_before
"""

# Who is new gets their row here; of the others, those are told whose row says something else.
_COMPARE = """
WITH told AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[])
        AS t (id, role, full_name, email, organization_id)
),
new AS (
    INSERT INTO people (id, role, full_name, email, organization_id, seen_at)
    SELECT t.*, $6 FROM told t ORDER BY t.id
    ON CONFLICT (id) DO NOTHING
)
SELECT p.id FROM people p JOIN told t ON t.id = p.id
 WHERE (t.role, t.full_name, coalesce(t.email, p.email), coalesce(t.organization_id, p.organization_id))
       IS DISTINCT FROM (p.role, p.full_name, p.email, p.organization_id)
   AND NOT EXISTS (SELECT FROM psychologists s WHERE s.id = p.id)
"""

# Every process that holds one of these sessions in memory loses its next commit to the fence and reads the
# session again, with the name. Rows are locked in the order of the group commit.
_RENEW_SESSIONS = """
WITH locked AS (
    SELECT id FROM chat_sessions WHERE (client_id = $1 OR psychologist_id = $1) AND ended_at IS NULL
    ORDER BY id FOR UPDATE
)
UPDATE chat_sessions s SET version = s.version + 1, state_version = s.version + 1
  FROM locked l WHERE s.id = l.id
"""

_PUT = """
INSERT INTO psychologists (id, timezone, is_active, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
ON CONFLICT (id) DO UPDATE
   SET timezone = excluded.timezone, is_active = excluded.is_active, updated_at = excluded.updated_at
RETURNING xmax = 0 AS created
"""

_NAME = """
WITH before AS (SELECT full_name FROM people WHERE id = $1)
INSERT INTO people (id, role, full_name, seen_at) VALUES ($1, 'psychologist', $2, $3)
ON CONFLICT (id) DO UPDATE SET role = 'psychologist', full_name = excluded.full_name
RETURNING (SELECT full_name FROM before) AS name_before
"""

_PSYCHOLOGIST = """
SELECT s.id, p.full_name, s.timezone, s.is_active, s.created_at, s.updated_at
  FROM psychologists s JOIN people p USING (id)
"""


async def upsert_person(connection: Connection, caller: Caller, at: datetime) -> None:
    """Keep what a caller's token says of them, within a transaction."""
    row = await connection.fetchrow(_SEE, *_facts(caller), at)
    if row is not None and row["name_before"] not in (None, caller.full_name):
        await connection.execute(_RENEW_SESSIONS, caller.id)


async def insert_new(pool: Pool, callers: Sequence[Caller], at: datetime) -> set[UUID]:
    """Keep those who were never seen. Return the others of whom their token says something new."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_COMPARE, *zip(*map(_facts, callers), strict=True), at)
    return {row["id"] for row in rows}


def _facts(caller: Caller) -> tuple[Any, ...]:
    return caller.id, caller.role.value, caller.full_name, caller.email, caller.organization_id


async def put_psychologist(
    pool: Pool, psychologist_id: UUID, *, full_name: str, timezone: str, is_active: bool, at: datetime
) -> tuple[Psychologist, bool]:
    """Create or change a psychologist. Return them, and whether they are new."""
    async with transaction(pool) as connection:
        name_before = await connection.fetchval(_NAME, psychologist_id, full_name, at)
        created = await connection.fetchval(_PUT, psychologist_id, timezone, is_active, at)
        if name_before not in (None, full_name):
            await connection.execute(_RENEW_SESSIONS, psychologist_id)
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

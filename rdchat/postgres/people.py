"""People: a row per person the service has seen. It is no identity provider; tokens say who they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rdchat.common.clock import from_ms
from rdchat.common.errors import ErrorCode, RdchatError, invalid
from rdchat.domain.permissions import CLIENTS
from rdchat.domain.person import Psychologist, Recipient, Role
from rdchat.postgres.pool import acquire
from rdchat.postgres.working_time import working_time_from_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from rdchat.domain.availability import WorkingTime
    from rdchat.domain.person import Caller
    from rdchat.postgres.pool import Connection, Pool

#: The time zone of a psychologist of whom no other is said.
_USUAL_ZONE: Final = "Asia/Jakarta"

_SEE = """
WITH before AS (SELECT full_name FROM people WHERE id = $1)
INSERT INTO people (id, role, full_name, email, organization_id, locale, token_at, seen_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (id) DO UPDATE
   SET (role, full_name, organization_id, email, locale) =
       -- Psychologists are named by an administrator, not by whatever token they book with. Nor does an older
       -- token take back what a later one has said, above all of the role.
       (SELECT CASE WHEN b.stays THEN people.role ELSE excluded.role END,
               CASE WHEN b.stays THEN people.full_name ELSE excluded.full_name END,
               CASE WHEN b.stays THEN people.organization_id
                    ELSE coalesce(excluded.organization_id, people.organization_id) END,
               CASE WHEN b.is_old THEN people.email ELSE coalesce(excluded.email, people.email) END,
               CASE WHEN b.is_old THEN people.locale ELSE coalesce(excluded.locale, people.locale) END
          FROM (SELECT people.token_at > excluded.token_at AS is_old,
                       people.token_at > excluded.token_at OR EXISTS (SELECT FROM psychologists WHERE id = $1)
                       AS stays) b),
       token_at = greatest(people.token_at, excluded.token_at), seen_at = excluded.seen_at
RETURNING (SELECT full_name FROM before) <> full_name AS is_renamed
"""

# Who is new gets their row here; of the others, those are told whose row says something else.
_COMPARE = """
WITH told AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::text[],
                         $7::timestamptz[])
        AS t (id, role, full_name, email, organization_id, locale, token_at)
),
new AS (
    INSERT INTO people (id, role, full_name, email, organization_id, locale, token_at, seen_at)
    SELECT t.*, $8 FROM told t ORDER BY t.id
    ON CONFLICT (id) DO NOTHING
)
SELECT p.id FROM people p JOIN told t ON t.id = p.id
 WHERE (coalesce(t.email, p.email), coalesce(t.locale, p.locale)) IS DISTINCT FROM (p.email, p.locale)
    OR (t.role, t.full_name, coalesce(t.organization_id, p.organization_id))
       IS DISTINCT FROM (p.role, p.full_name, p.organization_id)
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

_INTRODUCE = """
INSERT INTO people (id, role, full_name, seen_at) VALUES ($1, 'psychologist', $2, $3)
ON CONFLICT (id) DO NOTHING
"""

_MAKE_PSYCHOLOGIST = "UPDATE people SET role = 'psychologist' WHERE id = $1"

_LOCKED_PERSON = "SELECT role, full_name FROM people WHERE id = $1 FOR NO KEY UPDATE"

_LOCKED_PSYCHOLOGIST = "SELECT * FROM psychologists WHERE id = $1 FOR NO KEY UPDATE"

_PUT = """
INSERT INTO psychologists (id, timezone, is_active, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
ON CONFLICT (id) DO UPDATE
   SET timezone = excluded.timezone, is_active = excluded.is_active, updated_at = excluded.updated_at
"""

_RECIPIENTS = "SELECT id, full_name, email, locale FROM people WHERE id = ANY($1)"

_PSYCHOLOGIST = """
SELECT s.id, p.full_name, s.timezone, s.is_active, s.created_at, s.updated_at
  FROM psychologists s JOIN people p USING (id)
"""

_BY_NAME = (
    _PSYCHOLOGIST
    + """
 WHERE (s.is_active OR $1) AND ($2::text IS NULL OR (p.full_name, s.id) > ($2, $3::uuid))
 ORDER BY p.full_name, s.id LIMIT $4
"""
)


async def upsert_person(connection: Connection, caller: Caller, at: datetime) -> None:
    """Keep what a caller's token says of them, within a transaction."""
    row = await connection.fetchrow(_SEE, *_facts(caller), at)
    if row is not None and row["is_renamed"]:
        await connection.execute(_RENEW_SESSIONS, caller.id)


async def insert_new(pool: Pool, callers: Sequence[Caller], at: datetime) -> set[UUID]:
    """Keep those who were never seen. Return the others of whom their token says something new."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_COMPARE, *zip(*map(_facts, callers), strict=True), at)
    return {row["id"] for row in rows}


def _facts(caller: Caller) -> tuple[Any, ...]:
    return (
        caller.id,
        caller.role.value,
        caller.full_name,
        caller.email,
        caller.organization_id,
        caller.language,
        from_ms(round(caller.issued_at * 1000)),
    )


async def get_recipients(connection: Connection, person_ids: Iterable[UUID]) -> dict[UUID, Recipient]:
    """Read how people who are told something can be reached; within a transaction if there is one."""
    rows = await connection.fetch(_RECIPIENTS, list(set(person_ids)))
    return {row["id"]: Recipient(row["id"], row["full_name"], row["email"], row["locale"]) for row in rows}


async def put_psychologist(
    connection: Connection,
    psychologist_id: UUID,
    *,
    full_name: str | None,
    timezone: str | None,
    is_active: bool | None,
    at: datetime,
) -> tuple[Psychologist, WorkingTime | None]:
    """Create or change a psychologist, in the open transaction, which keeps their row locked.

    Return them, and when they took counsellings until now; None of one who is new. In what is given, None
    leaves a field as it is; where nothing differs, nothing is written.

    Raise RdchatError: VALIDATION_FAILED for a new one without a name, ILLEGAL_TRANSITION for a client.
    """
    if full_name is not None:
        await connection.execute(_INTRODUCE, psychologist_id, full_name, at)
    # The person is locked before the psychologist, as a booking does it.
    person = await connection.fetchrow(_LOCKED_PERSON, psychologist_id)
    if person is not None and person["role"] in CLIENTS:
        raise RdchatError(
            ErrorCode.ILLEGAL_TRANSITION,
            f"This person is known as {person['role']} and cannot become a psychologist",
        )
    former = await connection.fetchrow(_LOCKED_PSYCHOLOGIST, psychologist_id)
    if person is None or (former is None and full_name is None):
        raise invalid("fullName", "A new psychologist needs a name.")
    name = person["full_name"] if full_name is None else full_name
    usual = (_USUAL_ZONE, True) if former is None else (former["timezone"], former["is_active"])
    present = usual[0] if timezone is None else timezone, usual[1] if is_active is None else is_active
    if name != person["full_name"]:
        await connection.execute("UPDATE people SET full_name = $2 WHERE id = $1", psychologist_id, name)
        await connection.execute(_RENEW_SESSIONS, psychologist_id)
    if former is None or name != person["full_name"] or present != usual:
        await connection.execute(_PUT, psychologist_id, *present, at)
    if person["role"] != Role.PSYCHOLOGIST:
        # An administrator may see clients as well: who is a psychologist by now has no role taken away.
        await connection.execute(_MAKE_PSYCHOLOGIST, psychologist_id)
    row = await connection.fetchrow(_PSYCHOLOGIST + "WHERE s.id = $1", psychologist_id)
    if row is None:  # pragma: no cover - written in this transaction
        raise LookupError(psychologist_id)
    return psychologist_from_row(row), None if former is None else working_time_from_row(former)


async def get_psychologist(pool: Pool, psychologist_id: UUID) -> Psychologist | None:
    """Read one psychologist, or None."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow(_PSYCHOLOGIST + "WHERE s.id = $1", psychologist_id)
    return None if row is None else psychologist_from_row(row)


async def list_psychologists(
    pool: Pool,
    *,
    all_of_them: bool = False,
    after: tuple[str, UUID] | None = None,
    limit: int | None = None,
) -> list[Psychologist]:
    """List the psychologists that can be booked, or all of them, by name.

    `after` is the (name, id) of the last one that was seen. Without `limit`, there is none.
    """
    async with acquire(pool) as connection:
        rows = await connection.fetch(_BY_NAME, all_of_them, *(after or (None, None)), limit)
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

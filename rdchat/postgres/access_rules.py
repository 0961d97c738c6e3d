"""Access rules: rows that every replica reads again and again, changed one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rdchat.domain.access_rule import AccessRule
from rdchat.domain.person import Role
from rdchat.postgres.pool import acquire

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from uuid import UUID

    import asyncpg

    from rdchat.postgres.pool import Connection, Pool

#: Before the first change.
NOTHING_SEEN: Final = -1

# Where nothing was seen yet, rows are left out that no token can be old enough for.
_SINCE = """
SELECT c.number, r.*, r.cut_at <= clock_timestamp() AS is_due FROM access_changes c LEFT JOIN LATERAL (
    SELECT * FROM access_rules WHERE change > $1 AND (
        $1 >= 0 OR NOT is_active OR role_is_fixed OR greatest(revoked_at, role_since) > now() - $2::interval)
    UNION SELECT * FROM access_rules WHERE cut_at <= clock_timestamp()
) r ON true
"""

_COUNT = "UPDATE access_changes SET number = number + 1 RETURNING number"

_GET = "SELECT * FROM access_rules WHERE person_id = $1"

_PUT = """
INSERT INTO access_rules (person_id, is_active, revoked_at, role, role_since, role_is_fixed, cut_at, change)
VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $7 THEN clock_timestamp() END, $8)
ON CONFLICT (person_id) DO UPDATE
   SET is_active = excluded.is_active, revoked_at = excluded.revoked_at, role = excluded.role,
       role_since = excluded.role_since, role_is_fixed = excluded.role_is_fixed,
       cut_at = coalesce(excluded.cut_at, access_rules.cut_at),
       cuts = CASE WHEN $7 THEN 0 ELSE access_rules.cuts END, change = excluded.change
"""

_TAKE_CUTS = """
UPDATE access_rules SET cut_at = cut_at + ($2::interval[])[cuts + 1], cuts = cuts + 1
 WHERE person_id = ANY(ARRAY(
    SELECT person_id FROM access_rules WHERE cut_at <= clock_timestamp() ORDER BY cut_at LIMIT $1
       FOR UPDATE SKIP LOCKED))
RETURNING person_id
"""


async def list_since(pool: Pool, number: int, *, oldest: timedelta) -> tuple[int, list[AccessRule], bool]:
    """Read the rules that have changed after the change of that number, or all that may matter.

    Return the number of the last change, the rules, and whether something is to be cut at Ably. `oldest` is
    how old a token can be. Raise UnavailableError.
    """
    async with acquire(pool) as connection:
        rows = await connection.fetch(_SINCE, number, oldest)
    found = [row for row in rows if row["person_id"] is not None]
    return rows[0]["number"], [_rule(row) for row in found], any(row["is_due"] for row in found)


async def count_change(connection: Connection) -> int:
    """Return the number of a change, in the open transaction, for what replicas have to learn of as well.

    All other changes wait for its end: so it is the last that a transaction locks.
    """
    number: int = await connection.fetchval(_COUNT)
    return number


async def lock(connection: Connection, person_id: UUID) -> tuple[AccessRule, int]:
    """Read what is true of a person, and the number of a change of it, in the open transaction.

    All other changes wait for its end: so it is the last that a transaction locks.
    """
    number = await connection.fetchval(_COUNT)
    row = await connection.fetchrow(_GET, person_id)
    return AccessRule(person_id=person_id) if row is None else _rule(row), number


async def put(connection: Connection, rule: AccessRule, number: int, *, cut: bool) -> None:
    """Write a rule under the number that `lock` gave. With `cut`, what they listen by is to be revoked."""
    await connection.execute(
        _PUT,
        rule.person_id,
        rule.is_active,
        rule.revoked_at,
        rule.role.value if rule.role is not None else None,
        rule.role_since,
        rule.role_is_fixed,
        cut,
        number,
    )


async def take_cuts(connection: Connection, limit: int, again: Sequence[timedelta]) -> list[UUID]:
    """Take over people who are to be cut at Ably now, in the open transaction.

    They are to be cut `again` so long after the first time, so long after the second, and so on.
    """
    return [row["person_id"] for row in await connection.fetch(_TAKE_CUTS, limit, list(again))]


def _rule(row: asyncpg.Record) -> AccessRule:
    return AccessRule(
        person_id=row["person_id"],
        is_active=row["is_active"],
        revoked_at=row["revoked_at"],
        role=Role(row["role"]) if row["role"] is not None else None,
        role_since=row["role_since"],
        role_is_fixed=row["role_is_fixed"],
    )

"""What has been kept for long enough: counsellings that are over for so long, and what holds some back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rdchat.postgres.pool import acquire, rows_changed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime
    from uuid import UUID

    from rdchat.postgres.pool import Connection, Pool

#: Whether a counselling `c` with a session `s` is held back, or one of its two people.
_IS_HELD: Final = """EXISTS (SELECT FROM legal_holds h WHERE h.lifted_at IS NULL
                  AND h.subject_id IN (s.id, c.client_id, c.psychologist_id))"""

# A page of all counsellings in their order, with whether they have a key left: so that a statement looks at
# so many rows and no more, however many were erased before.
_PAGE: Final = f"""
WITH page AS (
    SELECT id, client_id, psychologist_id, organization_id, starts_at, ends_at FROM counselings
     WHERE starts_at < $1 AND (starts_at, id) > ($2, $3) ORDER BY starts_at, id LIMIT $4
)
SELECT c.id, s.id AS session_id, coalesce(s.last_seq, 0) AS messages, c.organization_id, c.starts_at,
       CASE WHEN s.id IS NULL THEN c.ends_at ELSE s.ended_at END AS over_at,
       (EXISTS (SELECT FROM data_keys k WHERE k.owner = c.id)
        OR EXISTS (SELECT FROM data_keys k WHERE k.owner = s.id)) AS has_key,
       {_IS_HELD} AS is_held
  FROM page c LEFT JOIN chat_sessions s ON s.counseling_id = c.id
 ORDER BY c.starts_at, c.id
"""  # noqa: S608 - ours

_HELD: Final = f"""
SELECT c.id FROM counselings c LEFT JOIN chat_sessions s ON s.counseling_id = c.id
 WHERE c.id = ANY($1) AND {_IS_HELD}
"""  # noqa: S608 - ours

# Of all replicas, one takes the day.
_TAKE_DAY: Final = """
INSERT INTO facts (name, value) VALUES ('retention', '')
ON CONFLICT (name) DO UPDATE SET updated_at = now() WHERE facts.updated_at < now() - interval '23 hours'
"""


@dataclass(frozen=True, slots=True)
class OldCounseling:
    """A counselling, if it is over since when, and whether it can be read and is held back."""

    id: UUID
    session_id: UUID | None
    messages: int
    organization_id: UUID | None
    starts_at: datetime
    over_at: datetime | None
    has_key: bool
    is_held: bool


async def list_old(
    pool: Pool, *, started_before: datetime, after: tuple[datetime, UUID], limit: int
) -> list[OldCounseling]:
    """List a page of counsellings, by start and id, behind `after`."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_PAGE, started_before, *after, limit)
    return [OldCounseling(*row) for row in rows]


async def list_held(connection: Connection, counseling_ids: Sequence[UUID]) -> Collection[UUID]:
    """List those of some counsellings that are held back, within a transaction that counts a change."""
    return {row["id"] for row in await connection.fetch(_HELD, counseling_ids)}


async def take_day(pool: Pool) -> bool:
    """Take on the retention of a day. Return False where another replica has."""
    async with acquire(pool) as connection:
        return rows_changed(await connection.execute(_TAKE_DAY)) == 1

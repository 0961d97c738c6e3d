"""Revocations that are due later: rows, which the first replica that gets to them carries out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rdchat.common.errors import UnavailableError
from rdchat.postgres.pool import acquire

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from rdchat.postgres.pool import Pool

_NOTE_REQUESTS = """
INSERT INTO ably_token_requests (session_id, person_id, redeemable_until)
SELECT id, $2, $3 FROM chat_sessions
 WHERE id = ANY($1) AND ended_at IS NULL AND $2 IN (client_id, psychologist_id) ORDER BY id
ON CONFLICT (session_id, person_id) DO UPDATE
   SET redeemable_until = greatest(ably_token_requests.redeemable_until, excluded.redeemable_until)
RETURNING session_id
"""

_PLAN = """
INSERT INTO late_revocations (target, session_id, due_at)
SELECT target, session_id, clock_timestamp() + $3::interval
  FROM unnest($1::text[], $2::uuid[]) AS planned (target, session_id) ORDER BY target
ON CONFLICT (target) DO NOTHING
"""

# A person who has left is asked for once more alone, when nothing can be exchanged any more: it cuts them.
_PLAN_FOR_PERSON = """
INSERT INTO late_revocations (target, session_id, due_at)
SELECT 'clientId:' || r.person_id, r.session_id, r.redeemable_until + $3::interval
  FROM unnest($1::uuid[], $2::uuid[]) AS planned (person_id, session_id)
  JOIN ably_token_requests r USING (person_id, session_id)
 WHERE r.redeemable_until > clock_timestamp()
 ORDER BY 1
ON CONFLICT (target) DO UPDATE SET due_at = greatest(late_revocations.due_at, excluded.due_at)
"""

_CLAIM = """
UPDATE late_revocations SET due_at = clock_timestamp() + $1::interval
 WHERE target = ANY(ARRAY(SELECT target FROM late_revocations WHERE due_at <= clock_timestamp()
                           ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED))
RETURNING target
"""

# A person who has left is cut once and not again: by then the session may be theirs again.
_SETTLE = """
WITH settled AS (
    DELETE FROM late_revocations l
     WHERE target = ANY($1) AND (target LIKE 'clientId:%' OR NOT EXISTS (SELECT FROM ably_token_requests r
            WHERE r.session_id = l.session_id AND r.redeemable_until > clock_timestamp() - $2::interval))
    RETURNING session_id
)
DELETE FROM ably_token_requests
 WHERE session_id IN (SELECT session_id FROM settled) AND redeemable_until <= clock_timestamp() - $2::interval
"""


async def note_token_requests(
    pool: Pool, session_ids: Sequence[UUID], person_id: UUID, redeemable_until: datetime
) -> None:
    """Note that a person has a TokenRequest for some sessions, which Ably exchanges until an instant.

    Raise UnavailableError if one of them has just ended, or is not theirs any more.
    """
    if session_ids:
        async with acquire(pool) as connection:
            noted = await connection.fetch(_NOTE_REQUESTS, session_ids, person_id, redeemable_until)
        if len(noted) < len(session_ids):
            raise UnavailableError("a session that has just changed")


async def plan_late_revocations(
    pool: Pool,
    targets: Iterable[tuple[str, UUID]],
    persons: Iterable[tuple[UUID, UUID]],
    *,
    after: timedelta,
) -> None:
    """Plan to revoke targets, each with its session, after some time.

    `persons`, each with a session, are revoked when their TokenRequests for it have run out, if any.
    """
    by_target, by_person = list(targets), list(persons)
    async with acquire(pool) as connection:
        if by_target:
            await connection.execute(_PLAN, *map(list, zip(*by_target, strict=True)), after)
        if by_person:
            await connection.execute(_PLAN_FOR_PERSON, *map(list, zip(*by_person, strict=True)), after)


async def claim_due(pool: Pool, *, again_after: timedelta, limit: int) -> list[str]:
    """Return targets that are due. Unless settled, they are due again after some time."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_CLAIM, again_after, limit)
    return [row["target"] for row in rows]


async def settle(pool: Pool, targets: Sequence[str], *, margin: timedelta) -> None:
    """Forget targets that were revoked, but for sessions a TokenRequest of which can still be exchanged.

    `margin`: for how long after that it counts.
    """
    async with acquire(pool) as connection:
        await connection.execute(_SETTLE, targets, margin)

"""Automations: the truth behind the delay queue."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rdchat.common.clock import to_ms
from rdchat.postgres.pool import acquire
from rdchat.redis.delay_queue import KIND_CODES, Job
from statemachine import AutomationKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from rdchat.postgres.pool import Pool

_PAGE: Final = 4_000

# The member is what `Job.member` of the delay queue writes: Python takes too long for millions.
# A kind without a code, of a newer release perhaps, has no member, and is left to those who know it.
_KIND_CODE: Final = " ".join(
    f"WHEN '{kind}' THEN '\\x{code:02x}'::bytea" for kind, code in KIND_CODES.items()
)
_WAITING = f"""
SELECT session_id, kind, due_at, (extract(epoch FROM due_at) * 1000)::bigint AS due_ms,
       uuid_send(session_id)
       || CASE kind {_KIND_CODE} END
       || substring(int4send(schedule_version) FROM 3) AS member
  FROM automations
 WHERE status = 'scheduled' AND (due_at, session_id, kind) > ($1, $2, $3) AND due_at <= $4
 ORDER BY due_at, session_id, kind LIMIT $5
"""  # noqa: S608 - constant text

_COUNT_FAILURE = """
UPDATE automations SET attempts = attempts + 1, reason = $4
 WHERE session_id = $1 AND kind = $2 AND schedule_version = $3 AND status = 'scheduled'
RETURNING attempts
"""

_GIVE_UP = """
UPDATE automations SET status = 'failed', executed_at = $4
 WHERE session_id = $1 AND kind = $2 AND schedule_version = $3 AND status = 'scheduled'
"""

_DEAD = """
SELECT session_id, kind, schedule_version, due_at, attempts, executed_at, reason FROM automations
 WHERE status = 'failed' ORDER BY due_at LIMIT $1
"""

_REVIVE = """
UPDATE automations SET status = 'scheduled', attempts = 0, executed_at = NULL, reason = NULL
 WHERE session_id = $1 AND status = 'failed'
RETURNING kind, schedule_version, due_at
"""

#: No one needs to know how many thousands.
OVERDUE_COUNTED: Final = 1_000

# What has failed before is waiting for its next attempt: something else is at fault then, not the timers.
_OVERDUE = """
SELECT count(*) AS automations, min(due_at) AS oldest FROM (
    SELECT due_at FROM automations WHERE status = 'scheduled' AND attempts = 0 AND due_at <= $1
     ORDER BY due_at LIMIT $2
) AS late
"""

# The session's version is raised as well: a process that has it in memory has to read it again.
_DROP = """
WITH dropped AS (
    UPDATE automations SET status = 'cancelled', reason = 'dropped'
     WHERE session_id = $1 AND kind = $2 AND status IN ('scheduled', 'failed')
    RETURNING schedule_version, due_at
),
raised AS (
    UPDATE chat_sessions SET version = version + 1, state_version = version + 1
     WHERE id = $1 AND EXISTS (SELECT FROM dropped)
    RETURNING id, version, status
),
line AS (
    INSERT INTO timeline (session_id, version, position, command_id, trigger, from_status, to_status,
                          planned_at, at, outcome, reason)
    SELECT r.id, r.version, row_number() OVER (ORDER BY d.schedule_version) - 1, gen_random_uuid(), $2,
           r.status, r.status, d.due_at, $3, 'cancelled', 'dropped'
      FROM raised r CROSS JOIN dropped d
)
SELECT schedule_version FROM dropped
"""

_NO_ID = "00000000-0000-0000-0000-000000000000"
#: Before everything that was ever due.
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def list_scheduled(
    pool: Pool, *, after: datetime, until: datetime
) -> AsyncIterator[list[tuple[bytes, int]]]:
    """Page through the scheduled automations due after `after` and up to `until`, earliest first.

    Yields lists of (member of the delay queue, due instant in ms).
    """
    # What is due exactly then was on the page before, or is found by the next look at what is near.
    position: tuple[datetime, UUID | str, str] = (after, _NO_ID, "")
    while True:
        async with acquire(pool) as connection:
            rows = await connection.fetch(_WAITING, *position, until, _PAGE)
        if rows:
            yield [(row["member"], row["due_ms"]) for row in rows if row["member"] is not None]
        if len(rows) < _PAGE:
            return
        position = (rows[-1]["due_at"], rows[-1]["session_id"], rows[-1]["kind"])


async def count_overdue(pool: Pool, before: datetime) -> tuple[int, datetime | None]:
    """Count the automations that were due before an instant and were never tried, up to OVERDUE_COUNTED.

    Return the count, and when the oldest of them was due.
    """
    async with acquire(pool) as connection:
        row = await connection.fetchrow(_OVERDUE, before, OVERDUE_COUNTED)
    return (row["automations"], row["oldest"]) if row is not None else (0, None)


async def count_failure(pool: Pool, job: Job, reason: str) -> int | None:
    """Note that an automation failed. Return its attempts so far, None when it is settled by now."""
    async with acquire(pool) as connection:
        attempts: int | None = await connection.fetchval(
            _COUNT_FAILURE, job.session_id, job.kind.value, job.schedule_version, reason
        )
    return attempts


async def give_up(pool: Pool, job: Job, at: datetime) -> None:
    """Make an automation a dead letter."""
    async with acquire(pool) as connection:
        await connection.execute(_GIVE_UP, job.session_id, job.kind.value, job.schedule_version, at)


async def list_dead_letters(pool: Pool, *, limit: int = 100) -> list[dict[str, object]]:
    """List automations that were given up, earliest first."""
    async with acquire(pool) as connection:
        return [dict(row) for row in await connection.fetch(_DEAD, limit)]


async def revive_dead_letters(pool: Pool, session_id: UUID) -> list[tuple[Job, int]]:
    """Schedule the dead letters of a session again. Return them with their due instants (ms)."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_REVIVE, session_id)
    return [
        (Job(session_id, AutomationKind(row["kind"]), row["schedule_version"]), to_ms(row["due_at"]))
        for row in rows
    ]


async def drop_automation(pool: Pool, session_id: UUID, kind: AutomationKind, *, at: datetime) -> list[Job]:
    """Cancel an automation that waits or was given up. Return what has to leave the delay queue."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_DROP, session_id, kind.value, at)
    return [Job(session_id, kind, row["schedule_version"]) for row in rows]

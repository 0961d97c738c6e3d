"""Automations: what became of them, and those that were given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rdchat.common.clock import to_ms
from rdchat.postgres.pool import acquire
from rdchat.redis.delay_queue import Job
from statemachine import AutomationKind

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.postgres.pool import Connection, Pool

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
 WHERE session_id = $1 AND status = 'failed' AND ($2::text IS NULL OR kind = $2)
RETURNING kind, schedule_version, due_at
"""

# The session's version is raised as well: a process that has it in memory has to read it again.
_DROP = """
WITH dropped AS (
    UPDATE automations SET status = 'cancelled', reason = 'dropped'
     WHERE session_id = $1 AND kind = $2 AND (status = 'failed' OR (status = 'scheduled' AND NOT $4))
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


async def count_failure(pool: Pool, job: Job, reason: str) -> int | None:
    """Note that an automation failed. Return its attempts so far, None when it is settled by now."""
    async with acquire(pool) as connection:
        attempts: int | None = await connection.fetchval(
            _COUNT_FAILURE, job.subject_id, job.kind.value, job.number, reason
        )
    return attempts


async def give_up(pool: Pool, job: Job, at: datetime) -> None:
    """Make an automation a dead letter."""
    async with acquire(pool) as connection:
        await connection.execute(_GIVE_UP, job.subject_id, job.kind.value, job.number, at)


async def list_dead_letters(pool: Pool, *, limit: int = 100) -> list[dict[str, object]]:
    """List automations that were given up, earliest first."""
    async with acquire(pool) as connection:
        return [dict(row) for row in await connection.fetch(_DEAD, limit)]


async def revive_dead_letters(pool: Pool, session_id: UUID) -> list[tuple[Job, int]]:
    """Schedule the dead letters of a session again. Return them with their due instants (ms)."""
    async with acquire(pool) as connection:
        return await revive_dead_letters_on(connection, session_id)


async def revive_dead_letters_on(
    connection: Connection, session_id: UUID, kind: AutomationKind | None = None
) -> list[tuple[Job, int]]:
    """Schedule the dead letters of a session again, or those of a kind, as `revive_dead_letters` does."""
    rows = await connection.fetch(_REVIVE, session_id, kind)
    return [
        (Job(session_id, AutomationKind(row["kind"]), row["schedule_version"]), to_ms(row["due_at"]))
        for row in rows
    ]


async def drop_automation(
    connection: Connection, session_id: UUID, kind: AutomationKind, *, only_dead: bool, at: datetime
) -> list[Job]:
    """Cancel an automation that was given up or, unless `only_dead`, waits.

    Return what has to leave the delay queue.
    """
    rows = await connection.fetch(_DROP, session_id, kind.value, at, only_dead)
    return [Job(session_id, kind, row["schedule_version"]) for row in rows]

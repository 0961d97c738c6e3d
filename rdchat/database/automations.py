"""Automations: the truth behind the delay queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rdchat.clock import to_ms
from rdchat.database.pool import acquire
from rdchat.hot.delay_queue import Job
from statemachine import AutomationKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime
    from uuid import UUID

    from rdchat.database.pool import Pool

_PAGE: Final = 2000

_WAITING = """
SELECT session_id, kind, schedule_version, due_at FROM automations
 WHERE status = 'scheduled' AND (due_at, session_id, kind) > ($1, $2, $3) AND due_at <= $4
 ORDER BY due_at, session_id, kind LIMIT $5
"""

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

_NO_ID = "00000000-0000-0000-0000-000000000000"


async def waiting(pool: Pool, *, since: datetime, until: datetime) -> AsyncIterator[list[tuple[Job, int]]]:
    """Page through the scheduled automations due after `since` and up to `until`, earliest first.

    Yields lists of (job, due instant in ms).
    """
    position: tuple[datetime, UUID | str, str] = (since, _NO_ID, "")
    while True:
        async with acquire(pool) as connection:
            rows = await connection.fetch(_WAITING, *position, until, _PAGE)
        if rows:
            yield [
                (
                    Job(row["session_id"], AutomationKind(row["kind"]), row["schedule_version"]),
                    to_ms(row["due_at"]),
                )
                for row in rows
            ]
        if len(rows) < _PAGE:
            return
        position = (rows[-1]["due_at"], rows[-1]["session_id"], rows[-1]["kind"])


async def count_failure(pool: Pool, job: Job, reason: str) -> int | None:
    """Note that an automation failed. Returns its attempts so far, None when it is settled by now."""
    async with acquire(pool) as connection:
        attempts: int | None = await connection.fetchval(
            _COUNT_FAILURE, job.session_id, job.kind.value, job.schedule_version, reason
        )
    return attempts


async def give_up(pool: Pool, job: Job, at: datetime) -> None:
    """Make an automation a dead letter."""
    async with acquire(pool) as connection:
        await connection.execute(_GIVE_UP, job.session_id, job.kind.value, job.schedule_version, at)


async def dead_letters(pool: Pool, *, limit: int = 100) -> list[dict[str, object]]:
    """List automations that were given up, earliest first."""
    async with acquire(pool) as connection:
        return [dict(row) for row in await connection.fetch(_DEAD, limit)]


async def revive(pool: Pool, session_id: UUID) -> list[tuple[Job, int]]:
    """Schedule the dead letters of a session again. Returns them with their due instants (ms)."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_REVIVE, session_id)
    return [
        (Job(session_id, AutomationKind(row["kind"]), row["schedule_version"]), to_ms(row["due_at"]))
        for row in rows
    ]

"""Automations and reminders that were given up, as one list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rdchat.domain.dead_letter import DeadLetter
from rdchat.postgres.pool import acquire
from rdchat.redis.delay_queue import ReminderKind

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.postgres.pool import Pool

# One has no id of its own: it is made of what tells it from others, so that a page can go on behind it.
_PAGE: Final = f"""
SELECT * FROM (
    SELECT md5(a.session_id::text || a.kind || a.schedule_version)::uuid AS id, a.session_id AS subject_id,
           a.session_id, (SELECT s.counseling_id FROM chat_sessions s WHERE s.id = a.session_id),
           a.kind, a.due_at, a.attempts, a.executed_at, a.reason
      FROM automations a
     WHERE a.status = 'failed' AND a.due_at >= $1
    UNION ALL
    SELECT md5(r.counseling_id::text || r.number)::uuid, r.counseling_id,
           (SELECT s.id FROM chat_sessions s WHERE s.counseling_id = r.counseling_id), r.counseling_id,
           '{ReminderKind.REMINDER}', r.due_at, r.attempts, r.executed_at, r.reason
      FROM reminders r WHERE r.status = 'failed' AND r.due_at >= $1
) dead
 WHERE (due_at, id) > ($1, $2) ORDER BY due_at, id LIMIT $3
"""  # noqa: S608 - constant text

_COUNT: Final = """
SELECT (SELECT count(*) FROM automations WHERE status = 'failed')
       + (SELECT count(*) FROM reminders WHERE status = 'failed')
"""


async def page_dead_letters(pool: Pool, *, after: tuple[datetime, UUID], limit: int) -> list[DeadLetter]:
    """List a page of what was given up, earliest first, behind one by (due instant, id)."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_PAGE, *after, limit)
    return [
        DeadLetter(
            id=row["id"],
            subject_id=row["subject_id"],
            session_id=row["session_id"],
            counseling_id=row["counseling_id"],
            kind=row["kind"],
            due_at=row["due_at"],
            attempts=row["attempts"],
            failed_at=row["executed_at"],
            error=(row["reason"] or "").partition(":")[0],
        )
        for row in rows
    ]


async def count_dead_letters(pool: Pool) -> int:
    """Count what was given up."""
    async with acquire(pool) as connection:
        counted: int = await connection.fetchval(_COUNT)
    return counted

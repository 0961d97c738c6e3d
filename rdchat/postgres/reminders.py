"""Reminders: when both are reminded of a counselling, and what became of it.

Rows of reminders are locked before their counselling's, by all who lock both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rdchat.domain.appointment import Appointment
from rdchat.domain.reminder import DueReminder, plan_reminders
from rdchat.postgres.data_keys import keys_of
from rdchat.postgres.names import names_in, shown_name
from rdchat.postgres.pool import acquire, rows_changed
from rdchat.redis.delay_queue import Job, ReminderKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from rdchat.domain.reminder import Reminder
    from rdchat.postgres.pool import Connection, Pool
    from statemachine import AutomationStatus

#: For a million counsellings.
_PLANNING_SECONDS = 600.0

_INSERT = """
INSERT INTO reminders (counseling_id, number, lead, due_at, status)
SELECT *, 'scheduled' FROM unnest($1::uuid[], $2::int[], $3::interval[], $4::timestamptz[])
"""

_CANCEL = """
UPDATE reminders SET status = 'cancelled', reason = $2
 WHERE counseling_id = $1 AND status IN ('scheduled', 'failed')
RETURNING number
"""

# For what was booked before there were reminders: once, whatever replica comes first.
_PLAN_BOOKED = """
WITH first AS (
    INSERT INTO facts (name, value) VALUES ('reminders', 'planned')
    ON CONFLICT (name) DO NOTHING RETURNING name
)
INSERT INTO reminders (counseling_id, number, lead, due_at, status)
SELECT c.id, row_number() OVER (PARTITION BY c.id ORDER BY l.lead DESC), l.lead, c.starts_at - l.lead,
       'scheduled'
  FROM first, counselings c, unnest($1::interval[]) AS l (lead)
 WHERE c.status = 'pending' AND c.starts_at > $2 AND c.starts_at - l.lead > $2
   AND NOT EXISTS (SELECT FROM reminders r WHERE r.counseling_id = c.id)
"""

_LAST_NUMBER = "SELECT coalesce(max(number), 0) FROM reminders WHERE counseling_id = $1"

# What others have locked is left out, and found by `list_unsettled`: the counselling is being cancelled,
# moved or handed over, or another replica sends the reminder. No one waits here, and no one is reminded of
# what is gone.
_LOCK_DUE = """
SELECT r.number, r.due_at, c.id, c.status, c.starts_at, c.ends_at, c.client_id, c.psychologist_id,
       c.client_timezone, c.psychologist_timezone, client.sealed_name AS client_sealed,
       p.sealed_name AS psychologist_sealed, s.id AS session_id, s.language,
       EXISTS (SELECT FROM reminders n
                WHERE n.counseling_id = r.counseling_id AND n.status IN ('scheduled', 'done')
                  AND n.due_at > r.due_at AND n.due_at <= $3) AS has_nearer
  FROM unnest($1::uuid[], $2::int[]) AS a (counseling_id, number)
  JOIN reminders r ON r.counseling_id = a.counseling_id AND r.number = a.number AND r.status = 'scheduled'
  JOIN counselings c ON c.id = r.counseling_id
  JOIN people client ON client.id = c.client_id
  JOIN people p ON p.id = c.psychologist_id
  LEFT JOIN chat_sessions s ON s.counseling_id = c.id
 ORDER BY r.counseling_id, r.number
   FOR UPDATE OF r SKIP LOCKED FOR SHARE OF c SKIP LOCKED
"""

_UNSETTLED = """
SELECT r.counseling_id, r.number FROM unnest($1::uuid[], $2::int[]) AS a (counseling_id, number)
  JOIN reminders r ON r.counseling_id = a.counseling_id AND r.number = a.number AND r.status = 'scheduled'
"""

_SETTLE = """
UPDATE reminders r SET status = u.status, executed_at = u.executed_at, lateness_ms = u.lateness_ms,
       reason = u.reason
  FROM unnest($1::uuid[], $2::int[], $3::text[], $4::timestamptz[], $5::bigint[], $6::text[])
    AS u (counseling_id, number, status, executed_at, lateness_ms, reason)
 WHERE r.counseling_id = u.counseling_id AND r.number = u.number
"""

_COUNT_FAILURE = """
UPDATE reminders SET attempts = attempts + 1, reason = $3
 WHERE counseling_id = $1 AND number = $2 AND status = 'scheduled'
RETURNING attempts
"""

_GIVE_UP = """
UPDATE reminders SET status = 'failed', executed_at = $3
 WHERE counseling_id = $1 AND number = $2 AND status = 'scheduled'
"""

_DEAD = """
SELECT counseling_id, number, due_at, attempts, reason FROM reminders
 WHERE status = 'failed' ORDER BY due_at LIMIT $1
"""

_REVIVE = """
UPDATE reminders SET status = 'scheduled', attempts = 0, executed_at = NULL, reason = NULL
 WHERE counseling_id = $1 AND status = 'failed'
RETURNING counseling_id, number, due_at
"""

_DROP_DEAD = """
UPDATE reminders SET status = 'cancelled', reason = 'dropped'
 WHERE counseling_id = $1 AND status = 'failed'
RETURNING number
"""

#: Counselling, number, status, instant, lateness in ms, reason.
Settled = tuple["UUID", int, "AutomationStatus", "datetime", int, "str | None"]


def job_of(reminder: Reminder) -> Job:
    """Return the job that a reminder is in the delay queue."""
    return Job(reminder.counseling_id, ReminderKind.REMINDER, reminder.number)


async def insert_reminders(connection: Connection, planned: Sequence[Reminder]) -> None:
    """Write reminders in the transaction that books their counselling."""
    if planned:
        rows = [(one.counseling_id, one.number, one.lead, one.due_at) for one in planned]
        await connection.execute(_INSERT, *zip(*rows, strict=True))


async def plan_booked(pool: Pool, leads: Iterable[timedelta], at: datetime) -> int:
    """Plan reminders for what was booked before a release that has them. Return how many; 0 the next time."""
    async with acquire(pool) as connection:
        planned = await connection.execute(_PLAN_BOOKED, list(leads), at, timeout=_PLANNING_SECONDS)
    return rows_changed(planned)


async def replace_reminders(
    connection: Connection,
    counseling_id: UUID,
    starts_at: datetime,
    leads: Iterable[timedelta],
    *,
    reason: str,
    at: datetime,
) -> tuple[list[Reminder], list[Job]]:
    """Plan a counselling's reminders again, in the transaction that moves it, before it is moved.

    Return the new ones, and what has to leave the delay queue.
    """
    gone = await connection.fetch(_CANCEL, counseling_id, reason)
    last = await connection.fetchval(_LAST_NUMBER, counseling_id)
    planned = plan_reminders(counseling_id, starts_at, leads, at, first=last + 1)
    await insert_reminders(connection, planned)
    return planned, _jobs(counseling_id, [row["number"] for row in gone])


async def cancel_reminders(pool: Pool, counseling_id: UUID, reason: str) -> list[Job]:
    """Cancel what is left of a counselling's reminders. Return what has to leave the delay queue."""
    async with acquire(pool) as connection:
        gone = await connection.fetch(_CANCEL, counseling_id, reason)
    return _jobs(counseling_id, [row["number"] for row in gone])


async def lock_due_reminders(
    connection: Connection, jobs: Sequence[Job], *, language: str, at: datetime
) -> list[DueReminder]:
    """Lock those of the reminders that are not settled, and read them with their counsellings.

    `language`: in which people are told of counsellings that have none of their own. What others have locked
    is left out.
    """
    ids, numbers = [job.subject_id for job in jobs], [job.number for job in jobs]
    rows = await connection.fetch(_LOCK_DUE, ids, numbers, at)
    names = await names_in(connection, keys_of(connection), rows)
    return [
        DueReminder(
            counseling_id=row["id"],
            number=row["number"],
            due_at=row["due_at"],
            appointment=Appointment(
                counseling_id=row["id"],
                session_id=row["session_id"],
                client_id=row["client_id"],
                client_name=shown_name(names, row["client_id"], row["language"] or language),
                psychologist_id=row["psychologist_id"],
                psychologist_name=shown_name(names, row["psychologist_id"], row["language"] or language),
                starts_at=row["starts_at"],
                ends_at=row["ends_at"],
                client_timezone=row["client_timezone"],
                psychologist_timezone=row["psychologist_timezone"],
                language=row["language"] or language,
            ),
            is_pending=row["status"] == "pending",
            has_nearer=row["has_nearer"],
        )
        for row in rows
    ]


async def list_unsettled(connection: Connection, jobs: Sequence[Job]) -> set[Job]:
    """Return those of the reminders that are still scheduled."""
    ids, numbers = [job.subject_id for job in jobs], [job.number for job in jobs]
    rows = await connection.fetch(_UNSETTLED, ids, numbers)
    return {Job(row["counseling_id"], ReminderKind.REMINDER, row["number"]) for row in rows}


async def settle_reminders(connection: Connection, settled: Sequence[Settled]) -> None:
    """Note what became of reminders, in the transaction that has locked them."""
    await connection.execute(_SETTLE, *zip(*settled, strict=True))


async def count_failure(pool: Pool, job: Job, reason: str) -> int | None:
    """Note that a reminder failed. Return its attempts so far, None when it is settled by now."""
    async with acquire(pool) as connection:
        attempts: int | None = await connection.fetchval(_COUNT_FAILURE, job.subject_id, job.number, reason)
    return attempts


async def give_up(pool: Pool, job: Job, at: datetime) -> None:
    """Make a reminder a dead letter."""
    async with acquire(pool) as connection:
        await connection.execute(_GIVE_UP, job.subject_id, job.number, at)


async def list_dead_letters(pool: Pool, *, limit: int = 100) -> list[dict[str, object]]:
    """List reminders that were given up, earliest first."""
    async with acquire(pool) as connection:
        return [dict(row) for row in await connection.fetch(_DEAD, limit)]


async def revive_dead_letters(connection: Connection, counseling_id: UUID) -> list[tuple[Job, datetime]]:
    """Schedule the dead letters of a counselling again. Return them with their due instants."""
    rows = await connection.fetch(_REVIVE, counseling_id)
    return [(Job(counseling_id, ReminderKind.REMINDER, row["number"]), row["due_at"]) for row in rows]


async def drop_dead_letters(connection: Connection, counseling_id: UUID) -> list[Job]:
    """Cancel the reminders of a counselling that were given up. Return what has to leave the delay queue."""
    rows = await connection.fetch(_DROP_DEAD, counseling_id)
    return _jobs(counseling_id, [row["number"] for row in rows])


def _jobs(counseling_id: UUID, numbers: Iterable[int]) -> list[Job]:
    return [Job(counseling_id, ReminderKind.REMINDER, number) for number in numbers]

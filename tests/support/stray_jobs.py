"""Automations without their sessions, reminders without their counsellings: rows that timers find."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from rdchat.redis.delay_queue import Job, ReminderKind
from statemachine import AutomationKind
from tests.support.database_users import planting

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from rdchat.postgres.pool import Pool


async def store_automations(
    database: Pool,
    due: Iterable[datetime],
    kind: AutomationKind = AutomationKind.ENABLE_CHAT,
    version: int = 1,
) -> list[Job]:
    """Store automations of sessions of their own, which play no part here."""
    rows = [(uuid4(), kind.value, version, instant) for instant in due]
    async with planting(database) as one, one.transaction():
        await one.execute("SET LOCAL session_replication_role = replica")
        await one.executemany(
            "INSERT INTO automations (session_id, kind, schedule_version, due_at, status) "
            "VALUES ($1, $2, $3, $4, 'scheduled')",
            rows,
        )
    return [Job(row[0], kind, version) for row in rows]


async def store_reminders(database: Pool, due: Iterable[datetime], number: int = 1) -> list[Job]:
    """Store reminders of counsellings of their own, which play no part here."""
    rows = [(uuid4(), number, instant) for instant in due]
    async with planting(database) as one, one.transaction():
        await one.execute("SET LOCAL session_replication_role = replica")
        await one.executemany(
            "INSERT INTO reminders (counseling_id, number, lead, due_at, status) "
            "VALUES ($1, $2, interval '1 hour', $3, 'scheduled')",
            rows,
        )
    return [Job(row[0], ReminderKind.REMINDER, number) for row in rows]

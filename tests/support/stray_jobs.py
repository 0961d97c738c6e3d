"""Automations without their sessions: rows that timers find, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from rdchat.postgres import pool
from rdchat.redis.delay_queue import Job
from statemachine import AutomationKind

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
    async with pool.acquire(database) as one, one.transaction():
        await one.execute("SET LOCAL session_replication_role = replica")
        await one.executemany(
            "INSERT INTO automations (session_id, kind, schedule_version, due_at, status) "
            "VALUES ($1, $2, $3, $4, 'scheduled')",
            rows,
        )
    return [Job(row[0], kind, version) for row in rows]

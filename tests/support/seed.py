"""Open sessions in a database, without a service that would open them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from benchmarks.crowd import open_all, plant
from rdchat.common.clock import SystemClock
from rdchat.postgres import sessions
from tests.support.database_users import planting

if TYPE_CHECKING:
    from rdchat.postgres.pool import Pool
    from statemachine import Session


async def open_sessions(database: Pool, count: int) -> list[Session]:
    """Plant sessions that go on now."""
    now = SystemClock().now()
    async with planting(database) as connection:
        await plant(
            connection,
            sessions=count,
            first=now,
            spread=timedelta(0),
            length=timedelta(hours=1),
            initial_message_lead=timedelta(0),
            end_warning_lead=timedelta(minutes=5),
            at=now,
        )
        await open_all(connection, now)
        ids = [row["id"] for row in await connection.fetch("SELECT id FROM chat_sessions ORDER BY id")]
    read = await sessions.get_sessions(database, ids)
    return [read[one] for one in ids]

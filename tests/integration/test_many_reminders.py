"""Thousands of reminders at one instant, at which chats open as well: all of them, once, and chats first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from benchmarks.crowd import plant, plant_reminders
from rdchat.common.clock import SystemClock
from tests.support.database_users import planting
from tests.support.service import Service, service_settings, whole_second
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from rdchat.postgres.pool import Pool

_HOUR = timedelta(hours=1)
_LATENESS = {
    "reminders": "SELECT lateness_ms FROM reminders WHERE status = 'done' ORDER BY 1",
    "openings": "SELECT lateness_ms FROM automations "
    "WHERE kind = 'enable_chat' AND status = 'done' ORDER BY 1",
}


@dataclass(frozen=True, slots=True)
class Lateness:
    """Of all jobs of one kind, in ms."""

    p50: int
    p99: int
    most: int


async def seed(database: Pool, due: datetime, *, openings: int, reminders: int) -> None:
    """Plant chats that open at an instant, and counsellings of which people are reminded then."""
    now = SystemClock().now()
    async with planting(database) as connection:
        for count, first in ((openings, due), (reminders, due + _HOUR)):
            await plant(
                connection,
                sessions=count,
                first=first,
                spread=timedelta(0),
                length=_HOUR,
                initial_message_lead=timedelta(0),
                end_warning_lead=timedelta(minutes=5),
                at=now,
            )
        await plant_reminders(connection, due + _HOUR, _HOUR)


async def lateness(database: Pool) -> dict[str, list[int]]:
    return {name: [row[0] for row in await database.fetch(sql)] for name, sql in _LATENESS.items()}


def summary(late: list[int]) -> Lateness:
    return Lateness(late[len(late) // 2], late[-(-len(late) * 99 // 100) - 1], late[-1])


async def done(database: Pool, *, openings: int, reminders: int, patience: float) -> dict[str, Lateness]:
    """Wait until all of it is done, and tell how late it was."""

    async def is_done() -> bool:
        late = await lateness(database)
        return (len(late["openings"]), len(late["reminders"])) == (openings, reminders)

    await until(is_done, patience, every=0.2)
    return {name: summary(late) for name, late in (await lateness(database)).items()}


@pytest.mark.wall_time
async def test_two_thousand_reminders_while_five_hundred_chats_open(
    database: Pool, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    many = {"openings": 500, "reminders": 2_000}
    due = whole_second(8)
    await seed(database, due, **many)
    settings = service_settings(tmp_path)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        assert SystemClock().now() < due - timedelta(seconds=1), "seeding took too long"
        late = await done(database, **many, patience=40)
        assert late["openings"].p50 <= late["reminders"].p50, "chats open first"
        # Seconds on a busy machine; a figure belongs to the benchmark.
        assert late["reminders"].most < 15_000
        told = await database.fetch(
            "SELECT counseling_id, person_id FROM notifications WHERE type = 'reminder'"
        )
        assert len(told) == len({(row["counseling_id"], row["person_id"]) for row in told}) == 4_000
        local = service.runtime.ably_local
        assert local is not None

        def published() -> Counter[str]:
            return Counter(
                message["id"] for _, message in local.published if '"type":"reminder"' in str(message["data"])
            )

        await until(lambda: len(published()) == 4_000, 30)
        assert set(published().values()) == {1}

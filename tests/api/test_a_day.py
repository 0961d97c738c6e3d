"""A whole day, as a script: thirty clients and six psychologists, heard with Ably's own SDK."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.support.day import bookings, talks, turns
from tests.support.day.cast import Day
from tests.support.day.pace import PACE
from tests.support.day.record import read_record
from tests.support.day.rules import check_rules
from tests.support.day.sightings import check_notifications, check_pages, check_phones
from tests.support.service import Service, service_settings
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.day.record import Record

SCENES = (*bookings.SCENES, *talks.SCENES, *turns.SCENES)
#: How the sessions of the day stand in the end: state, why it ended, who was there.
OUTCOMES = {
    # Slots, those whom the least busy got, the one that was asked for twice, and the one in Berlin.
    ("pending", None, None): 8,
    ("cancelled", "client_cancelled", None): 2,
    ("cancelled", "psychologist_cancelled", None): 1,
    ("cancelled", "admin_cancelled", None): 1,
    ("completed", "ended_by_client", "held"): 2,
    ("completed", "ended_by_psychologist", "held"): 2,
    ("completed", "auto_ended", "held"): 6,
    ("completed", "auto_ended", "client_absent"): 1,
    ("completed", "auto_ended", "psychologist_absent"): 1,
    ("completed", "auto_ended", "nobody_came"): 1,
}
TOLD = {
    # Four of them without a chat.
    "counseling_booked": 58,
    "chat_enabled": 28,
    # Of those that were ended by hand, the other one is told.
    "session_completed": 22,
    "session_cancelled": 6,
    "session_rescheduled": 3,
    "session_extended": 2,
}


async def test_a_day_at_the_practice(database_url: str, redis_url: str, tmp_path: Path) -> None:
    settings = service_settings(
        tmp_path,
        initial_message_lead=timedelta(seconds=2 * PACE),
        end_warning_lead=timedelta(seconds=2 * PACE),
    )

    async def look() -> Record:
        return await read_record(database_url, redis_url, tmp_path / "attachments")

    async def quiet() -> bool:
        return (await look()).is_quiet

    async with (
        Service.running(settings, database_url=database_url, redis_url=redis_url) as service,
        Day.beginning(service) as day,
    ):
        async with asyncio.TaskGroup() as scenes:
            for scene in SCENES:
                scenes.create_task(scene(day), name=scene.__name__)
        assert day.everybody_came()

        with suppress(AssertionError):
            # The rules say what is left.
            await until(quiet)
        record = await look()
        check_rules(record)
        assert (
            Counter((one["status"], one["end_reason"], one["outcome"]) for one in record["sessions"])
            == OUTCOMES
        )
        assert Counter(one["type"] for one in record["notifications"]) == TOLD
        await check_phones(day, record)
        await check_pages(day, record)
        await check_notifications(day, record)

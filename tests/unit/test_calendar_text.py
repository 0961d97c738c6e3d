"""Calendars are written as icalendar writes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, cast
from uuid import UUID

import pytest
from icalendar import Calendar, Event
from icalendar.prop import vDuration

from rdchat.domain.booking import Slot
from rdchat.texts.calendar import calendar_text

if TYPE_CHECKING:
    from rdchat.domain.counseling import Counseling


@dataclass
class Shown:
    """What a calendar shows of a counselling."""

    id: UUID
    revision: int
    updated_at: datetime
    slot: Slot
    status: str


START = datetime(2027, 3, 1, 7, tzinfo=UTC)
MOVED = Shown(
    UUID(int=2**127 + 5),
    12,
    START - timedelta(days=9),
    Slot(START, START + timedelta(hours=1), "UTC"),
    "pending",
)
CANCELLED = Shown(
    UUID(int=7),
    1,
    datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC),
    Slot(START.astimezone(timezone(timedelta(hours=7))), START + timedelta(minutes=50), "Asia/Jakarta"),
    "cancelled",
)


@pytest.mark.parametrize("shown", [[], [MOVED], [CANCELLED, MOVED]])
@pytest.mark.parametrize(("language", "summary"), [("id", "Janji temu"), ("en", "Appointment")])
def test_it_is_what_icalendar_would_write(shown: list[Shown], language: str, summary: str) -> None:
    made = Calendar()
    made.add("VERSION", "2.0")
    made.add("PRODID", "-//rd//appointments//EN")
    made.add("METHOD", "PUBLISH")
    made.add("X-WR-CALNAME", summary)
    made.add("REFRESH-INTERVAL", vDuration(timedelta(hours=1)), parameters={"VALUE": "DURATION"})
    made.add("X-PUBLISHED-TTL", vDuration(timedelta(hours=1)))
    for one in shown:
        event = Event()
        event.add("UID", str(one.id))
        event.add("SEQUENCE", one.revision)
        event.add("DTSTAMP", one.updated_at)
        event.add("LAST-MODIFIED", one.updated_at)
        event.add("DTSTART", one.slot.starts_at.astimezone(UTC))
        event.add("DTEND", one.slot.ends_at)
        event.add("SUMMARY", summary)
        event.add("CLASS", "PRIVATE")
        event.add("STATUS", "CANCELLED" if one is CANCELLED else "CONFIRMED")
        made.add_component(event)
    assert calendar_text(cast("list[Counseling]", shown), language) == made.to_ical()

"""Instants for bookings that do not depend on the time of day at which the tests run."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tests.support.service import whole_second

if TYPE_CHECKING:
    from tests.support.service import Person, Reply


#: Beside other tests everything takes longer, also what has to be done before a chat begins.
BESIDE_OTHERS = "PYTEST_XDIST_WORKER" in os.environ
_SPARE_SECONDS = 1.0 if BESIDE_OTHERS else 0.0
#: Read once: what a test says in days means the same days when it ends as when it began.
_TODAY = datetime.now(UTC).date()


def in_days(days: int, at: time = time(12), zone: str = "UTC") -> datetime:
    """Give a wall time some days from the one on which the tests began."""
    return datetime.combine(_TODAY + timedelta(days=days), at, ZoneInfo(zone))


def second_ahead(seconds: float) -> datetime:
    """Give the first whole second that is at least so far away, for what has to be prepared until then."""
    return whole_second(seconds + _SPARE_SECONDS)


async def book_soon(person: Person, starts_in: float, lasts: float, **more: Any) -> Reply:
    """Book a chat at the first whole second that is at least so far away."""
    return await book_at(person, second_ahead(starts_in), lasts, **more)


async def book_at(person: Person, starts_at: datetime, lasts: float, **more: Any) -> Reply:
    """Book a chat at an instant that is near."""
    return await person.book(starts_at, starts_at + timedelta(seconds=lasts), **more)


async def session_soon(person: Person, starts_in: float, lasts: float, **more: Any) -> str:
    """Book like `book_soon`, which must succeed. Return the session's id."""
    reply = await book_soon(person, starts_in, lasts, **more)
    assert reply.status == 201, reply.json
    session_id: str = reply.data["chatSession"]["sessionId"]
    return session_id


def sunday(year: int, month: int, number: int) -> date:
    """Return a Sunday of a month: 1 is the first, -1 the last."""
    days = [date(year, month, 1) + timedelta(days=offset) for offset in range(31)]
    sundays = [day for day in days if day.month == month and day.weekday() == 6]
    return sundays[number - 1 if number > 0 else number]

"""When psychologists take counsellings, as it is stored: whether they do, and their hours as one document."""

from __future__ import annotations

from datetime import date, time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from rdchat.domain.availability import Availability, DayException, Hours, WeeklyHours, WorkingTime

if TYPE_CHECKING:
    from uuid import UUID

    import asyncpg

    from rdchat.postgres.pool import Connection

_WORKING_TIME = "SELECT is_active, timezone, availability FROM psychologists WHERE id = $1"


async def get_working_time(
    connection: Connection, psychologist_id: UUID, *, lock: bool = False
) -> WorkingTime | None:
    """Read when a psychologist takes counsellings. None: there is no such psychologist.

    With `lock`, their row is kept as it is until the transaction ends: a booking that holds it is waited for.
    """
    text = f"{_WORKING_TIME} FOR NO KEY UPDATE" if lock else _WORKING_TIME
    row = await connection.fetchrow(text, psychologist_id)
    return None if row is None else working_time_from_row(row)


def working_time_from_row(row: asyncpg.Record) -> WorkingTime:
    """Read when a psychologist takes counsellings off a row of `psychologists`."""
    return WorkingTime(row["is_active"], hours_from_row(row))


def hours_from_row(row: asyncpg.Record) -> Availability:
    """Read when a psychologist works off a row of `psychologists`."""
    return _parsed(row["timezone"], row["availability"] or "{}")


def hours_document(hours: Availability) -> str:
    """Make the document that is stored."""
    document = {
        "weekly": [(one.weekday, (one.hours.start, one.hours.end)) for one in hours.weekly],
        "exceptions": [
            (one.date, one.is_available, (one.hours.start, one.hours.end)) for one in hours.exceptions
        ],
    }
    return orjson.dumps(document).decode()


@lru_cache(maxsize=256)
def _parsed(timezone: str, stored: str) -> Availability:
    """Remembered: a booking that names no psychologist reads those of all."""
    document: dict[str, Any] = orjson.loads(stored)
    return Availability(
        timezone,
        tuple(WeeklyHours(weekday, _hours(hours)) for weekday, hours in document.get("weekly", ())),
        tuple(
            DayException(date.fromisoformat(day), is_available, _hours(hours))
            for day, is_available, hours in document.get("exceptions", ())
        ),
    )


def _hours(stored: list[str]) -> Hours:
    start, end = stored
    return Hours(time.fromisoformat(start), time.fromisoformat(end))

"""Psychologists' working hours, as they are stored: one document beside the time zone that it is about."""

from __future__ import annotations

from datetime import date, time
from typing import TYPE_CHECKING, Any

import orjson

from rdchat.availability import Availability, DayException, Hours, WeeklyHours
from rdchat.database.pool import acquire, transaction

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from rdchat.database.pool import Pool


async def availability(pool: Pool, psychologist_id: UUID) -> Availability | None:
    """Read when a psychologist works. None: there is no such psychologist."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow(
            "SELECT timezone, availability FROM psychologists WHERE id = $1", psychologist_id
        )
    return None if row is None else read(row)


async def put_availability(
    pool: Pool, psychologist_id: UUID, wanted: Availability, *, timezone: str | None, at: datetime
) -> Availability | None:
    """Replace when a psychologist works; `timezone` None leaves their time zone as it is.

    A booking that holds the psychologist's row is waited for. Returns what holds now; None: there is no such
    psychologist.
    """
    async with transaction(pool) as connection:
        row = await connection.fetchrow(
            "UPDATE psychologists SET timezone = coalesce($2, timezone), availability = $3, updated_at = $4 "
            "WHERE id = $1 RETURNING timezone, availability",
            psychologist_id,
            timezone,
            _document(wanted),
            at,
        )
    return None if row is None else read(row)


def read(row: asyncpg.Record) -> Availability:
    """Read when somebody works off a row of `psychologists`."""
    document: dict[str, Any] = orjson.loads(row["availability"]) if row["availability"] is not None else {}
    return Availability(
        row["timezone"],
        tuple(WeeklyHours(weekday, _hours(hours)) for weekday, hours in document.get("weekly", ())),
        tuple(
            DayException(date.fromisoformat(day), is_available, _hours(hours))
            for day, is_available, hours in document.get("exceptions", ())
        ),
    )


def _hours(stored: list[str]) -> Hours:
    start, end = stored
    return Hours(time.fromisoformat(start), time.fromisoformat(end))


def _document(said: Availability) -> str:
    return orjson.dumps(
        {
            "weekly": [(one.weekday, (one.hours.start, one.hours.end)) for one in said.weekly],
            "exceptions": [
                (one.date, one.is_available, (one.hours.start, one.hours.end)) for one in said.exceptions
            ],
        }
    ).decode()

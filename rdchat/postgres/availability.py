"""Psychologists' working hours, as they are stored: one document beside the time zone that it is about."""

from __future__ import annotations

from datetime import date, time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from rdchat.domain.availability import Availability, DayException, Hours, WeeklyHours
from rdchat.domain.booking import LONGEST, clipped, max_overlap
from rdchat.postgres.people import psychologist_from_row
from rdchat.postgres.pool import acquire, transaction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from rdchat.domain.availability import Range
    from rdchat.domain.booking import Limits, Slot
    from rdchat.domain.person import Psychologist
    from rdchat.postgres.pool import Pool

_BOOKED = """
SELECT psychologist_id, starts_at, ends_at FROM counselings
 WHERE psychologist_id = ANY($1) AND status = 'pending'
   AND starts_at < $3 AND starts_at > $4 AND ends_at > $2 AND id IS DISTINCT FROM $5
"""

_ACTIVE = """
SELECT s.*, p.full_name FROM psychologists s JOIN people p USING (id)
 WHERE s.is_active AND ($1::text IS NULL OR (p.full_name, s.id) > ($1, $2::uuid))
 ORDER BY p.full_name, s.id
"""


async def get_availability(pool: Pool, psychologist_id: UUID) -> Availability | None:
    """Read when a psychologist works. None: there is no such psychologist."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow(
            "SELECT timezone, availability FROM psychologists WHERE id = $1", psychologist_id
        )
    return None if row is None else hours_from_row(row)


async def put_availability(
    pool: Pool,
    psychologist_id: UUID,
    *,
    weekly: tuple[WeeklyHours, ...] | None,
    exceptions: tuple[DayException, ...] | None,
    timezone: str | None,
    at: datetime,
) -> Availability | None:
    """Replace when a psychologist works; None leaves a part as it is. What is given is in order.

    A booking that holds the psychologist's row is waited for. Where nothing differs, nothing is written.
    Return what holds now; None: there is no such psychologist.
    """
    async with transaction(pool) as connection:
        row = await connection.fetchrow(
            "SELECT timezone, availability FROM psychologists WHERE id = $1 FOR NO KEY UPDATE",
            psychologist_id,
        )
        if row is None:
            return None
        former = hours_from_row(row)
        present = Availability(
            former.timezone if timezone is None else timezone,
            former.weekly if weekly is None else weekly,
            former.exceptions if exceptions is None else exceptions,
        )
        if present != former:
            await connection.execute(
                "UPDATE psychologists SET timezone = $2, availability = $3, updated_at = $4 WHERE id = $1",
                psychologist_id,
                present.timezone,
                _document(present),
                at,
            )
    return present


def _document(hours: Availability) -> str:
    document = {
        "weekly": [(one.weekday, (one.hours.start, one.hours.end)) for one in hours.weekly],
        "exceptions": [
            (one.date, one.is_available, (one.hours.start, one.hours.end)) for one in hours.exceptions
        ],
    }
    return orjson.dumps(document).decode()


async def list_booked(
    pool: Pool,
    psychologist_ids: Sequence[UUID],
    since: datetime,
    until: datetime,
    *,
    except_counseling: UUID | None = None,
) -> dict[UUID, list[Range]]:
    """Read what psychologists have between two instants. Those who have nothing are left out."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(
            _BOOKED, list(psychologist_ids), since, until, since - LONGEST, except_counseling
        )
    found: dict[UUID, list[Range]] = {}
    for row in rows:
        found.setdefault(row["psychologist_id"], []).append((row["starts_at"], row["ends_at"]))
    return found


async def list_working(pool: Pool) -> list[tuple[Psychologist, Availability]]:
    """List the psychologists that can be booked, by name, and when they work."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_ACTIVE, None, None)
    return [(psychologist_from_row(row), hours_from_row(row)) for row in rows]


async def list_free_psychologists(
    pool: Pool, slot: Slot, limits: Limits, *, after: tuple[str, UUID] | None = None
) -> list[Psychologist]:
    """List who can be booked for a slot, by name; `after` is the (name, id) of the last one seen."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_ACTIVE, *(after or (None, None)))
    working = [row for row in rows if hours_from_row(row).covers(slot.starts_at, slot.ends_at)]
    taken = await list_booked(pool, [row["id"] for row in working], slot.starts_at, slot.ends_at)
    return [
        psychologist_from_row(row)
        for row in working
        if max_overlap(clipped(taken.get(row["id"], ()), slot.starts_at, slot.ends_at))
        < limits.per_psychologist
    ]


def hours_from_row(row: asyncpg.Record) -> Availability:
    """Read when a psychologist works off a row of `psychologists`."""
    return _parsed(row["timezone"], row["availability"] or "{}")


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

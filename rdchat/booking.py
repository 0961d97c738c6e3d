"""The rules of booking that need no store: wall time to instants, lengths, and how many overlap."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

from rdchat.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

#: Read once: the set is built from the files of the time zone database.
_ZONES = frozenset(available_timezones())


@dataclass(frozen=True, slots=True)
class Slot:
    """When a counselling takes place: the wall time that was booked, its zone, and the instants they mean."""

    date: date
    start: time
    end: time
    timezone: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Booking:
    """What a client asks for. `psychologist_id` None: whoever is free and has least to do that day.

    `language` None: the organisation's, or the usual one.
    """

    client_id: UUID
    method: str
    slot: Slot
    notes: str | None
    psychologist_id: UUID | None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a session may last, and how many at once somebody may have."""

    shortest: timedelta
    longest: timedelta
    per_client: int
    per_psychologist: int


def zone(name: str) -> ZoneInfo:
    """Find a time zone by its IANA name. Raises RdchatError (VALIDATION_FAILED)."""
    if name not in _ZONES:
        raise invalid("timezone", "Unknown time zone.")
    return ZoneInfo(name)


def slot(day: date, start: time, end: time, timezone: str, *, limits: Limits, now: datetime) -> Slot:
    """Turn a wall time into instants.

    Raises RdchatError (VALIDATION_FAILED) for what is past, ends before it starts, is too short or too long,
    or does not exist that day because the clocks go forward. An hour that happens twice means the first.
    """
    there = zone(timezone)
    starts_at = _instant(day, start, there, "startTime")
    ends_at = _instant(day, end, there, "endTime")
    if ends_at <= starts_at:
        raise invalid("endTime", "Must be after startTime.")
    if starts_at <= now:
        raise invalid("startTime", "Must be in the future.")
    length = ends_at - starts_at
    if length < limits.shortest:
        raise invalid("endTime", f"The session must last at least {_words(limits.shortest)}.")
    if length > limits.longest:
        raise invalid("endTime", f"The session must last at most {_words(limits.longest)}.")
    return Slot(day, start, end, timezone, starts_at, ends_at)


def _instant(day: date, at: time, there: ZoneInfo, field: str) -> datetime:
    local = datetime.combine(day, at, there)
    try:
        instant = local.astimezone(UTC)
        exists = instant.astimezone(there).replace(tzinfo=None) == local.replace(tzinfo=None)
    except OverflowError as error:
        raise invalid("date", "Too far from now.") from error
    if not exists:
        raise invalid(field, "This time does not exist on that day: the clocks go forward.")
    return instant


def _words(length: timedelta) -> str:
    minutes, seconds = divmod(round(length.total_seconds()), 60)
    return f"{minutes} minutes" if not seconds else f"{round(length.total_seconds())} seconds"


def depth(ranges: Iterable[tuple[datetime, datetime]]) -> int:
    """Count how many of the ranges (start, end) overlap at the fullest instant. Ends are exclusive."""
    turns = sorted(turn for start, end in ranges for turn in ((start, 1), (end, -1)))
    deepest = present = 0
    for _, change in turns:
        present += change
        deepest = max(deepest, present)
    return deepest

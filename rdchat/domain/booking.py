"""The rules of booking that need no store: wall time to instants, lengths, and how many overlap."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, available_timezones

from rdchat.common.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

#: Read once: the set is built from the files of the time zone database. Two of them are no zones: what the
#: machine happens to be set to, and the name of its not having been set.
_ZONES = frozenset(available_timezones() - {"localtime", "Factory"})

#: No counselling takes longer: it lies within a day by the clock, which has at most 25 hours or so.
LONGEST: Final = timedelta(days=2)


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
    """How long a session may last, how far ahead it is booked, and how many at once somebody may have."""

    shortest: timedelta
    longest: timedelta
    horizon: timedelta
    per_client: int
    per_psychologist: int


def is_zone(name: str) -> bool:
    """Say whether a time zone of this IANA name is known."""
    return name in _ZONES


def zone(name: str) -> ZoneInfo:
    """Find a time zone by its IANA name. Raises RdchatError (VALIDATION_FAILED)."""
    if not is_zone(name):
        raise invalid("timezone", "Unknown time zone.")
    return ZoneInfo(name)


def slot(day: date, start: time, end: time, timezone: str, *, limits: Limits, now: datetime) -> Slot:
    """Turn a wall time into instants.

    Raises RdchatError (VALIDATION_FAILED) for what is past or too far ahead, ends before it starts, is too
    short or too long, or does not exist that day because the clocks go forward.

    A time that comes twice means the first, as a start and as an end. Where 03:00 becomes 02:00, a session
    from 01:30 to 02:30 is one hour long, one from 02:30 to 03:30 two; the second pass has no words.
    """
    tz = zone(timezone)
    starts_at = _instant(day, start, tz, "startTime")
    ends_at = _instant(day, end, tz, "endTime")
    if ends_at <= starts_at:
        raise invalid("endTime", "Must be after startTime.")
    if starts_at <= now:
        raise invalid("startTime", "Must be in the future.")
    if starts_at > now + limits.horizon:
        raise invalid("date", f"Must be within {limits.horizon.days} days from now.")
    length = ends_at - starts_at
    if length < limits.shortest:
        raise invalid("endTime", f"The session must last at least {_words(limits.shortest)}.")
    if length > limits.longest:
        raise invalid("endTime", f"The session must last at most {_words(limits.longest)}.")
    return Slot(day, start, end, timezone, starts_at, ends_at)


def instant(day: date, at: time, tz: ZoneInfo) -> datetime | None:
    """Give the instant that a wall time means: the first, where it comes twice. None: it does not exist.

    Raises OverflowError at the ends of the calendar.
    """
    local = datetime.combine(day, at.replace(fold=0), tz)
    found = local.astimezone(UTC)
    return found if found.astimezone(tz).replace(tzinfo=None) == local.replace(tzinfo=None) else None


def _instant(day: date, at: time, tz: ZoneInfo, field: str) -> datetime:
    try:
        found = instant(day, at, tz)
    except OverflowError as error:
        raise invalid("date", "Too far from now.") from error
    if found is None:
        raise invalid(field, "This time does not exist on that day: the clocks go forward.")
    return found


def _words(length: timedelta) -> str:
    minutes, seconds = divmod(round(length.total_seconds()), 60)
    return f"{minutes} minutes" if not seconds else f"{round(length.total_seconds())} seconds"


def clipped(
    ranges: Iterable[tuple[datetime, datetime]], starts_at: datetime, ends_at: datetime
) -> list[tuple[datetime, datetime]]:
    """Cut ranges (start, end) to what lies between two instants, and leave out those that lie elsewhere."""
    return [
        (max(start, starts_at), min(end, ends_at))
        for start, end in ranges
        if start < ends_at and end > starts_at
    ]


def max_overlap(ranges: Iterable[tuple[datetime, datetime]]) -> int:
    """Count how many of the ranges (start, end) overlap at the fullest instant. Ends are exclusive."""
    turns = sorted(turn for start, end in ranges for turn in ((start, 1), (end, -1)))
    deepest = present = 0
    for _, change in turns:
        present += change
        deepest = max(deepest, present)
    return deepest

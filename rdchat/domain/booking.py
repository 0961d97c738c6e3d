"""The pure rules of booking: wall times as instants, lengths, and how many sessions overlap."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, available_timezones, reset_tzpath

from rdchat.common.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

# Every replica of a release knows the same zones and rules: those of the package, not those of its machine.
reset_tzpath(())

#: Read once: the set is built from the files of the time zone database. Two of them are no zones: what the
#: machine happens to be set to, and the name of its not having been set.
_ZONES = frozenset(available_timezones() - {"localtime", "Factory"})

#: Of wall times that come without a zone.
DEFAULT_TIMEZONE: Final = "Asia/Jakarta"

#: No counselling takes longer: the settings allow no more than a day.
LONGEST: Final = timedelta(days=2)

_DAY: Final = timedelta(days=1)
_TOO_FAR: Final = "Too far from now."


@dataclass(frozen=True, slots=True)
class WallTimes:
    """What calendar and clock show in one zone from a start to an end; `end` is of `end_day`."""

    day: date
    start: time
    end_day: date
    end: time
    timezone: str


@dataclass(frozen=True, slots=True)
class Slot:
    """When a counselling takes place: two instants, and the zone in which its times were agreed."""

    starts_at: datetime
    ends_at: datetime
    timezone: str

    def wall_times(self, timezone: str | None = None) -> WallTimes:
        """Return what a clock in a zone shows, or in the slot's own; `fold` 1 is the second pass."""
        name = timezone or self.timezone
        tz = ZoneInfo(name)
        start, end = self.starts_at.astimezone(tz), self.ends_at.astimezone(tz)
        return WallTimes(start.date(), start.time(), end.date(), end.time(), name)


@dataclass(frozen=True, slots=True)
class ByClock:
    """Times as calendar and clock show them; `end` counts from midnight (see `slot_by_clock`)."""

    day: date
    start: time
    end: timedelta
    end_date: date | None = None

    def slot(self, timezone: str, *, limits: Limits, now: datetime) -> Slot:
        """Turn them into instants, in a zone. Raise RdchatError (VALIDATION_FAILED)."""
        return slot_by_clock(
            self.day, self.start, self.end, timezone, end_date=self.end_date, limits=limits, now=now
        )


@dataclass(frozen=True, slots=True)
class ByInstants:
    """Times as instants, aware; the zone then only says by which clock they are kept."""

    starts_at: datetime
    ends_at: datetime

    def slot(self, timezone: str, *, limits: Limits, now: datetime) -> Slot:
        """Make the slot, agreed in a zone. Raise RdchatError (VALIDATION_FAILED)."""
        return slot_by_instants(self.starts_at, self.ends_at, timezone, limits=limits, now=now)


#: What a request says of when a counselling is to take place.
Times = ByClock | ByInstants


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a session may last, how far ahead it is booked, and how many one person may have at once."""

    shortest: timedelta
    longest: timedelta
    horizon: timedelta
    per_client: int
    per_psychologist: int


def is_zone(name: str) -> bool:
    """Say whether a time zone of this IANA name is known."""
    return name in _ZONES


def zone(name: str) -> ZoneInfo:
    """Find a time zone by its IANA name. Raise RdchatError (VALIDATION_FAILED)."""
    if not is_zone(name):
        raise invalid("timezone", "Unknown time zone.")
    return ZoneInfo(name)


def slot_by_clock(
    day: date,
    start: time,
    end: timedelta,
    timezone: str,
    *,
    end_date: date | None = None,
    limits: Limits,
    now: datetime,
) -> Slot:
    """Turn wall times into instants.

    `end` is how long after midnight by the clock it ends: 24 hours are the end of the day. At or before the
    start it is on the next day, unless `end_date` says on which.

    Raise RdchatError (VALIDATION_FAILED) for what is past or too far ahead, ends before it starts, is too
    short or too long, or does not exist that day because the clocks go forward.

    A time that comes twice means the first, as a start and as an end. Where 03:00 becomes 02:00, a session
    from 01:30 to 02:30 is one hour long, one from 02:30 to 03:30 two; `slot_by_instants` reaches the second.
    """
    tz = zone(timezone)
    if end_date is not None and end_date < day:
        raise invalid("endDate", "Must not be before date.")
    starts_at = _instant(day, start, tz, "startTime")
    last = end_date
    if last is None:
        last = day + _DAY if end <= _since_midnight(start) else day
    try:
        last, at = last + end // _DAY * _DAY, _time_of(end % _DAY)
    except OverflowError as error:
        raise invalid("date", _TOO_FAR) from error
    ends_at = _instant(last, at, tz, "endTime")
    return _within_limits(
        Slot(starts_at, ends_at, timezone), start="startTime", end="endTime", limits=limits, now=now
    )


def slot_by_instants(
    starts_at: datetime, ends_at: datetime, timezone: str, *, limits: Limits, now: datetime
) -> Slot:
    """Make a slot of two aware instants. Raise RdchatError (VALIDATION_FAILED) like `slot_by_clock`."""
    zone(timezone)
    try:
        found = Slot(starts_at.astimezone(UTC), ends_at.astimezone(UTC), timezone)
        found.wall_times()
    except OverflowError as error:
        raise invalid("startsAt", _TOO_FAR) from error
    return _within_limits(found, start="startsAt", end="endsAt", limits=limits, now=now)


def _within_limits(slot: Slot, *, start: str, end: str, limits: Limits, now: datetime) -> Slot:
    """Return a slot that may be booked; `start` and `end` name the fields that said it."""
    length = slot.ends_at - slot.starts_at
    if length <= timedelta(0):
        raise invalid(end, f"Must be after {start}.")
    if slot.starts_at <= now:
        raise invalid(start, "Must be in the future.")
    if slot.starts_at > now + limits.horizon:
        raise invalid(
            "date" if start == "startTime" else start, f"Must be within {limits.horizon.days} days from now."
        )
    if length < limits.shortest:
        raise invalid(end, f"The session must last at least {_words(limits.shortest)}.")
    if length > limits.longest:
        raise invalid(end, f"The session must last at most {_words(limits.longest)}.")
    return slot


def _time_of(since_midnight: timedelta) -> time:
    minutes, seconds = divmod(since_midnight.seconds, 60)
    return time(minutes // 60, minutes % 60, seconds)


def _since_midnight(at: time) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute, seconds=at.second)


def instant(day: date, at: time, tz: ZoneInfo) -> datetime | None:
    """Return the instant that a wall time means: the first if it comes twice, None if it does not exist.

    Raise OverflowError at the ends of the calendar.
    """
    local = datetime.combine(day, at.replace(fold=0), tz)
    found = local.astimezone(UTC)
    return found if found.astimezone(tz).replace(tzinfo=None) == local.replace(tzinfo=None) else None


def _instant(day: date, at: time, tz: ZoneInfo, field: str) -> datetime:
    try:
        found = instant(day, at, tz)
    except OverflowError as error:
        raise invalid("date", _TOO_FAR) from error
    if found is None:
        raise invalid(field, "This time does not exist on that day: the clocks go forward.")
    return found


def _words(length: timedelta) -> str:
    minutes, seconds = divmod(round(length.total_seconds()), 60)
    return f"{minutes} minutes" if not seconds else f"{round(length.total_seconds())} seconds"


def clipped(
    ranges: Iterable[tuple[datetime, datetime]], starts_at: datetime, ends_at: datetime
) -> list[tuple[datetime, datetime]]:
    """Clip ranges (start, end) to a window between two instants, and leave out those outside it."""
    return [
        (max(start, starts_at), min(end, ends_at))
        for start, end in ranges
        if start < ends_at and end > starts_at
    ]


def max_overlap(ranges: Iterable[tuple[datetime, datetime]]) -> int:
    """Return the largest number of ranges (start, end) that overlap at one instant. Ends are exclusive."""
    edges = sorted(edge for start, end in ranges for edge in ((start, 1), (end, -1)))
    deepest = present = 0
    for _, change in edges:
        present += change
        deepest = max(deepest, present)
    return deepest

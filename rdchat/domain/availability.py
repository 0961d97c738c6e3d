"""When a psychologist works: weekly hours and exceptions, and the instants that they mean. Pure.

Hours are wall times in the psychologist's time zone, and mean what a booking of the same times would:

- a time that comes twice, because the clocks go back, means the first;
- a time that does not exist, because they go forward, means the instant at which they do;
- `00:00` as an end is the end of the day: the same instant as the start of the next one.

So 01:00 to 04:00 is two hours long on a day that leaves one out, hours that touch at midnight are one
stretch, and every booking that lies within the hours by the clock also lies within the instants.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from rdchat.common.errors import invalid
from rdchat.domain.booking import instant, zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from zoneinfo import ZoneInfo

    #: From the first instant to the second, which is no longer part of it.
    Range = tuple[datetime, datetime]

_MIDNIGHT: Final = time(0)
_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of a day, from wall time to wall time. `end` 00:00: until the day is over."""

    start: time
    end: time

    def overlaps(self, other: Hours) -> bool:
        """Return whether a time of day is in both."""
        return (other.end == _MIDNIGHT or self.start < other.end) and (
            self.end == _MIDNIGHT or other.start < self.end
        )


@dataclass(frozen=True, slots=True)
class WeeklyHours:
    """Hours on the same day of every week, 1 (Monday) to 7 (Sunday)."""

    weekday: int
    hours: Hours


@dataclass(frozen=True, slots=True)
class DayException:
    """Hours that are taken away from one day, or added to it. Where both overlap, they are added."""

    date: date
    is_available: bool
    hours: Hours


@dataclass(frozen=True, slots=True)
class Availability:
    """When a psychologist can be booked. Without any hours, that is always, except what is taken away."""

    timezone: str
    weekly: tuple[WeeklyHours, ...] = ()
    exceptions: tuple[DayException, ...] = ()

    def covers(self, starts_at: datetime, ends_at: datetime) -> bool:
        """Return whether the psychologist works all the time from one instant to another."""
        return covers(self.ranges(starts_at, ends_at), starts_at, ends_at)

    def ranges(self, since: datetime, until: datetime) -> list[Range]:
        """Return the working time around a stretch of time: in order, as separate ranges.

        Ranges may begin before `since` and end after `until`.
        """
        if not self.weekly and not self.exceptions:
            return [(since, until)]
        tz = zone(self.timezone)
        # And the day after: where a change at midnight shows the end of a day twice, it has begun in between.
        first = since.astimezone(tz).date()
        days = [first + n * _DAY for n in range((until.astimezone(tz).date() - first).days + 2)]
        added = [one for one in self.exceptions if one.is_available]
        if self.weekly or added:
            usual = merged(
                _range(day, one.hours, tz)
                for day in days
                for one in self.weekly
                if one.weekday == day.isoweekday()
            )
        else:
            usual = [(to_instant(days[0], _MIDNIGHT, tz), to_instant(days[-1] + _DAY, _MIDNIGHT, tz))]
        within = set(days)
        taken = [one for one in self.exceptions if not one.is_available and one.date in within]
        left = without(usual, merged(_range(one.date, one.hours, tz) for one in taken))
        more = (_range(one.date, one.hours, tz) for one in added if one.date in within)
        return merged([*left, *more])


@dataclass(frozen=True, slots=True)
class WorkingTime:
    """When a psychologist can have counsellings: in their hours, and not at all while they take none."""

    is_active: bool
    hours: Availability

    def fits(self, starts_at: datetime, ends_at: datetime) -> bool:
        """Return whether a counselling from one instant to another is within it."""
        return self.is_active and self.hours.covers(starts_at, ends_at)


def _range(day: date, hours: Hours, tz: ZoneInfo) -> Range:
    last = day + _DAY if hours.end == _MIDNIGHT else day
    return to_instant(day, hours.start, tz), to_instant(last, hours.end, tz)


def to_instant(day: date, at: time, tz: ZoneInfo) -> datetime:
    """Return the instant that a wall time means as the edge of a range, even if the time does not exist."""
    found = instant(day, at, tz)
    if found is not None:
        return found
    # The clocks are put forward between these two: the time as each side of the change reads it.
    local = datetime.combine(day, at, tz)
    before, after = (local.replace(fold=side).astimezone(UTC) for side in (1, 0))
    offset = before.astimezone(tz).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // 2 // _SECOND * _SECOND
        if middle.astimezone(tz).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def checked(
    weekly: Iterable[WeeklyHours], exceptions: Iterable[DayException]
) -> tuple[tuple[WeeklyHours, ...], tuple[DayException, ...]]:
    """Sort hours. Raise RdchatError (VALIDATION_FAILED) for empty or overlapping ones."""
    by_day = sorted(weekly, key=lambda one: (one.weekday, one.hours.start))
    by_date = sorted(exceptions, key=lambda one: (one.date, one.is_available, one.hours.start))
    _check("weekly", [(one.weekday, one.hours) for one in by_day])
    _check("exceptions", [((one.date, one.is_available), one.hours) for one in by_date])
    return tuple(by_day), tuple(by_date)


def _check(field: str, said: Sequence[tuple[object, Hours]]) -> None:
    for _, hours in said:
        if hours.start >= hours.end != _MIDNIGHT:
            raise invalid(field, "endTime must be after startTime; 00:00 is the end of the day.")
    for (day, hours), (next_day, next_hours) in pairwise(said):
        if day == next_day and hours.overlaps(next_hours):
            raise invalid(field, "Hours of one day must not overlap.")


# ---- ranges -----------------------------------------------------------------------------------------------


def merged(ranges: Iterable[Range]) -> list[Range]:
    """Sort ranges, and join those that overlap or touch. Empty ones are left out."""
    together: list[Range] = []
    for start, end in sorted(ranges):
        if start >= end:
            continue
        if together and start <= together[-1][1]:
            together[-1] = together[-1][0], max(end, together[-1][1])
        else:
            together.append((start, end))
    return together


def without(ranges: list[Range], taken: list[Range]) -> list[Range]:
    """Subtract ranges from others; both as `merged` returns them."""
    left = []
    for start, end in ranges:
        since = start
        for first, last in taken:
            if last <= since or first >= end:
                continue
            if first > since:
                left.append((since, first))
            since = last
        if since < end:
            left.append((since, end))
    return left


def covers(ranges: list[Range], starts_at: datetime, ends_at: datetime) -> bool:
    """Return whether one of the ranges, as `merged` returns them, holds all of a stretch of time."""
    return any(start <= starts_at and ends_at <= end for start, end in ranges)

"""Which times can still be booked: of a day with one psychologist, of several days with any. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar

from rdchat.domain.availability import covers, merged, to_instant, without
from rdchat.domain.booking import Slot, clipped, instant, max_overlap, zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from rdchat.domain.availability import Availability, Range
    from rdchat.domain.booking import Limits
    from rdchat.domain.person import Psychologist

_DAY: Final = timedelta(days=1)
#: An instant, or the seconds until it.
Edge = TypeVar("Edge", datetime, float)


@dataclass(frozen=True, slots=True)
class FreeSlot:
    """Times that can be booked, and for how many more counsellings."""

    slot: Slot
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A search: slots of a `length` on a day in a time zone, one each `step` by the clock."""

    day: date
    timezone: str
    length: timedelta
    step: timedelta

    def bounds(self, *, limits: Limits, now: datetime) -> Range | None:
        """Return the instants at which the day begins and ends; None if nothing on it can be booked.

        Raise RdchatError (VALIDATION_FAILED) for an unknown time zone.
        """
        tz = zone(self.timezone)
        # No zone is two days away from UTC. Beyond that nothing can be booked, and the calendar has ends.
        if not now.date() - 2 * _DAY < self.day < (now + limits.horizon).date() + 2 * _DAY:
            return None
        return to_instant(self.day, time(0), tz), to_instant(self.day + _DAY, time(0), tz)

    def slots(self) -> tuple[Slot, ...]:
        """Return the slots that start on the day, at times that exist and that a booking can say.

        Of times that come twice, the first, as in a booking by the clock.
        """
        return _slots(self)


@lru_cache(maxsize=128)
def _slots(wish: Wish) -> tuple[Slot, ...]:
    """Remembered: what the calendar says of a day is the same for all who look at the weeks ahead."""
    tz = zone(wish.timezone)
    midnight = datetime.combine(wish.day, time(0))
    found = []
    for number in range(_DAY // wish.step):
        starts_at = instant(wish.day, (midnight + number * wish.step).time(), tz)
        if starts_at is None:
            continue
        ends_at = starts_at + wish.length
        end = ends_at.astimezone(tz)
        if instant(end.date(), end.time(), tz) == ends_at:
            found.append(Slot(starts_at, ends_at, wish.timezone))
    return tuple(found)


def free_slots(
    wish: Wish,
    working: Availability,
    booked: list[Range],
    *,
    limits: Limits,
    now: datetime,
    earliest: datetime,
) -> Iterator[FreeSlot]:
    """Return the slots that can be booked. `booked` is what the psychologist has that day already.

    `earliest`: at which the caller may still book.
    """
    bounds = wish.bounds(limits=limits, now=now)
    if bounds is None:
        return
    # The last slot of the day may end on the next.
    hours = working.ranges(bounds[0], bounds[1] + wish.length)
    for slot in wish.slots():
        if slot.starts_at < earliest or not now < slot.starts_at <= now + limits.horizon:
            continue
        if not covers(hours, slot.starts_at, slot.ends_at):
            continue
        free = limits.per_psychologist - max_overlap(clipped(booked, slot.starts_at, slot.ends_at))
        if free > 0:
            yield FreeSlot(slot, free)


@dataclass(frozen=True, slots=True)
class SharedSlot:
    """Times that can be booked, and with whom, by name."""

    slot: Slot
    psychologists: list[Psychologist]


@dataclass(frozen=True, slots=True)
class Bookable:
    """A psychologist, when they work, and when they can have no more (see `at_capacity`)."""

    psychologist: Psychologist
    working: Availability
    full: Sequence[Range]


def bounds_of(wishes: Iterable[Wish], *, limits: Limits, now: datetime) -> Range | None:
    """Return from when until when slots of several days lie; None if nothing on them can be booked.

    Raise RdchatError (VALIDATION_FAILED) for an unknown time zone.
    """
    known = [
        (bounds[0], bounds[1] + wish.length)
        for wish in wishes
        if (bounds := wish.bounds(limits=limits, now=now)) is not None
    ]
    return (known[0][0], known[-1][1]) if known else None


def shared_slots(
    wishes: Sequence[Wish], bookable: Iterable[Bookable], *, limits: Limits, now: datetime, earliest: datetime
) -> list[SharedSlot]:
    """List the slots of several days, in order, that can be booked with some psychologist.

    The same times as `free_slots` finds for each day and psychologist. There it is asked of each time whether
    it is free; here each stretch that is free finds its times by bisection, so that weeks of many people take
    no longer than a moment.
    """
    bounds = bounds_of(wishes, limits=limits, now=now)
    if bounds is None:
        return []
    days = [wish for wish in wishes if wish.bounds(limits=limits, now=now) is not None]
    slots = [slot for wish in days for slot in wish.slots()]
    starts = [slot.starts_at for slot in slots]
    length = days[0].length
    # What begins after `now`, no later than the horizon, and not before `earliest`.
    begin = max(bisect_right(starts, now), bisect_left(starts, earliest))
    end = bisect_right(starts, now + limits.horizon)
    people: list[list[Psychologist]] = [[] for _ in starts]
    for one in bookable:
        for since, until in without(_working(one.working, *bounds), merged(one.full)):
            first, stop = bisect_left(starts, since), bisect_right(starts, until - length)
            for some in people[max(first, begin) : min(stop, end)]:
                some.append(one.psychologist)
    return [SharedSlot(slot, some) for slot, some in zip(slots, people, strict=True) if some]


@lru_cache(maxsize=256)
def _working(hours: Availability, since: datetime, until: datetime) -> list[Range]:
    """Return when one works, to be looked at only. Remembered by the hours themselves."""
    return hours.ranges(since, until)


def at_capacity(starts: Iterable[Edge], ends: Iterable[Edge], capacity: int) -> list[tuple[Edge, Edge]]:
    """Return where at least so many overlap of ranges with these starts and ends, which are exclusive.

    It is in order, and parts of it may overlap. From the n-th start on there are so many, unless the end has
    come by then that leaves one less of them.
    """
    pairs = zip(sorted(starts)[capacity - 1 :], sorted(ends), strict=False)
    return [(start, end) for start, end in pairs if start < end]

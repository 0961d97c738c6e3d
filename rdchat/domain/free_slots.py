"""Which times can still be booked: of a day with one psychologist, of several days with any. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from rdchat.domain.availability import covers, to_instant, without
from rdchat.domain.booking import Slot, clipped, instant, max_overlap, zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from rdchat.domain.availability import Availability, Range
    from rdchat.domain.booking import Limits
    from rdchat.domain.person import Psychologist

_DAY: Final = timedelta(days=1)


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

    def slots(self) -> Iterator[Slot]:
        """Yield the slots that start on the day, at times that exist and that a booking can say.

        Of times that come twice, the first, as in a booking by the clock.
        """
        tz = zone(self.timezone)
        midnight = datetime.combine(self.day, time(0))
        for number in range(_DAY // self.step):
            starts_at = instant(self.day, (midnight + number * self.step).time(), tz)
            if starts_at is None:
                continue
            ends_at = starts_at + self.length
            end = ends_at.astimezone(tz)
            if instant(end.date(), end.time(), tz) == ends_at:
                yield Slot(starts_at, ends_at, self.timezone)


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
    """A psychologist, when they work, and what they have already."""

    psychologist: Psychologist
    working: Availability
    booked: Sequence[Range]


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
    found = [
        SharedSlot(slot, [])
        for wish in days
        for slot in wish.slots()
        if slot.starts_at >= earliest and now < slot.starts_at <= now + limits.horizon
    ]
    length = days[0].length
    starts = [one.slot.starts_at for one in found]
    for one in bookable:
        full = _at_capacity(one.booked, limits.per_psychologist)
        for since, until in without(one.working.ranges(*bounds), full):
            for number in range(bisect_left(starts, since), bisect_right(starts, until - length)):
                found[number].psychologists.append(one.psychologist)
    return [one for one in found if one.psychologists]


def _at_capacity(booked: Iterable[Range], capacity: int) -> list[Range]:
    """Return where at least so many ranges overlap, in order. Ends are exclusive."""
    edges = sorted(edge for start, end in booked for edge in ((start, 1), (end, -1)))
    full: list[Range] = []
    present, since = 0, None
    for at, change in edges:
        present += change
        if present >= capacity and since is None:
            since = at
        elif present < capacity and since is not None:
            full.append((since, at))
            since = None
    return full

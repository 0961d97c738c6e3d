"""Which times of a day can still be booked with a psychologist. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from rdchat.domain.availability import covers, to_instant
from rdchat.domain.booking import Slot, clipped, instant, max_overlap, zone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from rdchat.domain.availability import Availability, Range
    from rdchat.domain.booking import Limits

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
    wish: Wish, working: Availability, booked: list[Range], *, limits: Limits, now: datetime
) -> Iterator[FreeSlot]:
    """Return the slots that can be booked. `booked` is what the psychologist has that day already."""
    bounds = wish.bounds(limits=limits, now=now)
    if bounds is None:
        return
    # The last slot of the day may end on the next.
    hours = working.ranges(bounds[0], bounds[1] + wish.length)
    for slot in wish.slots():
        if not now < slot.starts_at <= now + limits.horizon:
            continue
        if not covers(hours, slot.starts_at, slot.ends_at):
            continue
        free = limits.per_psychologist - max_overlap(clipped(booked, slot.starts_at, slot.ends_at))
        if free > 0:
            yield FreeSlot(slot, free)

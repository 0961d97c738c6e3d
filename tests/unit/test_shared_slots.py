"""Free times of all psychologists are those of each day and each of them, and are found soon."""

from __future__ import annotations

import random
import time as clock
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from handlers.api.slots import shared_slots_json
from rdchat.domain.availability import Availability, DayException, Hours, WeeklyHours
from rdchat.domain.booking import Limits
from rdchat.domain.free_slots import Bookable, Wish, at_capacity, free_slots, shared_slots
from rdchat.domain.person import Psychologist

if TYPE_CHECKING:
    from rdchat.domain.availability import Range

LIMITS = Limits(timedelta(minutes=1), timedelta(hours=4), timedelta(days=366), 1, 2)
#: Days before and after clocks change, in zones that do it at night, at midnight and by half an hour.
ZONES = ("Asia/Jakarta", "America/New_York", "Africa/Cairo", "Australia/Lord_Howe", "America/Santiago")
CHANGES = (date(2027, 3, 12), date(2027, 4, 2), date(2027, 9, 3), date(2027, 10, 29), date(2027, 11, 5))


def full(booked: list[Range]) -> list[Range]:
    starts, ends = zip(*booked, strict=True)
    return at_capacity(starts, ends, LIMITS.per_psychologist)


def made_up(chance: random.Random, number: int, since: datetime, days: int) -> tuple[Bookable, list[Range]]:
    def hours() -> Hours:
        first, last = sorted(chance.sample(range(48), 2))
        return Hours(time(first // 2, first % 2 * 30), time(last // 2, last % 2 * 30))

    weekly = tuple(WeeklyHours(day, hours()) for day in range(1, 8) if chance.random() < 0.7)
    exceptions = tuple(
        DayException(since.date() + timedelta(days=day), chance.random() < 0.5, hours())
        for day in range(days)
        if chance.random() < 0.2
    )
    starts = [since + timedelta(minutes=chance.randrange(days * 1440)) for _ in range(days * 3)]
    booked = [(start, start + timedelta(minutes=chance.randrange(5, 200))) for start in starts]
    who = Psychologist(UUID(int=number), f"P{number}", chance.choice(ZONES), True, since, since)
    plan = chance.choice([(weekly, exceptions), (weekly, ()), ((), exceptions), ((), ())])
    return Bookable(who, Availability(who.timezone, *plan), full(booked)), booked


@pytest.mark.parametrize("seed", range(40))
def test_they_are_those_of_each_day_and_psychologist(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - for a test
    first, zone, days = chance.choice(CHANGES), chance.choice(ZONES), 5
    now = datetime.combine(first, time(chance.randrange(24), 7), UTC)
    earliest = now + timedelta(hours=chance.choice((0, 30)))
    length = timedelta(minutes=chance.choice((20, 60, 90)))
    wishes = [
        Wish(day=first + timedelta(days=n), timezone=zone, length=length, step=timedelta(minutes=30))
        for n in range(days)
    ]
    everyone = [made_up(chance, number, now - timedelta(days=1), days + 2) for number in range(4)]
    expected: dict[datetime, list[str]] = {}
    for wish in wishes:
        for one, booked in everyone:
            for free in free_slots(wish, one.working, booked, limits=LIMITS, now=now, earliest=earliest):
                expected.setdefault(free.slot.starts_at, []).append(one.psychologist.full_name)
    bookable = [one for one, _ in everyone]
    found = shared_slots(wishes, bookable, limits=LIMITS, now=now, earliest=earliest)
    starts = [one.slot.starts_at for one in found]
    assert starts == sorted(set(starts))
    assert {one.slot.starts_at: [who.full_name for who in one.psychologists] for one in found} == expected
    assert all(one.slot.ends_at - one.slot.starts_at == length for one in found)


def test_five_weeks_of_twenty_psychologists_take_a_moment() -> None:
    now = datetime(2027, 3, 1, tzinfo=UTC)
    office = tuple(WeeklyHours(day, Hours(time(8), time(17))) for day in range(1, 8))
    hours = [now + timedelta(hours=hour) for hour in range(840)]
    wishes = [
        Wish(
            day=date(2027, 3, 1) + timedelta(days=n),
            timezone="Asia/Jakarta",
            length=timedelta(hours=1),
            step=timedelta(minutes=15),
        )
        for n in range(35)
    ]
    began = clock.process_time()
    bookable = [
        Bookable(
            Psychologist(UUID(int=number), f"P{number}", "America/New_York", True, now, now),
            Availability("America/New_York", office if number % 2 else ()),
            full([(start, start + timedelta(hours=1)) for start in hours]),
        )
        for number in range(20)
    ]
    found = shared_slots(wishes, bookable, limits=LIMITS, now=now, earliest=now)
    shared_slots_json(found)
    assert len(found) > 3000
    assert clock.process_time() - began < 0.7

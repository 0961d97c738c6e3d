"""Working hours as instants, around changes of the clocks above all."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdchat.domain.availability import (
    Availability,
    DayException,
    Hours,
    WeeklyHours,
    covers,
    merged,
    without,
)

ALWAYS = Availability("Asia/Jakarta")
WHOLE_DAY = Hours(time(0), time(0))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hours(text: str) -> Hours:
    start, _, end = text.partition("-")
    return Hours(time.fromisoformat(start), time.fromisoformat(end))


def daily(zone: str, *texts: str, days: range = range(1, 8)) -> Availability:
    return Availability(zone, tuple(WeeklyHours(day, hours(text)) for day in days for text in texts))


def excepted(base: Availability, *exceptions: tuple[str, bool, str | None]) -> Availability:
    return Availability(
        base.timezone,
        base.weekly,
        tuple(
            DayException(date.fromisoformat(day), is_available, hours(text) if text else WHOLE_DAY)
            for day, is_available, text in exceptions
        ),
    )


def within(availability: Availability, since: str, until: str) -> list[str]:
    """Show the working time between two instants."""
    first, last = at(since), at(until)
    return [
        f"{max(start, first):%dT%H:%M}-{min(end, last):%dT%H:%M}"
        for start, end in availability.ranges(first, last)
        if start < last and end > first
    ]


def test_whoever_says_nothing_always_works() -> None:
    assert ALWAYS.covers(at("2030-01-01T00:00"), at("2030-01-03T00:00"))


def test_weekly_hours_are_wall_times_there() -> None:
    office = daily("Asia/Jakarta", "09:00-12:00", "13:00-17:00", days=range(1, 6))
    # 14 January 2030 is a Monday.
    assert within(office, "2030-01-12T00:00", "2030-01-15T00:00") == [
        "14T02:00-14T05:00",
        "14T06:00-14T10:00",
    ]
    assert office.covers(at("2030-01-14T02:00"), at("2030-01-14T05:00"))
    assert not office.covers(at("2030-01-14T01:59"), at("2030-01-14T03:00"))
    assert not office.covers(at("2030-01-14T04:30"), at("2030-01-14T06:30"))
    assert not office.covers(at("2030-01-13T02:00"), at("2030-01-13T03:00"))


def test_hours_that_touch_at_midnight_are_one_stretch() -> None:
    night = Availability(
        "Asia/Jakarta", (WeeklyHours(1, hours("22:00-00:00")), WeeklyHours(2, hours("00:00-02:00")))
    )
    assert within(night, "2030-01-13T00:00", "2030-01-17T00:00") == ["14T15:00-14T19:00"]
    assert daily("Asia/Jakarta", "00:00-00:00").covers(at("2030-01-01T00:00"), at("2030-01-09T00:00"))


@pytest.mark.parametrize(
    ("zone", "day", "window", "expected"),
    [
        # Berlin, 31 March 2030: 02:00 becomes 03:00 at 01:00Z.
        ("Europe/Berlin", "2030-03-31", "01:00-04:00", ["31T00:00-31T02:00"]),
        ("Europe/Berlin", "2030-03-31", "02:30-04:00", ["31T01:00-31T02:00"]),
        ("Europe/Berlin", "2030-03-31", "01:00-02:30", ["31T00:00-31T01:00"]),
        ("Europe/Berlin", "2030-03-31", "02:00-03:00", []),
        # 27 October 2030: 03:00 becomes 02:00 at 01:00Z.
        ("Europe/Berlin", "2030-10-27", "01:00-04:00", ["26T23:00-27T03:00"]),
        ("Europe/Berlin", "2030-10-27", "01:30-02:30", ["26T23:30-27T00:30"]),
        ("Europe/Berlin", "2030-10-27", "02:30-03:30", ["27T00:30-27T02:30"]),
        ("Europe/Berlin", "2030-10-27", "02:00-02:30", ["27T00:00-27T00:30"]),
        # Havana goes forward at midnight: the day begins at 01:00.
        ("America/Havana", "2030-03-10", "00:00-02:00", ["10T05:00-10T06:00"]),
        # Lord Howe's summer time is half an hour: 02:00 becomes 02:30 on 6 October 2030.
        ("Australia/Lord_Howe", "2030-10-06", "01:00-03:00", ["05T14:30-05T16:00"]),
        # Samoa had no 30 December 2011.
        ("Pacific/Apia", "2011-12-30", "09:00-17:00", []),
        ("Pacific/Apia", "2011-12-31", "09:00-17:00", ["30T19:00-31T03:00"]),
    ],
)
def test_hours_on_days_on_which_the_clocks_change(
    zone: str, day: str, window: str, expected: list[str]
) -> None:
    only = excepted(Availability(zone), (day, True, window))
    noon = at(f"{day}T12:00")
    since, until = noon - timedelta(days=2), noon + timedelta(days=2)
    assert within(only, since.isoformat()[:16], until.isoformat()[:16]) == expected


def test_what_is_taken_away_and_what_is_added() -> None:
    office = daily("UTC", "09:00-12:00")
    since, until = "2030-01-14T00:00", "2030-01-16T00:00"
    usual = ["14T09:00-14T12:00", "15T09:00-15T12:00"]
    for exceptions, expected in (
        ([], usual),
        ([("2030-01-14", False, None)], usual[1:]),
        ([("2030-01-14", False, "10:00-11:00")], ["14T09:00-14T10:00", "14T11:00-14T12:00", usual[1]]),
        ([("2030-01-14", False, "08:00-10:00")], ["14T10:00-14T12:00", usual[1]]),
        ([("2030-01-14", False, "11:00-00:00")], ["14T09:00-14T11:00", usual[1]]),
        ([("2030-01-14", True, "12:00-13:00")], ["14T09:00-14T13:00", usual[1]]),
        ([("2030-01-14", True, "20:00-00:00")], [usual[0], "14T20:00-15T00:00", usual[1]]),
        # Other hours than usual: all of the day is taken away, and these are added.
        (
            [("2030-01-14", False, None), ("2030-01-14", True, "10:00-11:00")],
            ["14T10:00-14T11:00", usual[1]],
        ),
        ([("2031-01-14", False, None), ("2029-01-14", True, None)], usual),
    ):
        assert within(excepted(office, *exceptions), since, until) == expected, exceptions


def test_without_weekly_hours_one_works_always_or_only_when_added() -> None:
    nothing = Availability("UTC")
    since, until = "2030-01-14T00:00", "2030-01-16T00:00"
    away = excepted(nothing, ("2030-01-14", False, "09:00-10:00"))
    assert within(away, since, until) == ["14T00:00-14T09:00", "14T10:00-16T00:00"]
    assert within(excepted(nothing, ("2031-01-01", False, None)), since, until) == ["14T00:00-16T00:00"]
    only = excepted(nothing, ("2030-01-14", True, "09:00-10:00"))
    assert within(only, since, until) == ["14T09:00-14T10:00"]
    assert within(excepted(nothing, ("2031-01-01", True, None)), since, until) == []


MINUTE = timedelta(minutes=1)
START = at("2030-01-14T00:00")
ranges = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


def real(pairs: list[tuple[int, int]]) -> list[tuple[datetime, datetime]]:
    return [(START + start * MINUTE, START + end * MINUTE) for start, end in pairs]


def points(pairs: list[tuple[datetime, datetime]]) -> set[datetime]:
    minutes = [START + n * MINUTE for n in range(61)]
    return {minute for minute in minutes for start, end in pairs if start <= minute < end}


@given(some=ranges, others=ranges, wish=st.tuples(st.integers(0, 59), st.integers(1, 60)))
@settings(max_examples=300, deadline=None)
def test_ranges_are_sets_of_instants(
    some: list[tuple[int, int]], others: list[tuple[int, int]], wish: tuple[int, int]
) -> None:
    together, taken = merged(real(some)), merged(real(others))
    assert points(together) == points(real(some))
    assert all(end < start for (_, end), (start, _) in pairwise(together))
    left = without(together, taken)
    assert points(left) == points(together) - points(taken)
    (wanted,) = real([wish])
    if wanted[0] < wanted[1]:
        assert covers(left, *wanted) == (points([wanted]) <= points(left))

"""Working hours as instants, around changes of the clocks above all."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest

from rdchat.availability import WHOLE_DAY, Availability, DayException, Hours, WeeklyHours

ALWAYS = Availability("Asia/Jakarta")


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

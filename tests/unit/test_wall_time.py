"""Wall times in every zone there is, around every change of its clocks from 2024 to 2030, and some odd ones.

What is expected is not computed as the program does it: the instants of a wall time are those that, shown in
the zone, are that wall time.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rdchat.common.errors import RdchatError
from rdchat.domain.availability import Availability, DayException, Hours, WeeklyHours, to_instant
from rdchat.domain.booking import Limits, instant, slot_by_clock, slot_by_instants

if TYPE_CHECKING:
    from collections.abc import Iterator

ZONES = sorted(available_timezones() - {"localtime", "Factory"})
LONG_AGO = datetime(1960, 1, 1, tzinfo=UTC)
LIMITS = Limits(
    shortest=timedelta(minutes=1),
    longest=timedelta(hours=30),
    horizon=timedelta(days=40_000),
    per_client=1,
    per_psychologist=5,
)
DAY, MINUTE, SECOND = timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1)


def offset(moment: datetime, tz: ZoneInfo) -> timedelta:
    found = moment.astimezone(tz).utcoffset()
    assert found is not None
    return found


@cache
def changes(name: str, first: datetime, last: datetime) -> tuple[datetime, ...]:
    """Find the instants at which the clocks are changed: nowhere twice within a day."""
    tz = ZoneInfo(name)
    found = []
    days = [first + n * DAY for n in range((last - first) // DAY + 1)]
    offsets = [offset(day, tz) for day in days]
    for (before, old), (after, new) in pairwise(zip(days, offsets, strict=True)):
        if old == new:
            continue
        low, high = before, after
        while high - low > SECOND:
            middle = low + (high - low) // 2 // SECOND * SECOND
            low, high = (middle, high) if offset(middle, tz) == old else (low, middle)
        found.append(high)
    return tuple(found)


def recent(name: str) -> tuple[datetime, ...]:
    return changes(name, datetime(2024, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC))


def meanings(wall: datetime, change: datetime, tz: ZoneInfo) -> list[datetime]:
    """Return the instants at which a clock shows a wall time, near a change."""
    offsets = {offset(change - SECOND, tz), offset(change, tz), offset(change + 2 * DAY, tz)}
    offsets |= {offset(change - 2 * DAY, tz)}
    possible = {(wall - one).replace(tzinfo=UTC) for one in offsets}
    return sorted(one for one in possible if one.astimezone(tz).replace(tzinfo=None) == wall)


def walls_near(change: datetime, tz: ZoneInfo) -> list[datetime]:
    """Return wall times at a change, just beside it, and in what is left out or comes twice."""
    old = (change - SECOND).astimezone(tz).replace(tzinfo=None) + SECOND
    new = change.astimezone(tz).replace(tzinfo=None, fold=0)
    low, high = min(old, new), max(old, new)
    inside = low + (high - low) / 2
    beside = (-90 * MINUTE, -MINUTE, -SECOND, timedelta(0), SECOND, MINUTE, 90 * MINUTE)
    return sorted({one + by for one in (low, inside.replace(microsecond=0), high) for by in beside})


def since_midnight(at: time) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute, seconds=at.second)


def booked(start: datetime, end: datetime, name: str) -> tuple[datetime, datetime] | str:
    """Book by wall time. Return the instants, or the field that is refused."""
    try:
        found = slot_by_clock(
            start.date(), start.time(), since_midnight(end.time()), name, limits=LIMITS, now=LONG_AGO
        )
    except RdchatError as error:
        return next(iter(error.fields or {}), error.code)
    shown = found.wall_times()
    last = end if end > start else end + DAY
    assert (shown.day, shown.start, shown.end_day, shown.end.replace(fold=0)) == (
        start.date(),
        start.time(),
        last.date(),
        last.time(),
    )
    assert shown.timezone == name
    return found.starts_at, found.ends_at


def check(name: str, change: datetime) -> Iterator[str]:
    tz = ZoneInfo(name)
    walls = walls_near(change, tz)
    expected = {wall: next(iter(meanings(wall, change, tz)), None) for wall in walls}
    edges = []
    for wall in walls:
        found = instant(wall.date(), wall.time(), tz)
        if found != expected[wall]:
            yield f"{name} {wall}: {found}, not {expected[wall]}"
        edges.append(to_instant(wall.date(), wall.time(), tz))
        if edges[-1] != (expected[wall] or change):
            yield f"{name} {wall}: its edge is {edges[-1]}, not {expected[wall] or change}"
    if edges != sorted(edges):
        yield f"{name} {change}: hours are not in the order of the clock"
    for start, end in [*pairwise(walls), *zip(walls, walls[4:], strict=False)]:
        if start.date() != end.date():
            continue
        starts_at, ends_at = expected[start], expected[end]
        wanted: tuple[datetime, datetime] | str
        if starts_at is None:
            wanted = "startTime"
        elif ends_at is None or ends_at - starts_at < LIMITS.shortest:
            wanted = "endTime"
        else:
            wanted = starts_at, ends_at
        if booked(start, end, name) != wanted:
            yield f"{name} {start} to {end}: {booked(start, end, name)}, not {wanted}"


def test_every_zone_around_every_change_of_its_clocks() -> None:
    seen = [(name, change) for name in ZONES for change in recent(name)]
    # Most of Europe and North America has fourteen of them; an empty search would show nothing.
    assert len({name for name, _ in seen}) > 150
    assert len(seen) > 2500
    assert [fault for name, change in seen for fault in check(name, change)] == []


@pytest.mark.parametrize(
    ("name", "year", "shift"),
    [
        ("Pacific/Apia", 2011, timedelta(hours=24)),
        ("Pacific/Fakaofo", 2011, timedelta(hours=24)),
        ("Pacific/Kwajalein", 1993, timedelta(hours=24)),
        ("Pacific/Kiritimati", 1994, timedelta(hours=24)),
        ("Pacific/Enderbury", 1994, timedelta(hours=24)),
        ("Asia/Pyongyang", 2018, timedelta(minutes=30)),
        ("Asia/Kathmandu", 1985, timedelta(minutes=15)),
        ("America/Caracas", 2007, timedelta(minutes=-30)),
        ("America/St_Johns", 1988, timedelta(hours=2)),
        ("Antarctica/Casey", 2020, timedelta(hours=3)),
        ("Africa/Monrovia", 1972, timedelta(minutes=44, seconds=30)),
        ("Australia/Lord_Howe", 2026, timedelta(minutes=30)),
        ("Antarctica/Troll", 2026, timedelta(hours=-2)),
        ("Europe/Dublin", 2026, timedelta(hours=-1)),
        ("Africa/Casablanca", 2026, timedelta(hours=1)),
    ],
)
def test_odd_changes(name: str, year: int, shift: timedelta) -> None:
    tz = ZoneInfo(name)
    found = changes(name, datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 3, tzinfo=UTC))
    assert shift in [offset(change, tz) - offset(change - SECOND, tz) for change in found]
    assert [fault for change in found for fault in check(name, change)] == []


def test_a_day_that_a_zone_leaves_out_cannot_be_booked() -> None:
    for name, day in (("Pacific/Apia", date(2011, 12, 30)), ("Pacific/Kwajalein", date(1993, 8, 21))):
        for hour in (0, 9, 23):
            start = datetime.combine(day, time(hour))
            assert booked(start, start + 30 * MINUTE, name) == "startTime"


def test_what_a_session_in_a_repeated_hour_means() -> None:
    # Berlin, 25 October 2026: at 01:00Z, 03:00 becomes 02:00.
    def lasts(start: str, end: str) -> timedelta | str:
        walls = [datetime.fromisoformat(f"2026-10-25T{one}") for one in (start, end)]
        found = booked(walls[0], walls[1], "Europe/Berlin")
        return found if isinstance(found, str) else found[1] - found[0]

    assert lasts("01:30", "02:30") == timedelta(hours=1)
    assert lasts("02:15", "02:45") == timedelta(minutes=30)
    assert lasts("02:30", "03:00") == timedelta(minutes=90)
    assert lasts("02:59", "03:30") == timedelta(minutes=91)
    # An end before the start is on the next day: LIMITS allow that long.
    assert lasts("02:45", "02:15") == timedelta(hours=24, minutes=30)


def test_what_a_machine_calls_its_own_zone_is_not_booked_in() -> None:
    start = datetime.fromisoformat("2030-01-15T14:00")
    for name in ("localtime", "Factory", "posixrules", "right/UTC", "posix/UTC", "utc", ""):
        assert booked(start, start + 60 * MINUTE, name) == "timezone"


@given(
    name=st.sampled_from(ZONES),
    moment=st.datetimes(datetime(2024, 1, 1), datetime(2060, 1, 1)),  # noqa: DTZ001 - put into UTC below
)
@example(name="Europe/Berlin", moment=datetime(2026, 10, 25, 1, 30))  # noqa: DTZ001
@settings(max_examples=500, deadline=None)
def test_what_a_clock_shows_means_that_instant_or_the_earlier_of_two(name: str, moment: datetime) -> None:
    tz = ZoneInfo(name)
    at = moment.replace(microsecond=0, tzinfo=UTC)
    shown = at.astimezone(tz)
    found = instant(shown.date(), shown.time(), tz)
    assert found is not None
    assert found.astimezone(tz).replace(tzinfo=None) == shown.replace(tzinfo=None)
    assert found == at if shown.fold == 0 else found < at


minutes = st.integers(0, 24 * 60 - 1)


@given(
    name=st.sampled_from([name for name in ZONES if recent(name)]),
    which=st.integers(0, 1000),
    window=st.tuples(minutes, minutes).filter(lambda one: one[0] != one[1]),
    wish=st.tuples(minutes, minutes).filter(lambda one: one[0] < one[1]),
    day_after=st.integers(-1, 1),
)
@settings(max_examples=500, deadline=None)
def test_what_lies_within_hours_by_the_clock_lies_within_them_in_fact(
    name: str, which: int, window: tuple[int, int], wish: tuple[int, int], day_after: int
) -> None:
    tz = ZoneInfo(name)
    change = recent(name)[which % len(recent(name))]
    day = (change.astimezone(tz) + day_after * DAY).date()
    first, last = (datetime.combine(day, time(one // 60, one % 60)) for one in sorted(window))
    start, end = (datetime.combine(day, time(one // 60, one % 60)) for one in wish)
    found = booked(start, end, name)
    if isinstance(found, str):
        return
    said = Availability(name, (WeeklyHours(day.isoweekday(), Hours(first.time(), last.time())),))
    if first <= start and end <= last:
        assert said.covers(*found)
    if not (start < last and first < end):
        assert not said.covers(*found)


def test_hours_around_a_change_do_not_depend_on_how_far_one_looks() -> None:
    far = DayException(date(2000, 1, 1), False, Hours(time(0), time(0)))
    halves = (Hours(time(0), time(12)), Hours(time(12), time(0)), Hours(time(23, 30), time(0)))
    faults = []
    old = [("Pacific/Apia", 2011), ("Pacific/Kwajalein", 1969), ("America/St_Johns", 2010)]
    seen = [(name, change) for name in ZONES for change in recent(name)[:2]]
    for name, year in old:
        first = datetime(year, 1, 1, tzinfo=UTC)
        seen += [(name, change) for change in changes(name, first, first + 366 * DAY)]
    for name, change in seen:
        always = Availability(name, (), (far,))
        every_day = tuple(WeeklyHours(day, Hours(time(0), time(0))) for day in range(1, 8))
        for half in (*halves, None):
            said = Availability(
                name, tuple(WeeklyHours(day, half) for day in (1, 3, 5, 7)) if half else every_day
            )
            wide = said.ranges(change - 4 * DAY, change + 4 * DAY)
            for hours in (-25, -2, -1, 0, 1, 2, 25):
                since, until = (change + (hours * 60 + by) * MINUTE for by in (-29, 17))
                if said.covers(since, until) != any(a <= since and until <= b for a, b in wide):
                    faults.append(f"{name} {since} {half}")
                if not always.covers(since, until) or (half is None and not said.covers(since, until)):
                    faults.append(f"{name} {since}: not always")
    assert faults == []


@given(
    names=st.tuples(st.sampled_from(ZONES), st.sampled_from(ZONES)),
    moment=st.datetimes(datetime(2024, 1, 1), datetime(2060, 1, 1)),  # noqa: DTZ001 - put into UTC below
    length=st.integers(1, 24 * 60),
)
@example(names=("Europe/Berlin", "Asia/Jayapura"), moment=datetime(2026, 10, 25, 1, 30), length=60)  # noqa: DTZ001
@example(names=("America/New_York", "Pacific/Kiritimati"), moment=datetime(2031, 3, 11, 3, 30), length=60)  # noqa: DTZ001
@settings(max_examples=500, deadline=None)
def test_two_people_in_two_zones_read_the_same_instants(
    names: tuple[str, str], moment: datetime, length: int
) -> None:
    """Whatever either clock shows, with its fold, means the very instants that were booked."""
    starts_at = moment.replace(microsecond=0, second=0, tzinfo=UTC)
    booked_slot = slot_by_instants(
        starts_at, starts_at + length * MINUTE, names[0], limits=LIMITS, now=LONG_AGO
    )
    for name in names:
        shown, tz = booked_slot.wall_times(name), ZoneInfo(name)
        read = (
            datetime.combine(shown.day, shown.start, tz).astimezone(UTC),
            datetime.combine(shown.end_day, shown.end, tz).astimezone(UTC),
        )
        assert read == (booked_slot.starts_at, booked_slot.ends_at)
        if shown.start.fold == shown.end.fold == 0:
            # And said again by that clock, it is the same slot.
            again = slot_by_clock(
                shown.day,
                shown.start,
                since_midnight(shown.end),
                name,
                end_date=shown.end_day,
                limits=LIMITS,
                now=LONG_AGO,
            )
            assert (again.starts_at, again.ends_at) == read

"""What the tests book lies within one day of its zone, whenever they run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from rdchat.domain.booking import zone
from tests.support.spans import on_the_clock, zone_around

MIDNIGHT = datetime(2028, 2, 28, tzinfo=UTC)


@pytest.mark.parametrize("lasts", [timedelta(seconds=2), timedelta(hours=4), timedelta(hours=22)])
def test_at_every_minute_a_span_lies_within_one_day_of_a_zone_that_is_known(lasts: timedelta) -> None:
    for minute in range(2 * 24 * 60):
        starts_at = MIDNIGHT + timedelta(minutes=minute, seconds=59)
        tz = zone(zone_around(starts_at, starts_at + lasts))
        assert starts_at.astimezone(tz).date() == (starts_at + lasts).astimezone(tz).date(), starts_at


def test_a_wall_time_keeps_its_zone_and_an_instant_gets_one() -> None:
    hour = timedelta(hours=1)
    in_makassar = datetime(2028, 2, 29, 9, tzinfo=ZoneInfo("Asia/Makassar"))
    assert on_the_clock(in_makassar, in_makassar + hour) == {
        "date": "2028-02-29",
        "startTime": "09:00:00",
        "endTime": "10:00:00",
        "timezone": "Asia/Makassar",
    }
    late = MIDNIGHT + timedelta(hours=23, minutes=30)
    assert on_the_clock(late, late + hour) == {
        "date": "2028-02-29",
        "startTime": "11:30:00",
        "endTime": "12:30:00",
        "timezone": "Etc/GMT-12",
    }


def test_a_span_over_midnight_is_refused_before_the_service_is_asked() -> None:
    late = datetime(2028, 2, 29, 23, tzinfo=ZoneInfo("UTC"))
    with pytest.raises(AssertionError, match="on two days"):
        on_the_clock(late, late + timedelta(hours=1))

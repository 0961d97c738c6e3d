"""Spans of time as a booking writes them: one day, two times by the clock, and a zone."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo


def zone_around(starts_at: datetime, ends_at: datetime) -> str:
    """Name a zone in which the middle of the span is about noon, so that the whole span lies within one day.

    The span decides, not the time at which the test runs: asked again, the answer is the same.
    """
    ahead = 12 - (starts_at + (ends_at - starts_at) / 2).astimezone(UTC).hour
    # The names count the other way round: Etc/GMT-3 is three hours ahead of UTC.
    return f"Etc/GMT{-ahead:+d}"


def on_the_clock(starts_at: datetime, ends_at: datetime, zone: str | None = None) -> dict[str, str]:
    """Write a span as a request has it.

    In `zone`; without one, a wall time (`in_days`) keeps its own, and an instant gets one that suits.
    """
    zone = zone or getattr(starts_at.tzinfo, "key", None) or zone_around(starts_at, ends_at)
    start, end = (one.astimezone(ZoneInfo(zone)) for one in (starts_at, ends_at))
    assert start.date() == end.date(), (
        f"no booking: {start} and {end} are on two days; let the zone be chosen"
    )
    return {
        "date": f"{start:%Y-%m-%d}",
        "startTime": f"{start:%H:%M:%S}",
        "endTime": f"{end:%H:%M:%S}",
        "timezone": zone,
    }

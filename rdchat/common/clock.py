"""The wall clock. Only this module reads it; all other code is given an instant or a `Clock`."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

import orjson

_MILLISECOND = timedelta(milliseconds=1)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """A source of the time. Tests bring their own."""

    def now(self) -> datetime:
        """Return the present instant: aware, UTC, in whole milliseconds (clients see what is stored)."""
        ...

    def ms(self) -> float:
        """Return the present instant in milliseconds since 1970, with their fraction."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the present instant, cut to the millisecond."""
        return from_ms(time.time_ns() // 1_000_000)

    def ms(self) -> float:
        """Return the present instant in ms, to the microsecond or better."""
        return time.time_ns() / 1_000_000


def from_ms(milliseconds: int) -> datetime:
    """Convert milliseconds since 1970 into an instant."""
    return _EPOCH + milliseconds * _MILLISECOND


def to_ms(instant: datetime) -> int:
    """Convert an instant into milliseconds since 1970, rounded down."""
    return (instant - _EPOCH) // _MILLISECOND


def to_us(instant: datetime) -> int:
    """Convert an instant into microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


@lru_cache(maxsize=256)
def iso(instant: datetime) -> str:
    """Format an instant as the contract does: UTC, milliseconds, `Z`.

    Cached, because an instant is formatted several times: in an event, in a response. A list has hundreds of
    them: orjson takes a quarter of the time of `isoformat`.
    """
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    written = str(orjson.dumps(instant), "ascii")
    # In quotes, and without a fraction where there is none.
    return f"{written[1:24]}Z" if instant.microsecond else f"{written[1:20]}.000Z"

"""The wall clock. The only module that reads it; everything else is given an instant or a `Clock`."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Something that tells the time. Tests bring their own."""

    def now(self) -> datetime:
        """Tell the instant, aware, UTC, in whole milliseconds (what clients see is what is stored)."""
        ...

    def ms(self) -> float:
        """Tell the instant in milliseconds since 1970, with their fraction."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Tell the instant, cut to the millisecond."""
        return from_ms(time.time_ns() // 1_000_000)

    def ms(self) -> float:
        """Tell the instant to the microsecond or better."""
        return time.time_ns() / 1_000_000


def from_ms(milliseconds: int) -> datetime:
    """Turn milliseconds since 1970 into an instant."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def to_ms(instant: datetime) -> int:
    """Turn an instant into milliseconds since 1970, rounded down."""
    return (instant - _EPOCH) // _MILLISECOND


@lru_cache(maxsize=256)
def iso(instant: datetime) -> str:
    """Write an instant as the contract does: UTC, milliseconds, `Z`.

    Remembered, because an instant is written several times: in an event, in an answer.
    """
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    return f"{instant.isoformat(timespec='milliseconds')[:-6]}Z"

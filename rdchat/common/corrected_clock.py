"""A clock that follows another machine's: what replicas do at an instant, they then do together."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rdchat.common.clock import SystemClock, from_ms

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from rdchat.common.clock import Clock

#: A machine whose clock is off by more than this should be looked at.
TOLERATED_SECONDS: Final = 0.5
#: Time goes on by nine tenths of a second in one, at the slowest, until a clock that was ahead is right.
_SLEW: Final = 0.1


def _elapsed() -> float:
    # Of these, the first goes on while the machine is suspended; neither follows a wall clock that is set.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class CorrectedClock:
    """The time of a reference, as it was measured last; before that, the time of this machine.

    Between measurements time goes on as this machine counts seconds, also when its wall clock is set. It
    never goes back: what it was ahead is made up for slowly, what it was behind at once.
    """

    def __init__(self, base: Clock | None = None, elapsed: Callable[[], float] = _elapsed) -> None:
        self._base = base or SystemClock()
        self._elapsed = elapsed
        # By the reference it is `_origin_ms` and `raw_ms`; `_ahead_ms` is made up for since `_since_ms`.
        self._origin_ms = self._base.ms() - self.raw_ms()
        self._ahead_ms = 0.0
        self._since_ms = self.raw_ms()
        self._is_measured = False

    def raw_ms(self) -> float:
        """Tell the milliseconds since some instant: what a measurement is taken by."""
        return self._elapsed() * 1000

    def correct(self, origin_ms: float) -> None:
        """Take a measurement in: what has to be added to `raw_ms` to get the time of the reference."""
        raw = self.raw_ms()
        ahead = self._origin_ms + self._left_ms(raw) - origin_ms
        # No one has acted by the clock before it was right for the first time.
        self._ahead_ms = max(0.0, ahead) if self._is_measured else 0.0
        self._origin_ms, self._since_ms, self._is_measured = origin_ms, raw, True

    @property
    def machine_ahead_seconds(self) -> float:
        """How far this machine's wall clock is ahead of the reference; below zero when it is behind."""
        return (self._base.ms() - self._origin_ms - self.raw_ms()) / 1000

    @property
    def problem(self) -> str | None:
        """Say what is wrong with this machine's clock, or None."""
        return problem(self.machine_ahead_seconds)

    def ms(self) -> float:
        """Tell the instant in milliseconds since 1970, with their fraction."""
        raw = self.raw_ms()
        return self._origin_ms + raw + self._left_ms(raw)

    def now(self) -> datetime:
        """Tell the instant, cut to the millisecond."""
        return from_ms(int(self.ms()))

    def _left_ms(self, raw: float) -> float:
        if not self._ahead_ms:
            return 0.0
        left = self._ahead_ms - (raw - self._since_ms) * _SLEW
        if left <= 0:
            self._ahead_ms = left = 0.0
        return left


def problem(ahead_seconds: float) -> str | None:
    """Say what is wrong with a clock that is so far ahead of PostgreSQL's, or None."""
    if abs(ahead_seconds) <= TOLERATED_SECONDS:
        return None
    way = "ahead of" if ahead_seconds > 0 else "behind"
    return f"this machine's clock is {abs(ahead_seconds):.1f} s {way} PostgreSQL's"

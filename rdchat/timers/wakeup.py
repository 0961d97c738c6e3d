"""Waking up at an instant, to a tenth of a millisecond.

Event loops count in whole milliseconds: they wake up as much as one late, or early, which takes another
round. On Linux the kernel's timers do better, for a system call each. Elsewhere the loop's own timers have to
do. Both count from now: the instant is one of PostgreSQL's clock, and the wall clock here may be another.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

# From <time.h>. It goes on while the machine is suspended.
_CLOCK_BOOTTIME: Final = 7


class Wakeup(Protocol):
    """Calls back once at an instant; setting another one replaces it."""

    def set(self, at_ms: float, now_ms: float) -> None:
        """Ask to be woken at `at_ms` (ms since 1970), at once when that has passed."""
        ...

    def close(self) -> None:
        """Cancel it."""
        ...


def wakeup(callback: Callable[[], None]) -> Wakeup:
    """Make the most exact wake-up available, in a running event loop."""
    if sys.platform == "linux":
        return _KernelTimer(callback)
    return _LoopTimer(callback)


class _LoopTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None

    def set(self, at_ms: float, now_ms: float) -> None:
        self.close()
        self._handle = self._loop.call_later(max(0.0, at_ms - now_ms) / 1000, self._callback)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


class _Instant(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerValue(ctypes.Structure):
    _fields_ = (("interval", _Instant), ("value", _Instant))


class _KernelTimer:
    """A `timerfd`. Python has it as `os.timerfd_create` from 3.13 on; before that, libc is called."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._file = self._libc.timerfd_create(_CLOCK_BOOTTIME, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._value = _TimerValue()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._file, self._expired)

    def set(self, at_ms: float, now_ms: float) -> None:
        # A time of zero would switch the timer off.
        seconds, nanoseconds = divmod(max(1, round((at_ms - now_ms) * 1_000_000)), 1_000_000_000)
        self._value.value.seconds, self._value.value.nanoseconds = seconds, nanoseconds
        self._libc.timerfd_settime(self._file, 0, ctypes.byref(self._value), None)

    def close(self) -> None:
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self._file = -1

    def _expired(self) -> None:
        try:
            os.read(self._file, 8)
        except BlockingIOError:
            # It was set again between its expiry and now.
            return
        self._callback()

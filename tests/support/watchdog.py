"""What ends a worker that no longer ends by itself, so that the others' tests are reported.

A test that takes too long is stopped by pytest-timeout: once. What it leaves behind, a fixture that never
returns above all, would hold up the whole run without a word of which test it was.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import threading
import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import pytest

#: How much longer than its time limit a test may be at work, in seconds: its fixtures end in it.
GRACE = 60.0
_LOOKS_EVERY_SECONDS = 1.0


class Watchdog:
    """A thread that ends this process when a test is not done in time, with all that it has started."""

    def __init__(self, grace: float = GRACE) -> None:
        self._grace = grace
        self._watched: tuple[str, float] | None = None
        self._output = 2

    def start(self) -> None:
        """Begin to watch. Nothing may have been put in the place of standard error yet."""
        self._output = os.dup(2)
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def expect_end(self, name: str, limit: float) -> None:
        """Begin to watch a test that has `limit` seconds."""
        self._watched = (name, time.monotonic() + limit + self._grace)

    def ended(self) -> None:
        self._watched = None

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOKS_EVERY_SECONDS)
            watched = self._watched
            if watched and time.monotonic() > watched[1]:
                self._end(watched[0])

    def _end(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.write(self._output, f"\n{name} does not end. This is where it stands:\n".encode())
            faulthandler.dump_traceback(self._output)
        # Children would keep open what the run waits for.
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
        os._exit(1)


def time_limit(item: pytest.Item) -> float:
    """Return how many seconds pytest-timeout gives a test."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0] if marker else item.config.getini("timeout") or 0)

"""A value that costs something to read: read by one for all who ask meanwhile, and kept for a while."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from rdchat.common.background import cancel
from rdchat.common.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

#: What took a second to read is kept for so many: reading it again and again takes no more than a quarter
#: of a percent of the time, however long it takes and however many ask.
_TIMES_KEPT: Final = 400
#: No one waits longer. A question to a server that hangs goes on: cancelled, it would take its time as well.
_PATIENCE_SECONDS: Final = 3.0


class Kept(Generic[T]):
    """Keeps what `read` returns or raises for `seconds`, and what took long to read for longer.

    `what` names who is asked, for the error of one who does not answer. `elapsed` tells the seconds since
    some instant.
    """

    def __init__(
        self,
        read: Callable[[], Coroutine[None, None, T]],
        *,
        what: str,
        seconds: float,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._elapsed = elapsed
        self._what = what
        self._seconds = seconds
        self._reading: asyncio.Task[T] | None = None
        self._fresh_until = 0.0

    @property
    def is_fresh(self) -> bool:
        """Whether the value would not be read again."""
        return self._reading is not None and (not self._reading.done() or self._elapsed() < self._fresh_until)

    async def get(self) -> T:
        """Return the value. Raise what reading it raised, UnavailableError when that takes too long."""
        if self._reading is None or not self.is_fresh:
            self._reading = asyncio.create_task(self._measured(), name=f"reading {self._what}")
            # An error that no one reads would be complained of when it is collected.
            self._reading.add_done_callback(_look_at_error)
        reading = self._reading
        await asyncio.wait({reading}, timeout=_PATIENCE_SECONDS)
        if not reading.done():
            raise UnavailableError(self._what)
        return reading.result()

    async def close(self) -> None:
        """Stop reading."""
        await cancel(self._reading)

    async def _measured(self) -> T:
        began = self._elapsed()
        try:
            value = await self._read()
        except Exception:
            self._fresh_until = self._elapsed() + self._seconds
            raise
        now = self._elapsed()
        self._fresh_until = now + max(self._seconds, (now - began) * _TIMES_KEPT)
        return value


def _look_at_error(reading: asyncio.Task[T]) -> None:
    if not reading.cancelled():
        reading.exception()

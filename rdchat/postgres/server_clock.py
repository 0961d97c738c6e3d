"""PostgreSQL's clock, which all replicas work by."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from rdchat.common.background import cancel, keep_running
from rdchat.common.errors import UnavailableError
from rdchat.postgres.pool import acquire

if TYPE_CHECKING:
    from collections.abc import Callable

    from rdchat.common.corrected_clock import CorrectedClock
    from rdchat.postgres.pool import Pool

_EVERY_SECONDS: Final = 15.0
_SAMPLES: Final = 7
_NOW: Final = "SELECT extract(epoch FROM clock_timestamp())::float8 * 1000"


async def measure(pool: Pool, raw_ms: Callable[[], float]) -> float:
    """Say how many milliseconds PostgreSQL's clock is ahead of `raw_ms`. Raise UnavailableError.

    The quickest of several answers counts: its instant lies between question and answer, in the middle of a
    stretch that is as short as it gets.
    """
    samples: list[tuple[float, float]] = []
    async with acquire(pool) as connection:
        for _ in range(_SAMPLES):
            asked = raw_ms()
            instant: float = await connection.fetchval(_NOW)
            answered = raw_ms()
            samples.append((answered - asked, instant - (asked + answered) / 2))
    return min(samples)[1]


class ClockKeeper:
    """Keeps a clock on PostgreSQL's time."""

    def __init__(self, pool: Pool, clock: CorrectedClock) -> None:
        self._pool = pool
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Set the clock, and begin to keep it. Raise UnavailableError."""
        await self.look()
        self._task = keep_running(self._run, "clock")

    async def close(self) -> None:
        """Stop."""
        await cancel(self._task)

    async def look(self) -> None:
        """Measure once. Raise UnavailableError."""
        self._clock.correct(await measure(self._pool, self._clock.raw_ms))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            with contextlib.suppress(UnavailableError):
                await self.look()

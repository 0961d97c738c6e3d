"""The timer monitor: whether automations and reminders that are due are run, seen from outside the worker.

PostgreSQL is asked, since it knows what should have happened; a worker that hangs would not report it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.common.errors import UnavailableError
from rdchat.postgres import scheduled_jobs
from rdchat.redis.connection import LOST

if TYPE_CHECKING:
    from rdchat.common.clock import Clock
    from rdchat.postgres.pool import Pool
    from rdchat.redis.delay_queue import DelayQueue

log = structlog.get_logger(__name__)

_EVERY_SECONDS: Final = 5.0
#: Later than this no ordinary burst, lost lease or failover explains.
_TOO_LATE: Final = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class TimerStatus:
    """The result of the last look.

    `overdue`: automations and reminders that no worker has tried to run although they are far too late (1,000
    at most), and for how many seconds the oldest of them has been due. `waiting`, `leased`: jobs in the delay
    queue, None while Redis is away.
    """

    overdue: int = 0
    oldest_seconds: float = 0.0
    waiting: int | None = None
    leased: int | None = None

    @property
    def problem(self) -> str | None:
        """Return what is wrong, or None."""
        if not self.overdue:
            return None
        count = f"{self.overdue} or more" if self.overdue >= scheduled_jobs.OVERDUE_COUNTED else self.overdue
        return f"overdue: {count} timers, the oldest for {self.oldest_seconds:.0f} s"


class TimerMonitor:
    """Looks every few seconds. `status` is the last result."""

    def __init__(self, pool: Pool, queue: DelayQueue, clock: Clock) -> None:
        self._pool = pool
        self._queue = queue
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self.status = TimerStatus()

    def start(self) -> None:
        """Start looking."""
        self._task = keep_running(self._run, "timer monitor")

    async def close(self) -> None:
        """Stop."""
        await cancel(self._task)

    async def look(self) -> None:
        """Look once. Raise UnavailableError when PostgreSQL is away."""
        now = self._clock.now()
        overdue, oldest = await scheduled_jobs.count_overdue(self._pool, now - _TOO_LATE)
        waiting = leased = None
        try:
            depths = await self._queue.depth()
        except LOST as error:
            log.debug("the delay queue cannot be looked at", error=str(error))
        else:
            waiting = sum(depth.waiting for depth in depths)
            leased = sum(depth.leased for depth in depths)
        seconds = (now - oldest).total_seconds() if oldest is not None else 0.0
        before, self.status = self.status, TimerStatus(overdue, seconds, waiting, leased)
        if self.status.problem and not before.problem:
            log.error("timers are late", what=self.status.problem)

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except UnavailableError as error:
                # /readyz reports that itself.
                log.debug("the timers cannot be watched", error=str(error))
            await asyncio.sleep(_EVERY_SECONDS)

"""The reconciler: fills the delay queue from PostgreSQL, so that nothing depends on Redis' memory.

It runs at start, after Redis was away, and every half minute. While Redis cannot be asked at all, it puts
what is overdue to the engine itself: late by its interval, but not lost.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from rdchat.background import cancel, keep_running
from rdchat.database import automations
from rdchat.errors import UnavailableError
from rdchat.hot.connection import LOST
from statemachine import RunAutomation

if TYPE_CHECKING:
    from rdchat.clock import Clock
    from rdchat.database.pool import Pool
    from rdchat.hot.delay_queue import DelayQueue, Job
    from rdchat.timers.worker import Submits

log = structlog.get_logger(__name__)

_EVERY_SECONDS: Final = 30.0
#: While a store is away, it is looked for this often.
_AWAY_SECONDS: Final = 1.0
#: The queue holds what is due within this time; what lies farther ahead is added as it comes nearer.
HORIZON: Final = timedelta(hours=24)
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Reconciler:
    """Keeps the queue a copy of what PostgreSQL has scheduled. `reconciled` counts the complete rounds."""

    def __init__(self, pool: Pool, queue: DelayQueue, engine: Submits, clock: Clock) -> None:
        self._pool = pool
        self._queue = queue
        self._engine = engine
        self._clock = clock
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.reconciled = 0

    def start(self) -> None:
        """Begin, with a round at once."""
        self._task = keep_running(self._run, "reconciler")

    async def close(self) -> None:
        """Stop."""
        await cancel(self._task)

    def hint(self) -> None:
        """Ask for a round now."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            pause = _EVERY_SECONDS
            self._wake.clear()
            try:
                added = await self.run_once()
                if added:
                    log.info("the delay queue was missing automations", added=added)
            except UnavailableError:
                pause = _AWAY_SECONDS
            except LOST:
                await self._fire_overdue()
                # Whoever finds Redis away asks for a round at once; once a second is enough.
                await asyncio.sleep(_AWAY_SECONDS)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def run_once(self) -> int:
        """Add what the queue is missing, earliest first. Returns how many automations that were."""
        added = 0
        until = self._clock.now() + HORIZON
        async for page in automations.waiting(self._pool, since=_BEGINNING, until=until):
            added += await self._queue.add_missing(page)
        await self._queue.mark_filled()
        self.reconciled += 1
        return added

    async def _fire_overdue(self) -> None:
        """Run what is due without the queue."""
        answers = []
        with contextlib.suppress(UnavailableError):
            async for page in automations.waiting(self._pool, since=_BEGINNING, until=self._clock.now()):
                answers += [
                    self._engine.post(job.session_id, RunAutomation(job.kind, job.schedule_version))
                    for job, _ in page
                ]
        results = await asyncio.gather(*answers, return_exceptions=True)
        if results:
            log.warning("Redis is away; automations were run from PostgreSQL", automations=len(results))


def within_horizon(jobs: list[tuple[Job, datetime]], now: datetime) -> list[tuple[Job, datetime]]:
    """Keep the jobs that belong into the queue by now."""
    return [(job, due_at) for job, due_at in jobs if due_at <= now + HORIZON]

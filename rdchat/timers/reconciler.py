"""The reconciler: fills the delay queue from PostgreSQL, so that nothing depends on Redis' memory.

The queue holds what is due within a day. A mark in it says up to which instant it is filled: a round, every
half minute, adds what has come within the day since, and checks the near future again, where a booking may
have failed to reach Redis. So a round costs as much with a million pending sessions as with a thousand. When
the mark is gone, Redis was emptied, and everything is added again, earliest first.
What is overdue goes to the engine at once, also while Redis cannot be asked at all: late, but not lost.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.common.clock import from_ms, to_ms
from rdchat.common.errors import UnavailableError
from rdchat.postgres import scheduled_jobs
from rdchat.redis.connection import LOST
from rdchat.redis.delay_queue import Job
from statemachine import AutomationKind, Refusal, RefusalCode, RunAutomation

if TYPE_CHECKING:
    from datetime import datetime

    from rdchat.common.clock import Clock
    from rdchat.engine.result import CommandResult
    from rdchat.postgres.pool import Pool
    from rdchat.redis.delay_queue import DelayQueue
    from rdchat.timers.worker import Reminds, Submits

log = structlog.get_logger(__name__)

_EVERY_SECONDS: Final = 30.0
#: While a store is away, it is tried this often.
_AWAY_SECONDS: Final = 1.0
#: The queue holds what is due within this time; what lies farther ahead is added as it comes nearer.
HORIZON: Final = timedelta(hours=24)
#: What is due within this time is checked in every round, several times before it is due.
_NEAR: Final = timedelta(minutes=3)
#: Reminders that are run together.
_REMINDED_TOGETHER: Final = 250
#: Later than this, a job is not merely about to be fired.
_OVERDUE: Final = timedelta(seconds=1)


class Reconciler:
    """Keeps the queue a copy of what PostgreSQL has scheduled."""

    def __init__(
        self, pool: Pool, queue: DelayQueue, engine: Submits, reminders: Reminds, clock: Clock
    ) -> None:
        self._pool = pool
        self._queue = queue
        self._engine = engine
        self._reminders = reminders
        self._clock = clock
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start, with a round at once."""
        self._task = keep_running(self._run, "reconciler")

    async def close(self) -> None:
        """Stop."""
        await cancel(self._task)

    def wake(self) -> None:
        """Ask for a round now."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            pause = _EVERY_SECONDS
            self._wake.clear()
            try:
                added = await self.run_once()
                if added:
                    log.info("the delay queue was missing jobs", added=added)
            except UnavailableError:
                pause = _AWAY_SECONDS
            except LOST:
                await self._run_overdue()
                # Each task that finds Redis away asks for a round; once a second is enough.
                await asyncio.sleep(_AWAY_SECONDS)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def run_once(self) -> int:
        """Add what the queue is missing, earliest first. Return the number of jobs added.

        What is overdue goes to the engine at once: it may be leased by a worker that has died, and would wait
        for its lease to run out. If that worker lives after all, the later of the two changes nothing.
        """
        now = self._clock.now()
        near = now + _NEAR
        mark = await self._queue.filled_until()
        if mark is None:
            # Before the first page: if Redis is emptied again on the way, the mark is gone again.
            mark = to_ms(now)
            await self._queue.mark_filled(mark, create=True)
        added = await self._add(scheduled_jobs.BEGINNING, near)
        filled = max(near, from_ms(mark))
        if filled < now + HORIZON:
            added += await self._add(filled, now + HORIZON)
            await self._queue.mark_filled(to_ms(now + HORIZON))
        return added

    async def _add(self, after: datetime, until: datetime) -> int:
        """Add a stretch of time, page by page, and note how far it got: up to there it is filled."""
        added = 0
        overdue_ms = to_ms(self._clock.now() - _OVERDUE)
        async for page in scheduled_jobs.list_scheduled(self._pool, after=after, until=until):
            added += await self._queue.add_missing(page)
            settled = await self._run_now([member for member, due_ms in page if due_ms < overdue_ms])
            if settled:
                await self._queue.remove(settled)
            await self._queue.mark_filled(page[-1][1] - 1)
        return added

    async def _run_overdue(self) -> None:
        """Run what is due without the queue."""
        with contextlib.suppress(UnavailableError):
            async for page in scheduled_jobs.list_scheduled(
                self._pool, after=scheduled_jobs.BEGINNING, until=self._clock.now()
            ):
                done = await self._run_now([member for member, _ in page])
                log.warning("Redis is away; timers were run from PostgreSQL", jobs=len(done))

    async def _run_now(self, members: list[bytes]) -> list[Job]:
        """Run jobs and return those that are settled: automations first. The worker retries the others."""
        jobs: list[Job] = []
        answers: list[asyncio.Future[CommandResult | Refusal]] = []
        to_remind: list[Job] = []
        for job in map(Job.from_member, members):
            if isinstance(job.kind, AutomationKind):
                jobs.append(job)
                answers.append(self._engine.post(job.subject_id, RunAutomation(job.kind, job.number)))
            else:
                to_remind.append(job)
        results: list[CommandResult | Refusal | BaseException | None] = [
            *await asyncio.gather(*answers, return_exceptions=True)
        ]
        for start in range(0, len(to_remind), _REMINDED_TOGETHER):
            results += await self._reminders.remind(to_remind[start : start + _REMINDED_TOGETHER])
        return [
            job
            for job, result in zip([*jobs, *to_remind], results, strict=True)
            if not isinstance(result, BaseException) and not _is_early(result)
        ]


def _is_early(result: CommandResult | Refusal | None) -> bool:
    return isinstance(result, Refusal) and result.code is RefusalCode.NOT_DUE

"""Renewing the leases of what a living worker holds: they can be short, and a dead worker is noticed soon.

It is looked several times while a lease lasts, and what nears its end is renewed in one call. A job that is
fired when it is due is settled long before that, so in ordinary times there is nothing to renew. What has
been settled, or is due at another instant now, has no lease any more, and gets none by this.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Final

import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.redis.connection import LOST
from rdchat.redis.scripts import BEYOND_DUE_MS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rdchat.redis.delay_queue import Claim, DelayQueue, Job

log = structlog.get_logger(__name__)

#: It is looked so often while one lease lasts.
_LOOKS: Final = 8
#: A lease is renewed at the first look at which less of it is left.
_LEFT: Final = 0.45
#: What takes longer than this is stuck: its lease runs out, and another worker may try.
_LONGEST_SECONDS: Final = 12.0


class LeaseRenewal:
    """Renews the leases of jobs from `hold` to `drop`. Each lasts `lease_ms`."""

    def __init__(self, queue: DelayQueue, *, lease_ms: int) -> None:
        self._queue = queue
        self._lease_ms = lease_ms
        self._lease = lease_ms / 1000
        self._beyond_due = min(lease_ms, BEYOND_DUE_MS) / 1000
        self._every = self._lease / _LOOKS
        # By job the look at which its lease is renewed, and when it was claimed (monotonic seconds).
        self._held: dict[Job, tuple[int, float]] = {}
        # By look those that were planned for it. What `_held` does not confirm has been dropped.
        self._planned: defaultdict[int, list[Job]] = defaultdict(list)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start renewing."""
        self._task = keep_running(self._run, "timer leases")

    async def close(self) -> None:
        """Stop renewing."""
        await cancel(self._task)

    def hold(self, claims: Iterable[Claim], *, asked_at: float, asked_ms: float) -> None:
        """Renew the leases of what was claimed, until it is dropped.

        `asked_at` and `asked_ms` are the instant at which the queue was asked, in monotonic seconds and in ms
        since 1970: the leases last as long from then at least.
        """
        for claim in claims:
            due_at = asked_at + (claim.due_ms - asked_ms) / 1000
            end = max(asked_at + self._lease, due_at + self._beyond_due)
            self._plan(claim.job, self._look_before(end), asked_at)

    def drop(self, jobs: Iterable[Job]) -> None:
        """Renew them no more."""
        for job in jobs:
            self._held.pop(job, None)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self._renew(time.monotonic())

    async def _renew(self, now: float) -> None:
        look = int(now / self._every)
        jobs = [
            job
            for number in sorted(number for number in self._planned if number <= look)
            for job in self._planned.pop(number)
            if job in self._held and self._held[job][0] == number
        ]
        stuck = [job for job in jobs if self._held[job][1] <= now - _LONGEST_SECONDS]
        if stuck:
            log.warning("jobs are held for long; their leases are left to run out", jobs=len(stuck))
            self.drop(stuck)
            jobs = [job for job in jobs if job in self._held]
        try:
            await self._queue.renew(jobs, self._lease_ms)
        except LOST as error:
            # If one runs out until the next look, the commit decides between two workers.
            log.debug("leases cannot be renewed", error=str(error))
            again = look
        else:
            again = self._look_before(now + self._lease)
        for job in jobs:
            # Unless it was settled meanwhile.
            if job in self._held:
                self._plan(job, again, self._held[job][1])

    def _plan(self, job: Job, look: int, claimed_at: float) -> None:
        self._held[job] = (look, claimed_at)
        self._planned[look].append(job)

    def _look_before(self, end: float) -> int:
        return math.ceil((end - _LEFT * self._lease) / self._every)

"""The timer worker: claims jobs a little ahead of time, and fires each at its instant.

It claims whenever one of these comes: an alarm or another change of the queue, the head that it knows coming
near, a lease running out, the sweep once a second. Claimed jobs wait in a heap and are fired by the clock,
never before; meanwhile the engine reads their sessions. Claiming, firing and settling are loops of their own,
so that a slow Redis does not delay jobs already claimed. Beside them `leases` renews what takes long.

Automations go to the engine, reminders to the loops in `reminding`. (Longer than other modules: the loops
hand the same jobs to each other, and are read together.)
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import random
import time
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from rdchat.common.background import keep_running
from rdchat.redis.connection import LOST
from rdchat.redis.delay_queue import SHARDS
from rdchat.timers.failures import Failures
from rdchat.timers.leases import LeaseRenewal
from rdchat.timers.reminding import ReminderRunner
from rdchat.timers.wakeup import wakeup
from statemachine import AutomationKind, RunAutomation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.common.telemetry import Metrics
    from rdchat.engine.result import CommandResult
    from rdchat.postgres.pool import Pool
    from rdchat.redis.alarms import Alarms
    from rdchat.redis.delay_queue import Claim, DelayQueue, Job
    from rdchat.timers.reminding import Reminds
    from statemachine import Command, Refusal

log = structlog.get_logger(__name__)

_SWEEP_SECONDS: Final = 1.0
#: Longer than the sweep, so that in ordinary times every job is in the heap before it is due.
_LOOK_AHEAD_MS: Final = 1_500
#: When a worker dies, what it held is claimed by another after this. Longer than the look-ahead.
_LEASE_MS: Final = 2_000
#: From each shard at a time: small enough for several workers to share what is due at one instant.
_CLAIM_LIMIT: Final = 128
_IN_FLIGHT: Final = 16_384
_FIRED_TOGETHER: Final = 256
_HELD_TOGETHER: Final = 64
_CLAIM_PAUSE_SECONDS: Final = 0.005
#: What can be claimed within this time is claimed together: it is due much later.
_GATHER_SECONDS: Final = 0.01
_SETTLE_PAUSE_SECONDS: Final = 0.02
#: While Redis is away, it is tried this often.
_REDIS_AWAY_SECONDS: Final = 0.2


class Submits(Protocol):
    """The engine, as far as the worker knows it."""

    def post(self, session_id: UUID, command: Command) -> asyncio.Future[CommandResult | Refusal]:
        """Submit a command to a session."""
        ...

    def prefetch(self, session_ids: Iterable[UUID]) -> None:
        """Read sessions ahead that will get a command soon."""
        ...


class TimerWorker:
    """Fires the automations and reminders that one replica claims.

    `woken` is set when the queue may have changed; `on_doubt` is called when the queue, or a shard of it,
    cannot be asked or has been emptied.
    """

    def __init__(
        self,
        *,
        queue: DelayQueue,
        alarms: Alarms,
        pool: Pool,
        engine: Submits,
        reminders: Reminds,
        clock: Clock,
        metrics: Metrics,
        woken: asyncio.Event,
        on_doubt: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._alarms = alarms
        self._engine = engine
        self._clock = clock
        self._failures = Failures(pool, clock, metrics)
        self._woken = woken
        self._on_doubt = on_doubt
        self._heap_changed = asyncio.Event()
        # Due instant, order of arrival, job: tuples, because heaps compare a lot.
        self._heap: list[tuple[int, int, Job]] = []
        self._held: set[Job] = set()
        self._leases = LeaseRenewal(queue, lease_ms=_LEASE_MS)
        self._heads: dict[int, int] = {}
        # When the first lease runs out, of any worker (monotonic seconds).
        self._expiry: float | None = None
        self._firing: set[asyncio.Task[None]] = set()
        self._reminders = ReminderRunner(reminders, first=self._firing, judge=self._judge)
        self._done: list[Job] = []
        self._later: list[tuple[Job, int]] = []
        self._settling = asyncio.Event()
        self._order = 0
        self._full = False
        self._loops: list[asyncio.Task[None]] = []
        self._settlers: list[asyncio.Task[None]] = []
        self._closing = False

    def start(self) -> None:
        """Start working."""
        self._loops = [
            keep_running(self._claim_loop, "timer claims"),
            keep_running(self._fire_loop, "timer firing"),
        ]
        self._leases.start()
        self._reminders.start()
        self._settlers = [keep_running(self._settle_loop, "timer settling")]

    async def close(self) -> None:
        """Finish the jobs being fired, and release those that were claimed but are not due."""
        self._closing = True
        self._woken.set()
        self._heap_changed.set()
        await asyncio.gather(*self._loops)
        # At once, and not when all is done that was fired: it may be due meanwhile.
        self._later += [(job, due_ms) for due_ms, _, job in self._heap]
        self._heap.clear()
        await self._settle()
        await asyncio.gather(*self._firing)
        now_ms = round(self._clock.ms())
        self._later += [(job, now_ms) for job in await self._reminders.close()]
        self._settling.set()
        await asyncio.gather(*self._settlers)
        await self._settle()
        await self._leases.close()

    @property
    def held(self) -> int:
        """How many jobs this worker has claimed and not yet settled."""
        return len(self._held)

    @property
    def overdue_ms(self) -> float:
        """How long the first job that this worker holds has been due without being fired; 0 when none is."""
        return max(0.0, self._clock.ms() - self._heap[0][0]) if self._heap else 0.0

    # ---- claiming -----------------------------------------------------------------------------------------

    async def _claim_loop(self) -> None:
        """Claim at every wake-up, when a head comes near or a lease runs out, and once a second in any case.

        Separate from firing: while Redis hangs, jobs already claimed fire on time.
        """
        while not self._closing:
            self._woken.clear()
            await self._claim()
            await _wait(self._woken, self._seconds_to_next_claim())
            # A thousand bookings a second wake a thousand times, and one look at the queue answers many.
            await asyncio.sleep(0 if self._closing else _CLAIM_PAUSE_SECONDS)

    def _seconds_to_next_claim(self) -> float:
        seconds = _SWEEP_SECONDS
        if self._full:
            return seconds
        if self._heads:
            claimable = (min(self._heads.values()) - _LOOK_AHEAD_MS - self._clock.ms()) / 1000
            seconds = min(seconds, max(claimable, _GATHER_SECONDS))
        # At once, if a worker that has died held more than one claim takes.
        if self._expiry is not None:
            seconds = min(seconds, max(self._expiry - time.monotonic(), 0.001))
        return seconds

    async def _claim(self) -> None:
        """Claim what is due within the look-ahead, until nothing is left or this worker holds enough."""
        horizon = self._clock.ms() + _LOOK_AHEAD_MS
        await self._alarms.wake([shard for shard, head in self._heads.items() if head <= horizon])
        more = True
        while more and len(self._held) < _IN_FLIGHT and not self._closing:
            # In random order, so that no worker is always first at a shard.
            shards = random.sample(range(SHARDS), SHARDS)
            asked_at, asked_ms = time.monotonic(), self._clock.ms()
            try:
                claimed = await self._queue.claim(
                    shards, look_ahead_ms=_LOOK_AHEAD_MS, lease_ms=_LEASE_MS, limit=_CLAIM_LIMIT
                )
            except LOST as error:
                log.debug("the delay queue is away", error=str(error))
                self._heads, self._expiry = {}, None
                self._on_doubt()
                await asyncio.sleep(_REDIS_AWAY_SECONDS)
                return
            if claimed.away or not claimed.complete:
                self._on_doubt()
            self._heads = claimed.heads
            expiry_ms = claimed.expiry_ms
            self._expiry = None if expiry_ms is None else time.monotonic() + expiry_ms / 1000
            for start in range(0, len(claimed.claims), _HELD_TOGETHER):
                self._hold(claimed.claims[start : start + _HELD_TOGETHER], asked_at, asked_ms)
                # What is due meanwhile does not wait for all of them.
                await asyncio.sleep(0)
            more = any(head <= horizon for head in claimed.heads.values())
        self._full = more
        await self._alarms.schedule({shard: head - _LOOK_AHEAD_MS for shard, head in self._heads.items()})

    def _hold(self, claims: list[Claim], asked_at: float, asked_ms: float) -> None:
        new = [claim for claim in claims if claim.job not in self._held]
        for claim in new:
            self._order += 1
            heapq.heappush(self._heap, (claim.due_ms, self._order, claim.job))
            self._held.add(claim.job)
        if new:
            self._leases.hold(new, asked_at=asked_at, asked_ms=asked_ms)
            self._engine.prefetch(
                [claim.job.subject_id for claim in new if isinstance(claim.job.kind, AutomationKind)]
            )
            self._heap_changed.set()

    # ---- firing -------------------------------------------------------------------------------------------

    async def _fire_loop(self) -> None:
        """Fire due jobs, and sleep until the next one is due."""
        alarm = wakeup(self._heap_changed.set)
        try:
            while not self._closing:
                self._heap_changed.clear()
                now_ms = self._clock.ms()
                if self._fire_due(now_ms):
                    # There may be thousands at one instant: other tasks run in between.
                    await asyncio.sleep(0)
                    continue
                if self._heap:
                    alarm.set(self._heap[0][0], now_ms)
                await self._heap_changed.wait()
        finally:
            alarm.close()

    def _fire_due(self, now_ms: float) -> bool:
        """Fire some of the jobs due at `now_ms`. Return whether there were any."""
        jobs: list[Job] = []
        answers: list[asyncio.Future[CommandResult | Refusal]] = []
        fired = 0
        while self._heap and self._heap[0][0] <= now_ms and fired < _FIRED_TOGETHER:
            # Also when its lease has run out, as after a pause of this process: if another worker has run it,
            # the commit finds nothing left to do, and if none has, waiting would only make it later.
            job = heapq.heappop(self._heap)[2]
            fired += 1
            if isinstance(job.kind, AutomationKind):
                jobs.append(job)
                answers.append(self._engine.post(job.subject_id, RunAutomation(job.kind, job.number)))
            else:
                self._reminders.add(job)
        if jobs:
            task = asyncio.create_task(self._fired(jobs, answers), name=f"fire {len(jobs)}")
            self._firing.add(task)
            task.add_done_callback(self._firing.discard)
        return fired > 0

    async def _fired(self, jobs: list[Job], answers: list[asyncio.Future[CommandResult | Refusal]]) -> None:
        """Wait for what fired automations come to."""
        await self._judge(jobs, await asyncio.gather(*answers, return_exceptions=True))

    async def _judge(
        self, jobs: list[Job], results: Sequence[CommandResult | Refusal | BaseException | None]
    ) -> None:
        """Sort fired jobs by their results: settled, or to be tried again."""
        for job, result in zip(jobs, results, strict=True):
            delay_ms = await self._failures.judge(job, result)
            if delay_ms is None:
                self._done.append(job)
            else:
                self._later.append((job, round(self._clock.ms()) + delay_ms))
        self._settling.set()

    # ---- settling -----------------------------------------------------------------------------------------

    async def _settle_loop(self) -> None:
        """Settle jobs in the queue, many at once, since only the lease waits for it."""
        while not self._closing:
            await self._settling.wait()
            self._settling.clear()
            await self._settle()
            await asyncio.sleep(_SETTLE_PAUSE_SECONDS)

    async def _settle(self) -> None:
        done, self._done = self._done, []
        later, self._later = self._later, []
        # Before the queue gets them back: a job claimed from now on must be fired.
        for jobs in (done, [job for job, _ in later]):
            self._held.difference_update(jobs)
            self._leases.drop(jobs)
        try:
            await self._queue.finish(done)
            await self._queue.postpone(later)
        except LOST:
            log.debug("leases are left to run out", jobs=len(done) + len(later))
        if self._full:
            self._full = False
            self._woken.set()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()

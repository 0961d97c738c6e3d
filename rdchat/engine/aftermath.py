"""What follows a commit: events to the publisher, snapshots to Redis, timers out of the queue.

All of it may be lost without harm: the outbox, PostgreSQL and the reconciler make up for it. So none of it is
waited for by whoever sent the command.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import structlog

from rdchat.background import cancel, keep_running
from rdchat.hot.connection import LOST
from rdchat.hot.delay_queue import Job
from statemachine import Status

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from rdchat.engine.change import Change
    from rdchat.hot.delay_queue import DelayQueue
    from rdchat.hot.snapshots import Snapshots
    from rdchat.realtime.events import Parcel
    from rdchat.telemetry import Metrics
    from statemachine import Session

log = structlog.get_logger(__name__)


class TakesParcels(Protocol):
    """The publisher, as far as the aftermath knows it."""

    def hand_over(self, parcels: Iterable[Parcel]) -> None:
        """Take committed parcels over for publishing."""
        ...


class Aftermath:
    """Performs effects in the background. Of a session that changes often, only the latest is written."""

    def __init__(
        self, publisher: TakesParcels, snapshots: Snapshots, queue: DelayQueue, metrics: Metrics
    ) -> None:
        self._publisher = publisher
        self._snapshots = snapshots
        self._queue = queue
        self._metrics = metrics
        self._dirty: dict[UUID, Session] = {}
        self._disarmed: list[Job] = []
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to work."""
        self._task = keep_running(self._run, "aftermath")

    async def close(self) -> None:
        """Write what waits, and stop."""
        await cancel(self._task)
        await self._flush()

    def committed(self, changes: list[Change]) -> None:
        """Take over the changes of one commit."""
        self._metrics.commits.inc()
        self._metrics.committed_sessions.inc(len(changes))
        self._publisher.hand_over(change.parcel for change in changes if change.parcel is not None)
        for change in changes:
            if change.before.status is not Status.PENDING:
                # Before the chat opens nobody but its timers comes by, and those read ahead.
                self._dirty[change.after.id] = change.after
            for one in change.automations:
                self._metrics.automation(one.kind.value, one.status.value, one.lateness_ms)
            if change.disarms:
                self._disarmed += [
                    Job(change.after.id, kind, change.after.schedule_version)
                    for kind in change.after.automations
                ]
        self._work.set()

    def fenced(self, sessions: int) -> None:
        """Count changes that lost to the version fence."""
        self._metrics.fenced.inc(sessions)

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            await self._flush()

    async def _flush(self) -> None:
        sessions, self._dirty = self._dirty, {}
        jobs, self._disarmed = self._disarmed, []
        if sessions:
            await self._snapshots.save(sessions.values())
        if jobs:
            try:
                await self._queue.remove(jobs)
            except LOST:
                # They will be claimed, and found settled.
                log.debug("timers are left to find their session over", jobs=len(jobs))

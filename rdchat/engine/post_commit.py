"""What follows a commit: events to the publisher, snapshots to Redis, timers out of the queue.

All of it may be lost without harm: the outbox, PostgreSQL and the reconciler make up for it. So none of it is
waited for by the sender of the command.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.redis.connection import LOST
from rdchat.redis.delay_queue import Job
from statemachine import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from uuid import UUID

    from rdchat.common.telemetry import Metrics
    from rdchat.engine.change import Change
    from rdchat.events.outbox_entry import OutboxEntry
    from rdchat.redis.delay_queue import DelayQueue
    from rdchat.redis.snapshots import Snapshots
    from statemachine import Session

log = structlog.get_logger(__name__)


class EntryPublisher(Protocol):
    """The publisher, as far as the post-commit effects knows it."""

    def hand_over(self, entries: Iterable[OutboxEntry]) -> None:
        """Take committed outbox entries over for publishing."""
        ...

    def doubt(self, entries: Iterable[OutboxEntry]) -> None:
        """Take over outbox entries that may be committed, or not."""
        ...


#: A session that no one changed for so long gets its snapshot.
_QUIET_SECONDS: Final = 90.0
_LOOK_SECONDS: Final = 1.0
_SNAPSHOTS_AT_ONCE: Final = 500


class PostCommitEffects:
    """Performs effects in the background.

    A snapshot of a session in which people write would be out of date at once. So it is withdrawn at the
    first change, and written when the session has gone quiet, before the actor is forgotten.
    """

    def __init__(
        self,
        publisher: EntryPublisher,
        snapshots: Snapshots,
        queue: DelayQueue,
        metrics: Metrics,
        *,
        on_notified: Callable[[], None] = lambda: None,
    ) -> None:
        self._publisher = publisher
        self._snapshots = snapshots
        self._queue = queue
        self._metrics = metrics
        self._on_notified = on_notified
        #: The sessions that were changed, and when: the one that was changed last comes last.
        self._talking: dict[UUID, tuple[Session, float]] = {}
        self._outdated: list[UUID] = []
        self._cancelled_jobs: list[Job] = []
        self._work = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to work."""
        self._tasks = [
            keep_running(self._run, "post-commit effects"),
            keep_running(self._keep_quiet_sessions, "snapshots"),
        ]

    async def close(self) -> None:
        """Write what waits, and stop."""
        for task in self._tasks:
            await cancel(task)
        await self._flush()
        await self._save_unchanged_since(asyncio.get_running_loop().time())

    def committed(self, changes: list[Change]) -> None:
        """Take over the changes of one commit."""
        self._metrics.commits.inc()
        self._metrics.committed_sessions.inc(len(changes))
        self._publisher.hand_over(
            change.outbox_entry for change in changes if change.outbox_entry is not None
        )
        if any(change.notifications for change in changes):
            self._on_notified()
        now = asyncio.get_running_loop().time()
        for change in changes:
            if change.before.status is not Status.PENDING:
                # Before the chat opens only its timers come by, and those read ahead.
                self._note(change.after, now)
            if change.only_talks:
                continue
            for one in change.automations:
                self._metrics.automation(one.kind.value, one.status.value, one.lateness_ms)
            if change.cancels_timers:
                self._cancelled_jobs += [
                    Job(change.after.id, kind, change.before.schedule_version)
                    for kind in change.after.automations
                ]
        if self._cancelled_jobs or self._outdated:
            self._work.set()

    def _note(self, session: Session, now: float) -> None:
        if self._talking.pop(session.id, None) is None:
            self._outdated.append(session.id)
        self._talking[session.id] = session, now

    def uncertain(self, changes: list[Change]) -> None:
        """Have the events of changes published that are committed although no one was told."""
        self._publisher.doubt(change.outbox_entry for change in changes if change.outbox_entry is not None)

    def fenced(self, sessions: int) -> None:
        """Count changes that lost to the version fence."""
        self._metrics.fenced.inc(sessions)

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            await self._flush()

    async def _flush(self) -> None:
        outdated, self._outdated = self._outdated, []
        jobs, self._cancelled_jobs = self._cancelled_jobs, []
        if outdated:
            await self._snapshots.withdraw(outdated)
        if jobs:
            try:
                await self._queue.remove(jobs)
            except LOST:
                # They will be claimed, and found settled.
                log.debug("timers are left to find their session over", jobs=len(jobs))

    async def _keep_quiet_sessions(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self._save_unchanged_since(asyncio.get_running_loop().time() - _QUIET_SECONDS)

    async def _save_unchanged_since(self, instant: float) -> None:
        unchanged: list[Session] = []
        for session, changed_at in self._talking.values():
            if changed_at > instant:
                break
            unchanged.append(session)
        for session in unchanged:
            del self._talking[session.id]
        # Of a session that is over nothing is asked that a snapshot could answer.
        quiet = [session for session in unchanged if not session.is_over]
        for start in range(0, len(quiet), _SNAPSHOTS_AT_ONCE):
            await self._snapshots.save(quiet[start : start + _SNAPSHOTS_AT_ONCE])

"""The heartbeat: a replica says every few seconds that it is there, and how it is."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import structlog

from rdchat import __version__
from rdchat.common.background import cancel, keep_running
from rdchat.common.clock import iso
from rdchat.common.corrected_clock import CorrectedClock
from rdchat.redis.connection import LOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.engine.engine import Engine
    from rdchat.realtime.publisher import Publisher
    from rdchat.redis.replica_registry import ReplicaRegistry
    from rdchat.timers.worker import TimerWorker

log = structlog.get_logger(__name__)

_EVERY_SECONDS: Final = 5.0
#: Three are missed before a replica counts as gone.
LEASE_MS: Final = 15_000
#: One that stops says so, unless that takes too long.
_GOODBYE_SECONDS: Final = 1.0


class Vitals:
    """What a replica says of itself: `facts` is JSON.

    `worker` is None where no timers are run. Its name is made of its id alone: which machine it is on, those
    know who run it. `kids` are the ids of its encryption keys, the one that encrypts first.
    """

    def __init__(
        self,
        replica_id: UUID,
        roles: Iterable[str],
        *,
        clock: Clock,
        engine: Engine,
        publisher: Publisher,
        worker: TimerWorker | None,
        kids: Sequence[str],
    ) -> None:
        self.replica_id = replica_id
        self._roles = sorted(roles)
        self._clock = clock
        self._engine = engine
        self._publisher = publisher
        self._worker = worker
        self._kids = list(kids)
        self._started_at: datetime = clock.now()

    @property
    def clock_offset_ms(self) -> float | None:
        """How far this machine's clock is ahead of PostgreSQL's; None where that is not measured."""
        clock = self._clock
        return round(clock.machine_ahead_seconds * 1000, 1) if isinstance(clock, CorrectedClock) else None

    def facts(self) -> dict[str, Any]:
        """Tell how the replica is now."""
        return {
            "id": str(self.replica_id),
            "name": f"replica-{self.replica_id.hex[:6]}",
            "roles": self._roles,
            "version": __version__,
            "startedAt": iso(self._started_at),
            "seenAt": iso(self._clock.now()),
            "clockOffsetMs": self.clock_offset_ms,
            "encryptionKeys": self._kids,
            "liveSessions": self._engine.live_actors,
            "commandsWaiting": self._engine.waiting,
            "jobsHeld": self._worker.held if self._worker is not None else None,
            "outboxHeld": self._publisher.held,
        }


class Heartbeat:
    """Writes a replica into the registry, again and again."""

    def __init__(self, registry: ReplicaRegistry, vitals: Vitals) -> None:
        self._registry = registry
        self._vitals = vitals
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start, with the first beat at once."""
        self._task = keep_running(self._run, "heartbeat")

    async def close(self) -> None:
        """Stop, and take the replica out of the registry."""
        await cancel(self._task)
        with contextlib.suppress(*LOST):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self._registry.remove(self._vitals.replica_id)

    async def beat(self) -> None:
        """Write the replica down once. Raise one of LOST."""
        await self._registry.note(self._vitals.replica_id, self._vitals.facts(), lease_ms=LEASE_MS)

    async def _run(self) -> None:
        while True:
            try:
                await self.beat()
            except LOST as error:
                # /readyz reports that itself.
                log.debug("the replica could not say that it is there", error=str(error))
            await asyncio.sleep(_EVERY_SECONDS)

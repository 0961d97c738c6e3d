"""Whether a replica is well: a sign of life from each store, and whether timers are run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from rdchat.common.corrected_clock import CorrectedClock
from rdchat.postgres import pool as postgres

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from rdchat.common.clock import Clock
    from rdchat.postgres.pool import Pool
    from rdchat.redis.connection import RedisClient
    from rdchat.security.key_set import KeySet
    from rdchat.timers.monitor import TimerMonitor
    from rdchat.timers.worker import TimerWorker

_PROBE_SECONDS: Final = 2.0
#: A worker that has not fired what it holds for so long hangs.
_STUCK_SECONDS: Final = 10.0


class Health:
    """Looks after one replica.

    `worker` is None where it runs no timers, `key_set` where callers' tokens are signed with a shared secret.
    """

    def __init__(
        self,
        pool: Pool,
        redis: RedisClient,
        monitor: TimerMonitor,
        *,
        clock: Clock,
        worker: TimerWorker | None,
        key_set: KeySet | None,
    ) -> None:
        self._pool = pool
        self._redis = redis
        self._monitor = monitor
        self._worker = worker
        self._key_set = key_set
        self._clock = clock
        self._probes: set[asyncio.Future[Any]] = set()

    @property
    def runs_timers(self) -> bool:
        """Whether this replica has a worker."""
        return self._worker is not None

    async def check(self) -> dict[str, str]:
        """Ask each store for a sign of life, and whether timers are run: `ok` or what is wrong, by part."""
        postgresql, redis = await asyncio.gather(
            self._probe(postgres.probe(self._pool)), self._probe(self._redis.probe())
        )
        clock = self._clock.problem if isinstance(self._clock, CorrectedClock) else None
        parts = {
            "postgresql": postgresql,
            "redis": redis,
            "timers": self._timers(),
            "clock": clock or "ok",
        }
        return parts | {"keySet": self._key_set.status} if self._key_set is not None else parts

    async def close(self) -> None:
        """Cancel the checks that still run."""
        for probe in self._probes:
            probe.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)

    def _timers(self) -> str:
        unfired = self._worker.overdue_ms / 1000 if self._worker is not None else 0.0
        if unfired > _STUCK_SECONDS:
            return f"stuck: a claimed automation has been due for {unfired:.0f} s"
        return self._monitor.status.problem or "ok"

    async def _probe(self, question: Coroutine[Any, Any, Any]) -> str:
        # Not `asyncio.timeout`: a cancelled question to a hanging server takes its time to come back.
        probe = asyncio.ensure_future(question)
        self._probes.add(probe)
        probe.add_done_callback(self._probe_ended)
        await asyncio.wait({probe}, timeout=_PROBE_SECONDS)
        if not probe.done():
            probe.cancel()
            return "away"
        return "away" if probe.cancelled() or probe.exception() is not None else "ok"

    def _probe_ended(self, probe: asyncio.Future[Any]) -> None:
        self._probes.discard(probe)
        # An error that is not read by the one who asked would be complained of when it is collected.
        if not probe.cancelled():
            probe.exception()

"""Doing harm, as planned, and keeping the times at which it was done."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from rdchat.common.clock import SystemClock
from tests.chaos.storm.plan import Fault, FaultKind
from tests.chaos.storm.stage import START_SECONDS
from tests.support.waiting import until
from tests.support.world import at_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from datetime import datetime

    from rdchat.local.stores import EmbeddedRedis
    from tests.chaos.storm.stage import Stage
    from tests.support.replica import Replica

_CUT_POSTGRES: Final = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'rdchat'
"""
_NOTIFICATIONS: Final = "notify-keyspace-events"


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that was done: from its first harm until whatever it hit works again."""

    kind: FaultKind
    began: datetime
    ended: datetime


class Faults:
    """Strikes. `struck` lists what was done; `say` is told of each as it begins.

    A replica is struck by one fault at a time, and Redis as well; apart from that, faults overlap.
    """

    def __init__(self, stage: Stage, redis: EmbeddedRedis, say: Callable[[str], None]) -> None:
        self._stage = stage
        self._server = redis
        self._say = say
        self._unharmed = set(range(len(stage.replicas)))
        self._redis_lock = asyncio.Lock()
        self.struck: list[Struck] = []

    @property
    def unharmed(self) -> int:
        """How many replicas are neither killed nor paused."""
        return len(self._unharmed)

    async def run(self, faults: Sequence[Fault], began: datetime) -> None:
        """Do all of it, each fault at its instant; returns when the last one is over."""
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                await at_instant(began + timedelta(seconds=fault.at))
                group.create_task(self._strike(fault))

    async def _strike(self, fault: Fault) -> None:
        match fault.kind:
            case FaultKind.REPLICA_KILLED | FaultKind.REPLICA_PAUSED | FaultKind.REPLICA_RESTARTED:
                await self._strike_replicas(fault, 1)
            case FaultKind.ALL_REPLICAS_KILLED:
                await self._strike_replicas(fault, len(self._stage.replicas))
            case FaultKind.POSTGRES_CUT:
                await self._noting(fault, "", self._cut_postgres())
            case _:
                async with self._redis_lock:
                    await self._noting(fault, "", self._harm_redis(fault))

    async def _noting(self, fault: Fault, whom: str, harm: Coroutine[None, None, None]) -> None:
        began = SystemClock().now()
        self._say(f"{fault.kind}{whom}" + (f" for {fault.seconds:.1f} s" if fault.seconds else ""))
        await harm
        self.struck.append(Struck(fault.kind, began, SystemClock().now()))

    # ---- replicas -----------------------------------------------------------------------------------------

    async def _strike_replicas(self, fault: Fault, count: int) -> None:
        """Strike so many, beginning with the one that is meant, of those that nothing else has struck."""
        await until(lambda: self._unharmed, START_SECONDS)
        order = sorted(
            self._unharmed, key=lambda number: (number - fault.replica) % len(self._stage.replicas)
        )
        chosen = order[:count]
        self._unharmed.difference_update(chosen)
        whom = f" ({', '.join(map(str, sorted(chosen)))})"
        try:
            await self._noting(
                fault, whom, self._harm_replicas(fault, [self._stage.replicas[n] for n in chosen])
            )
        finally:
            self._unharmed.update(chosen)

    async def _harm_replicas(self, fault: Fault, replicas: Sequence[Replica]) -> None:
        if fault.kind is FaultKind.REPLICA_PAUSED:
            for replica in replicas:
                replica.pause()
            await asyncio.sleep(fault.seconds)
            for replica in replicas:
                replica.resume()
            return
        for replica in replicas:
            if fault.kind is FaultKind.REPLICA_RESTARTED:
                await replica.stop(START_SECONDS)
            else:
                replica.kill9()
        await asyncio.sleep(fault.seconds)
        await asyncio.gather(*[replica.start(START_SECONDS) for replica in replicas])

    # ---- stores -------------------------------------------------------------------------------------------

    async def _harm_redis(self, fault: Fault) -> None:
        redis = self._stage.redis
        match fault.kind:
            case FaultKind.REDIS_FLUSHED:
                await redis.flushall()
            case FaultKind.REDIS_FLUSHED_TWICE:
                await redis.flushall()
                await asyncio.sleep(fault.seconds)
                await redis.flushall()
            case FaultKind.REDIS_CUT:
                await redis.client_kill_filter(_type="pubsub")
                await redis.client_kill_filter(_type="normal", skipme=True)
            case FaultKind.NOTIFICATIONS_OFF:
                flags = (await redis.config_get(_NOTIFICATIONS))[_NOTIFICATIONS]
                await redis.config_set(_NOTIFICATIONS, "")
                await asyncio.sleep(fault.seconds)
                await redis.config_set(_NOTIFICATIONS, flags or "")
            case FaultKind.REDIS_KILLED | FaultKind.REDIS_LOST:
                self._server.kill()
                if fault.kind is FaultKind.REDIS_LOST:
                    shutil.rmtree(self._server.directory / "data")
                await asyncio.sleep(fault.seconds)
                self._server.start()
            case _:
                raise AssertionError(fault.kind)

    async def _cut_postgres(self) -> None:
        await self._stage.pool.fetchval(_CUT_POSTGRES)

"""What those need who run the service, over HTTP: an overview, dead letters, and what they have changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from rdchat.operations import store_status
from rdchat.operations.dead_letters import DeadLetters
from rdchat.operations.heartbeat import Heartbeat, Vitals
from rdchat.operations.operator_log import OperatorLog
from rdchat.operations.overview import OverviewService
from rdchat.operations.store_status import StoreStatus
from rdchat.redis.replica_registry import ReplicaRegistry

if TYPE_CHECKING:
    from rdchat.runtime.parts import Base, Core, Delivery, Stores
    from rdchat.runtime.timers import Timers


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """What handlers call for those who run the service."""

    overview: OverviewService
    dead_letters: DeadLetters
    operator_log: OperatorLog


def start_console(base: Base, stores: Stores, delivery: Delivery, core: Core, timers: Timers) -> Console:
    """Make it, and begin to say that this replica is there."""
    registry = ReplicaRegistry(stores.redis)
    vitals = Vitals(
        uuid4(),
        base.settings.roles,
        clock=base.clock,
        engine=core.engine,
        publisher=delivery.publisher,
        worker=timers.worker,
        kids=stores.keys.ring.kids,
    )
    heartbeat = Heartbeat(registry, vitals)
    heartbeat.start()
    base.close_in_turn(heartbeat.close)
    status = StoreStatus(
        pool=stores.pool,
        redis=stores.redis,
        registry=registry,
        monitor=timers.monitor,
        publisher=delivery.publisher,
        vitals=vitals,
        clock=base.clock,
        ably_is_local=base.settings.ably_is_local,
        seconds=store_status.KEPT_SECONDS,
    )
    base.close_in_turn(status.close)
    overview = OverviewService(
        pool=stores.pool, clock=base.clock, stores=status, seconds=store_status.KEPT_SECONDS
    )
    base.close_in_turn(overview.close)
    return Console(
        overview=overview,
        dead_letters=DeadLetters(pool=stores.pool, queue=stores.queue, clock=base.clock, keys=stores.keys),
        operator_log=OperatorLog(pool=stores.pool, clock=base.clock, keys=stores.keys),
    )

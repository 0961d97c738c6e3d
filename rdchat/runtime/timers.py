"""The timers of a replica: what runs automations and reminders when they are due, and what watches that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rdchat.redis.alarms import Alarms
from rdchat.timers.monitor import TimerMonitor
from rdchat.timers.reconciler import Reconciler
from rdchat.timers.worker import TimerWorker

if TYPE_CHECKING:
    from rdchat.runtime.parts import Base, Core, Stores
    from rdchat.services.reminders import ReminderService


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """What runs automations when they are due, and what looks whether that happens."""

    monitor: TimerMonitor
    worker: TimerWorker | None


async def start_timers(
    base: Base, stores: Stores, core: Core, reminders: ReminderService, redis_url: str
) -> Timers:
    """Start looking after timers and, on a worker, running them."""
    monitor = TimerMonitor(stores.pool, stores.queue, base.clock)
    monitor.start()
    base.close_in_turn(monitor.close)
    if "worker" not in base.settings.roles:
        return Timers(monitor=monitor, worker=None)
    reconciler = Reconciler(stores.pool, stores.queue, core.engine, reminders, base.clock)
    alarms = Alarms(redis_url, on_wake=stores.woken.set, on_reconnect=reconciler.wake)
    worker = TimerWorker(
        queue=stores.queue,
        alarms=alarms,
        pool=stores.pool,
        engine=core.engine,
        reminders=reminders,
        clock=base.clock,
        metrics=base.metrics,
        woken=stores.woken,
        on_doubt=reconciler.wake,
    )
    await alarms.start()
    base.close_in_turn(alarms.close)
    worker.start()
    base.close_in_turn(worker.close)
    reconciler.start()
    base.close_in_turn(reconciler.close)
    return Timers(monitor=monitor, worker=worker)

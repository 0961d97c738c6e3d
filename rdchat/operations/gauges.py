"""What a replica shows of itself whenever its metrics are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rdchat.common.telemetry import Metrics
    from rdchat.engine.engine import Engine
    from rdchat.realtime.publisher import Publisher
    from rdchat.timers.monitor import TimerMonitor
    from rdchat.timers.worker import TimerWorker


def show_gauges(
    metrics: Metrics,
    *,
    engine: Engine,
    publisher: Publisher,
    monitor: TimerMonitor,
    worker: TimerWorker | None,
) -> None:
    """Have values read off the parts of a replica; `worker` is None where it runs no timers."""
    if worker is not None:
        metrics.gauge("rdchat_jobs_held", "Jobs claimed and not settled.", lambda: worker.held)
        metrics.gauge(
            "rdchat_jobs_unfired_seconds",
            "How long the first claimed job has been due.",
            lambda: worker.overdue_ms / 1000,
        )
    metrics.gauge("rdchat_live_actors", "Sessions in memory.", lambda: engine.live_actors)
    metrics.gauge(
        "rdchat_commands_waiting", "People's commands that wait for their answer.", lambda: engine.waiting
    )
    metrics.gauge(
        "rdchat_outbox_held", "Commits that this process has yet to publish.", lambda: publisher.held
    )
    metrics.gauge(
        "rdchat_queue_waiting", "Jobs that wait in the delay queue.", lambda: monitor.status.waiting or 0
    )
    metrics.gauge(
        "rdchat_queue_leased", "Jobs that some worker has claimed.", lambda: monitor.status.leased or 0
    )
    metrics.gauge(
        "rdchat_automations_overdue",
        "Automations that no process has tried although they are far too late.",
        lambda: monitor.status.overdue,
    )

"""Who is compared, how each is set up, and what each can do. The texts are printed in the report."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.peers import BENCH, ROOT, install, versions

if TYPE_CHECKING:
    from collections.abc import Mapping

_DRIVERS = ROOT / "benchmarks" / "timers" / "drivers"
#: How many jobs are cancelled, unless a peer would take too long.
_CANCEL = 5_000


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """One library with its settings.

    `db`: its logical database. `cannot_cancel`: why not, if it cannot. `stays`: whether what was cancelled is
    still in Redis afterwards. `worker_cancels`: whether a worker has to run for it.
    """

    name: str
    title: str
    db: int
    scheduling: str
    settings: str
    cancelling: str
    cancel: int = _CANCEL
    cannot_cancel: str | None = None
    worker_cancels: bool = False
    stays: bool = False
    worker: Mapping[str, Any] = field(default_factory=dict)

    def command(self) -> list[str]:
        """Return the driver's command, installing the library first. Raise PeerUnavailable."""
        if self.name == "ours":
            return [sys.executable, "-m", "benchmarks.timers.ours"]
        interpreter = install(self.name)
        if self.name == "bullmq":
            return [*interpreter, str(_DRIVERS / "bullmq_driver.mjs"), f"{BENCH / self.name}/"]
        return [*interpreter, "-m", f"benchmarks.timers.drivers.{self.name}_driver"]

    def versions(self) -> dict[str, str]:
        """Return the versions of what is measured."""
        return {} if self.name == "ours" else versions(self.name)


CONTENDERS = (
    Contender(
        name="ours",
        title="rdchat",
        db=0,  # and 1, in which its alarms live
        scheduling="`DelayQueue.schedule`, 1,000 jobs a call",
        settings="as `run.py serve` has it (uvloop, hiredis, fewer looks for garbage); a stub for the engine",
        cancelling="`DelayQueue.remove`, 1,000 jobs a call",
    ),
    Contender(
        name="bullmq",
        title="BullMQ",
        worker={"concurrency": 50},
        db=2,
        scheduling="`Queue.addBulk`, 1,000 jobs a call",
        settings="ioredis, concurrency {concurrency}, completed jobs removed",
        cancelling="`Queue.remove` by id, 1,000 calls in one pipeline",
    ),
    Contender(
        name="bullmq_py",
        title="BullMQ for Python",
        worker={"concurrency": 10},
        db=3,
        scheduling="`Queue.addBulk`, 1,000 jobs a call",
        settings=(
            "uvloop, hiredis, concurrency {concurrency}, completed jobs removed, `socket_timeout=None`"
        ),
        cancelling="`Queue.remove` by id",
    ),
    Contender(
        name="arq",
        title="arq",
        worker={"concurrency": 100, "poll": 0.01},
        db=4,
        scheduling="`enqueue_job(_defer_until=...)`, no bulk call, 16 at a time",
        settings=(
            "uvloop, hiredis, `max_jobs={concurrency}`, `poll_delay={poll}` (default 0.5), no results kept"
        ),
        cancelling="`Job.abort`, which a worker carries out, 16 at a time",
        cancel=1_000,
        worker_cancels=True,
    ),
    Contender(
        name="taskiq",
        title="taskiq",
        worker={"concurrency": 1000, "update": 3},
        db=5,
        scheduling="`schedule_by_time`, no bulk call, 16 at a time",
        settings=(
            "`ListRedisScheduleSource`, `RedisStreamBroker`, uvloop, hiredis, {concurrency} async tasks, "
            "scheduler (looks for new schedules every {update} s) and worker a process each"
        ),
        cancelling="`unschedule`, 16 at a time",
    ),
    Contender(
        name="dramatiq",
        title="dramatiq",
        worker={"threads": 8, "timeout_ms": 10},
        db=6,
        scheduling="`send_with_options(delay=...)`, no bulk call",
        settings=(
            "Redis broker, hiredis, {threads} threads (default 8), `worker_timeout` {timeout_ms} ms "
            "(default 1,000)"
        ),
        cancelling="",
        cannot_cancel="the library has no way to",
    ),
    Contender(
        name="celery",
        title="Celery",
        worker={"concurrency": 4, "pool": "threads"},
        db=7,
        scheduling="`send_task(eta=...)` on one producer, no bulk call",
        settings=(
            "Redis broker, hiredis, {concurrency} {pool}, late acknowledgement, results ignored, "
            "`visibility_timeout` 2 h (longer than the longest delay, as the documentation asks)"
        ),
        cancelling="`control.revoke` of all ids in one order, acknowledged by the worker",
        worker_cancels=True,
        stays=True,
    ),
    Contender(
        name="saq",
        title="SAQ",
        worker={"concurrency": 100},
        db=8,
        scheduling="`Queue.enqueue(scheduled=...)`, no bulk call, 16 at a time",
        settings=(
            "uvloop, hiredis, concurrency {concurrency}, `retries=3`; due instants in whole seconds, "
            "rounded up"
        ),
        cancelling="`Job.abort`, 16 at a time",
    ),
)

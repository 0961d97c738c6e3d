"""dramatiq: `send_with_options(delay=...)` through the Redis broker, one `Worker`."""

from __future__ import annotations

import threading
import time
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.timers.drivers import protocol

_QUEUE = "automations"


def _actor(where: dict[str, Any], process: protocol.Worker | None) -> tuple[RedisBroker, dramatiq.Actor]:
    broker = RedisBroker(url=f"redis://{protocol.HOST}:{where['port']}/{where['db']}")

    def fire(session: str, kind: str, version: int) -> None:  # noqa: ARG001
        if process.recorder.marker is not None:
            process.recorder.mark()
            threading.Event().wait()
        process.recorder.note(session, kind)

    return broker, dramatiq.actor(fire, actor_name="fire", queue_name=_QUEUE, broker=broker)


class _Client:
    """There is no bulk call, and none to cancel with."""

    async def open(self, where: dict[str, Any]) -> None:
        self._broker, self._fire = _actor(where, None)

    def prepare(self, jobs: list[protocol.Job], *, exact: bool) -> list[protocol.Job]:  # noqa: ARG002
        return jobs

    async def schedule(self, prepared: list[protocol.Job]) -> None:
        for job in prepared:
            # Counted from the call; made now, so that the instant is right to the millisecond.
            delay = job.due_ms - time.time_ns() // 1_000_000
            self._fire.send_with_options(args=(job.session, job.kind, job.version), delay=delay)

    async def cancel(self, count: int) -> int:
        raise NotImplementedError

    async def pending(self) -> int:
        return self._broker.do_qsize(_QUEUE)

    async def close(self) -> None:
        self._broker.close()


def _work(options: dict[str, Any]) -> None:
    process = protocol.start_worker(options)
    broker, _ = _actor(options, process)
    worker = dramatiq.Worker(broker, worker_threads=options["threads"], worker_timeout=options["timeout_ms"])
    worker.start()
    process.ready()
    threading.Event().wait()


if __name__ == "__main__":
    protocol.main(_Client, _work)

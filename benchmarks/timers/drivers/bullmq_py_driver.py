"""BullMQ for Python: `Queue.addBulk` with a delay, one `Worker`."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import uvloop
from bullmq import Queue, Worker

from benchmarks.timers.drivers import protocol

_NAME = "automations"


def _connection(where: dict[str, Any]) -> dict[str, Any]:
    # redis-py gives every connection a read timeout of 5 s since its version 8; the worker's blocking wait
    # for jobs is as long, and would end in errors.
    return {"host": protocol.HOST, "port": where["port"], "db": where["db"], "socket_timeout": None}


class _Client:
    """Jobs go in by `addBulk`, which sends one transaction; they are removed one by one."""

    async def open(self, where: dict[str, Any]) -> None:
        self._queue = Queue(_NAME, {"connection": _connection(where)})
        self._scheduled: list[str] = []

    def prepare(self, jobs: list[protocol.Job], *, exact: bool) -> list[dict[str, Any]]:
        now = time.time_ns() // 1_000_000
        # With `exact` the delay counts from a given instant, not from when the library makes the job.
        stamp = {"timestamp": now} if exact else {}
        return [
            {
                "name": job.kind,
                "data": {"session": job.session, "version": job.version},
                "opts": {"delay": job.due_ms - now, **stamp},
            }
            for job in jobs
        ]

    async def schedule(self, prepared: list[dict[str, Any]]) -> None:
        self._scheduled += [job.id for job in await self._queue.addBulk(prepared)]

    async def cancel(self, count: int) -> int:
        # The client holds a single connection, so more than one call at a time would gain nothing.
        return sum([await self._queue.remove(job_id) for job_id in self._scheduled[:count]])

    async def pending(self) -> int:
        return await self._queue.getDelayedCount()

    async def close(self) -> None:
        await self._queue.close()


async def _work(options: dict[str, Any]) -> None:
    process = protocol.start_worker(options)

    async def fire(job: Any, _: str) -> None:  # noqa: ANN401 - the library has no types
        await process.handle(job.data["session"], job.name)

    worker = Worker(
        _NAME,
        fire,
        {
            "connection": _connection(options),
            "concurrency": options["concurrency"],
            "removeOnComplete": True,
            "autorun": False,
        },
    )
    running = asyncio.ensure_future(worker.run())
    process.ready()
    await running


if __name__ == "__main__":
    protocol.main(_Client, lambda options: uvloop.run(_work(options)), uvloop.run)

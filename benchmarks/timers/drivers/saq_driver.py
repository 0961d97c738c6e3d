"""SAQ: `Queue.enqueue(scheduled=...)`, one `Worker`."""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop
from saq import Job as SaqJob
from saq import Queue, Worker

from benchmarks.timers.drivers import protocol


def _queue(where: dict[str, Any]) -> Queue:
    return Queue.from_url(f"redis://{protocol.HOST}:{where['port']}/{where['db']}", name="automations")


class _Client:
    """SAQ has no bulk call: sixteen single ones are under way at a time."""

    async def open(self, where: dict[str, Any]) -> None:
        self._queue = _queue(where)
        await self._queue.connect()
        self._scheduled: list[SaqJob] = []

    def prepare(self, jobs: list[protocol.Job], *, exact: bool) -> list[SaqJob]:  # noqa: ARG002
        return [
            SaqJob(
                "fire",
                kwargs={"session": job.session, "kind": job.kind, "version": job.version},
                scheduled=-(-job.due_ms // 1000),  # whole seconds only; rounded up, or it would run early
                retries=3,  # by default a job whose worker has died is aborted and not run again
            )
            for job in jobs
        ]

    async def schedule(self, prepared: list[SaqJob]) -> None:
        await protocol.spread((lambda job=job: self._queue.enqueue(job) for job in prepared), at_once=16)
        self._scheduled += prepared

    async def cancel(self, count: int) -> int:
        jobs = self._scheduled[:count]
        await protocol.spread((lambda job=job: job.abort("cancelled") for job in jobs), at_once=16)
        return len(jobs)

    async def pending(self) -> int:
        return await self._queue.count("incomplete")

    async def close(self) -> None:
        await self._queue.disconnect()


async def _work(options: dict[str, Any]) -> None:
    process = protocol.start_worker(options)

    async def fire(_: dict[str, Any], *, session: str, kind: str, version: int) -> None:  # noqa: ARG001
        await process.handle(session, kind)

    queue = _queue(options)
    await queue.connect()
    worker = Worker(queue, functions=[("fire", fire)], concurrency=options["concurrency"])
    running = asyncio.ensure_future(worker.start())
    process.ready()
    await running


if __name__ == "__main__":
    protocol.main(_Client, lambda options: uvloop.run(_work(options)), uvloop.run)

"""arq: `enqueue_job(_defer_until=...)`, one `Worker`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import uvloop
from arq import Worker, create_pool
from arq.connections import RedisSettings
from arq.constants import default_queue_name
from arq.worker import func

from benchmarks.timers.drivers import protocol

if TYPE_CHECKING:
    from arq.jobs import Job as ArqJob


def _settings(where: dict[str, Any]) -> RedisSettings:
    return RedisSettings(host=protocol.HOST, port=where["port"], database=where["db"])


class _Client:
    """arq has no bulk call: sixteen single ones are under way at a time."""

    async def open(self, where: dict[str, Any]) -> None:
        self._pool = await create_pool(_settings(where))
        self._scheduled: list[ArqJob] = []

    def prepare(self, jobs: list[protocol.Job], *, exact: bool) -> list[tuple[protocol.Job, datetime]]:  # noqa: ARG002
        return [(job, datetime.fromtimestamp(job.due_ms / 1000, UTC)) for job in jobs]

    async def schedule(self, prepared: list[tuple[protocol.Job, datetime]]) -> None:
        self._scheduled += await protocol.spread(
            (lambda job=job, due=due: self._enqueue(job, due) for job, due in prepared), at_once=16
        )

    async def _enqueue(self, job: protocol.Job, due: datetime) -> ArqJob:
        return await self._pool.enqueue_job("fire", job.session, job.kind, job.version, _defer_until=due)

    async def cancel(self, count: int) -> int:
        """Abort, which a worker has to carry out; each call waits until it has."""
        jobs = self._scheduled[:count]
        return sum(
            await protocol.spread(
                (lambda job=job: job.abort(timeout=30, poll_delay=0.01) for job in jobs), at_once=16
            )
        )

    async def pending(self) -> int:
        return await self._pool.zcard(default_queue_name)

    async def close(self) -> None:
        await self._pool.aclose()


async def _work(options: dict[str, Any]) -> None:
    process = protocol.start_worker(options)

    async def fire(_: dict[str, Any], session: str, kind: str, version: int) -> None:  # noqa: ARG001
        await process.handle(session, kind)

    async def ready(_: dict[str, Any]) -> None:
        process.ready()

    worker = Worker(
        functions=[func(fire, name="fire")],
        redis_settings=_settings(options),
        max_jobs=options["concurrency"],
        poll_delay=options["poll"],
        allow_abort_jobs=options.get("cancel", False),
        # Only an abort needs its result.
        keep_result=60 if options.get("cancel") else 0,
        log_results=False,
        handle_signals=False,
        on_startup=ready,
    )
    await worker.async_run()


if __name__ == "__main__":
    protocol.main(_Client, lambda options: uvloop.run(_work(options)), uvloop.run)

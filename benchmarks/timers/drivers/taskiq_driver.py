"""taskiq with taskiq-redis: `schedule_by_time`, a scheduler and a worker that reads a stream."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import uvloop
from redis.asyncio import Redis
from taskiq import TaskiqScheduler
from taskiq.api import run_receiver_task, run_scheduler_task
from taskiq_redis import ListRedisScheduleSource, RedisStreamBroker

from benchmarks.timers.drivers import protocol

# redis-py gives every connection a read timeout of 5 s since its version 8, which ends blocking reads.
_CONNECTION = {"socket_timeout": None}
_AT_ONCE = 16


def _url(where: dict[str, Any]) -> str:
    return f"redis://{protocol.HOST}:{where['port']}/{where['db']}"


class _App:
    def __init__(self, where: dict[str, Any], worker: protocol.Worker | None) -> None:
        self.broker = RedisStreamBroker(url=_url(where), **_CONNECTION)
        self.source = ListRedisScheduleSource(
            _url(where), max_connection_pool_size=_AT_ONCE, buffer_size=1000, **_CONNECTION
        )

        async def fire(session: str, kind: str, version: int) -> None:  # noqa: ARG001
            await worker.handle(session, kind)

        self.task = self.broker.register_task(fire, task_name="fire")


class _Client:
    """There is no bulk call: sixteen single ones are under way at a time."""

    async def open(self, where: dict[str, Any]) -> None:
        self._app = _App(where, None)
        self._redis = Redis.from_url(_url(where))
        await self._app.broker.startup()
        await self._app.source.startup()
        self._scheduled: list[Any] = []

    def prepare(self, jobs: list[protocol.Job], *, exact: bool) -> list[tuple[protocol.Job, datetime]]:  # noqa: ARG002
        return [(job, datetime.fromtimestamp(job.due_ms / 1000, UTC)) for job in jobs]

    async def schedule(self, prepared: list[tuple[protocol.Job, datetime]]) -> None:
        self._scheduled += await protocol.spread(
            (lambda job=job, due=due: self._schedule(job, due) for job, due in prepared), at_once=_AT_ONCE
        )

    async def _schedule(self, job: protocol.Job, due: datetime) -> Any:  # noqa: ANN401 - a generic of taskiq's
        return await self._app.task.schedule_by_time(
            self._app.source, due, job.session, job.kind, job.version
        )

    async def cancel(self, count: int) -> int:
        schedules = self._scheduled[:count]
        await protocol.spread((one.unschedule for one in schedules), at_once=_AT_ONCE)
        return len(schedules)

    async def pending(self) -> int:
        return sum([await self._redis.llen(key) async for key in self._redis.scan_iter("schedule:time:*")])

    async def close(self) -> None:
        await self._redis.aclose()
        await self._app.broker.shutdown()


async def _receive(options: dict[str, Any]) -> None:
    process = protocol.start_worker(options)
    # The documentation has scheduler and worker in processes of their own.
    subprocess.Popen(  # noqa: ASYNC220, S603 - ourselves
        [sys.executable, "-m", __spec__.name, "scheduler", json.dumps(options)], stdin=subprocess.DEVNULL
    )
    app = _App(options, process)
    await app.broker.startup()
    receiving = asyncio.ensure_future(run_receiver_task(app.broker, max_async_tasks=options["concurrency"]))
    process.ready()
    await receiving


async def _keep_schedule(options: dict[str, Any]) -> None:
    app = _App(options, None)
    await app.broker.startup()
    scheduler = TaskiqScheduler(app.broker, [app.source])
    await run_scheduler_task(scheduler, interval=timedelta(seconds=options["update"]))


if __name__ == "__main__":
    protocol.main(
        _Client,
        lambda options: uvloop.run(
            _keep_schedule(options) if sys.argv[1] == "scheduler" else _receive(options)
        ),
        uvloop.run,
    )

"""Celery: `send_task(eta=...)` through Redis, one worker."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from celery import Celery
from celery.signals import worker_ready

from benchmarks.timers.drivers import protocol

#: Longer than the longest delay, as the documentation asks: with a shorter one jobs run twice.
_VISIBILITY_SECONDS = 7200
_REVOKE_SECONDS = 10


def _app(where: dict[str, Any]) -> Celery:
    app = Celery("automations", broker=f"redis://{protocol.HOST}:{where['port']}/{where['db']}")
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        broker_transport_options={"visibility_timeout": _VISIBILITY_SECONDS},
        broker_connection_retry_on_startup=True,
    )
    return app


class _Client:
    """There is no bulk call. Cancelling is an order to the workers; the message stays until it is due."""

    async def open(self, where: dict[str, Any]) -> None:
        self._app = _app(where)
        self._scheduled: list[str] = []
        self._connection = self._app.connection_for_write()
        self._producer = self._app.amqp.Producer(self._connection)

    def prepare(self, jobs: list[protocol.Job], *, exact: bool) -> list[tuple[protocol.Job, datetime]]:  # noqa: ARG002
        return [(job, datetime.fromtimestamp(job.due_ms / 1000, UTC)) for job in jobs]

    async def schedule(self, prepared: list[tuple[protocol.Job, datetime]]) -> None:
        for job, due in prepared:
            arguments = (job.session, job.kind, job.version)
            sent = self._app.send_task("fire", args=arguments, eta=due, producer=self._producer)
            self._scheduled.append(sent.id)

    async def cancel(self, count: int) -> int:
        ids = self._scheduled[:count]
        answers = self._app.control.revoke(ids, reply=True, timeout=_REVOKE_SECONDS, limit=1)
        if not answers:
            raise RuntimeError("no worker has answered")
        return len(ids)

    async def pending(self) -> int:
        with self._app.connection_for_read() as connection:
            redis = connection.default_channel.client
            return redis.llen("celery") + redis.hlen("unacked")

    async def close(self) -> None:
        self._connection.release()


def _work(options: dict[str, Any]) -> None:
    process = protocol.start_worker(options)
    app = _app(options)

    def fire(session: str, kind: str, version: int) -> None:  # noqa: ARG001
        if process.recorder.marker is not None:
            process.recorder.mark()
            time.sleep(3600)
        process.recorder.note(session, kind)

    app.task(fire, name="fire")
    worker_ready.connect(lambda **_: process.ready(), weak=False)
    app.worker_main(
        [
            "worker",
            "--pool",
            options["pool"],
            "--concurrency",
            str(options["concurrency"]),
            "--loglevel=WARNING",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]
    )


if __name__ == "__main__":
    protocol.main(_Client, _work)

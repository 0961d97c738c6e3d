"""rdchat's own timers, driven like a peer: the delay queue, the alarms and the worker of `rdchat`.

What the worker fires goes to a stub in the engine's place, which notes the instant and reports success: the
peers' handlers do no more.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import uvloop

from benchmarks.timers.drivers import protocol
from rdchat.common import collecting
from rdchat.common.clock import SystemClock
from rdchat.common.ids import read_id
from rdchat.common.telemetry import Metrics
from rdchat.redis.alarms import Alarms
from rdchat.redis.connection import connect
from rdchat.redis.delay_queue import DelayQueue, Job
from rdchat.timers.worker import TimerWorker
from statemachine import AutomationKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from statemachine import Command

#: As long as the benchmark runs; a worker is ended by SIGKILL.
_FOREVER = 3600.0


def _url(where: dict[str, Any]) -> str:
    return f"redis://{protocol.HOST}:{where['port']}/{where['db']}"


class _Client:
    """`DelayQueue`, as the engine uses it after a commit."""

    async def open(self, where: dict[str, Any]) -> None:
        self._store = connect(_url(where))
        self._queue = DelayQueue(self._store)
        self._scheduled: list[Job] = []
        await self._store.probe()

    def prepare(self, jobs: list[protocol.Job], *, exact: bool) -> list[tuple[Job, int]]:  # noqa: ARG002
        return [
            (Job(read_id(job.session), AutomationKind(job.kind), job.version), job.due_ms) for job in jobs
        ]

    async def schedule(self, prepared: list[tuple[Job, int]]) -> None:
        await self._queue.schedule(prepared)
        self._scheduled.extend(job for job, _ in prepared)

    async def cancel(self, count: int) -> int:
        jobs = self._scheduled[:count]
        for at in range(0, len(jobs), 1000):
            await self._queue.remove(jobs[at : at + 1000])
        return len(jobs)

    async def pending(self) -> int:
        return sum(shard.waiting for shard in await self._queue.depth())

    async def close(self) -> None:
        await self._store.aclose()


class _Engine:
    """In the engine's place."""

    def __init__(self, recorder: protocol.Recorder) -> None:
        self._recorder = recorder

    def post(self, session_id: UUID, command: Command) -> asyncio.Future[Any]:
        answer = asyncio.get_running_loop().create_future()
        if self._recorder.marker is not None:
            self._recorder.mark()
        else:
            self._recorder.note(str(session_id), command.kind.value)
            answer.set_result(None)
        return answer

    def prefetch(self, session_ids: Iterable[UUID]) -> None:
        """Do nothing: there are no sessions to read."""


class _Reminders:
    """In the place of what runs reminders: the benchmark has none."""

    async def remind(self, jobs: Sequence[Job]) -> list[BaseException | None]:
        return [None] * len(jobs)


async def _work(options: dict[str, Any]) -> None:
    process = protocol.start_worker(options)
    queue = DelayQueue(connect(_url(options)))
    woken = asyncio.Event()
    alarms = Alarms(_url(options), on_wake=woken.set, on_reconnect=woken.set)
    worker = TimerWorker(
        queue=queue,
        alarms=alarms,
        pool=None,  # asked only after a failure, and the stub never fails
        engine=_Engine(process.recorder),
        reminders=_Reminders(),
        clock=SystemClock(),
        metrics=Metrics(),
        woken=woken,
        on_doubt=lambda: None,  # the reconciler would look what is missing
    )
    await alarms.start()
    worker.start()
    await alarms.listening.wait()
    # As `run.py serve` does, whose settings these are.
    collecting.spare()
    process.ready()
    await asyncio.sleep(_FOREVER)


if __name__ == "__main__":
    protocol.main(_Client, lambda options: uvloop.run(_work(options)), uvloop.run)

"""A storm from its first booking to its report."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import aiohttp

from rdchat.common.clock import SystemClock
from tests.chaos.storm.booking import Bookings
from tests.chaos.storm.counters import FENCED, Counters
from tests.chaos.storm.faults import Faults
from tests.chaos.storm.lateness import unexplained
from tests.chaos.storm.logs import problems
from tests.chaos.storm.record import read_record
from tests.chaos.storm.report import Report
from tests.chaos.storm.subscriber import a_subscriber
from tests.chaos.storm.verdict import judge
from tests.support.automations import ALWAYS
from tests.support.waiting import until
from tests.support.world import at_instant

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from rdchat.local.stores import EmbeddedRedis
    from tests.chaos.storm.plan import Plan
    from tests.chaos.storm.stage import Stage
    from tests.chaos.storm.subscriber import Subscriber

_WAVE_SECONDS: Final = 0.5
_PROGRESS_SECONDS: Final = 5.0
#: After the last instant: a lease of a timer (2 s), one of an event (10 s), and a busy machine.
GRACE_SECONDS: Final = 45.0
#: Sessions that the subscriber attends.
_ATTENDED: Final = 50

_PROGRESS = """
SELECT (SELECT count(*) FROM automations WHERE status <> 'scheduled') AS settled,
       (SELECT count(*) FROM automations
         WHERE status = 'scheduled' AND due_at < now() - interval '1 second') AS behind,
       (SELECT count(*) FROM outbox) AS unpublished
"""
_UNSETTLED = """
SELECT (SELECT count(*) FROM automations WHERE status = 'scheduled' AND due_at < now())
     + (SELECT count(*) FROM outbox)
"""


class Storm:
    """Runs a plan on a stage whose Redis it may kill. `say` is told what happens, a line each."""

    def __init__(self, stage: Stage, redis: EmbeddedRedis, plan: Plan, say: Callable[[str], None]) -> None:
        self._stage = stage
        self._plan = plan
        self._tell = say
        self._faults = Faults(stage, redis, self._say)
        self._counters = Counters(stage)
        self._began = SystemClock().now()

    async def run(self) -> Report:
        """Start the replicas, let it all happen, wait until nothing is left to do, and judge."""
        stage, plan = self._stage, self._plan
        earlier = Bookings(stage.pool, stage.queue, SystemClock().now())
        await earlier.employ_psychologists()
        # The replicas find these in PostgreSQL when they start.
        await earlier.book(plan.later)
        await stage.start_replicas()
        async with a_subscriber(stage) as subscriber:
            self._began = SystemClock().now()
            bookings = Bookings(stage.pool, stage.queue, self._began)
            async with asyncio.TaskGroup() as watchers:
                watching = [
                    watchers.create_task(work) for work in (self._counters.watch(), self._show_progress())
                ]
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._book(bookings, subscriber))
                    group.create_task(self._faults.run(plan.faults, self._began))
                await at_instant(self._at(max(one.ends for one in plan.appointments)))
                self._say("the last session ends; waiting for what is late")
                await self._settle()
                await self._counters.read()
                unready = await self._unready()
                for task in watching:
                    task.cancel()
            record = await read_record(stage, booked=earlier.booked + bookings.booked, heard=subscriber.heard)
        verdict = judge(record)
        struck = self._faults.struck
        verdict.wrong += [*unexplained(record, struck), *unready]
        return Report(
            plan, record, verdict, tuple(struck), self._counters.total(FENCED), problems(stage.replicas)
        )

    def _at(self, seconds: float) -> datetime:
        return self._began + timedelta(seconds=seconds)

    async def _book(self, bookings: Bookings, subscriber: Subscriber) -> None:
        """Book in waves, each session when its plan says so; some are attended from before their booking."""
        waiting = sorted(self._plan.appointments, key=lambda one: one.booked)
        every = max(1, len(waiting) // _ATTENDED)
        attended = {one.id for one in waiting[::every]}
        while waiting:
            until_now = SystemClock().now() + timedelta(seconds=_WAVE_SECONDS)
            wave = [one for one in waiting if self._at(one.booked) <= until_now]
            waiting = waiting[len(wave) :]
            for one in wave:
                if one.id in attended:
                    await subscriber.attend(one.id)
            await bookings.book(wave)
            if waiting:
                await at_instant(self._at(waiting[0].booked))

    async def _settle(self) -> None:
        """Wait until nothing is due, nothing unpublished and nothing in the queue but what is to come."""
        still_to_come = len(ALWAYS) * len(self._plan.later)

        async def settled() -> bool:
            if await self._stage.pool.fetchval(_UNSETTLED):
                return False
            return (await self._stage.queue.held()).total == still_to_come

        # What is not settled by then, the verdict finds.
        with suppress(AssertionError):
            await until(settled, GRACE_SECONDS, every=0.2)

    async def _unready(self) -> list[str]:
        """Say which replicas do not serve, though everything that was done to them is over."""
        found = []
        for number, replica in enumerate(self._stage.replicas):
            try:
                async with self._stage.http.get(f"{replica.base}/readyz") as answer:
                    if answer.status != HTTPStatus.OK:
                        found.append(f"replica {number} is not ready: {await answer.text()}")
            except (aiohttp.ClientError, TimeoutError) as error:
                found.append(f"replica {number} does not answer: {error!r}")
        return found

    # ---- progress -----------------------------------------------------------------------------------------

    def _say(self, what: str) -> None:
        seconds = round((SystemClock().now() - self._began).total_seconds())
        self._tell(f"[{seconds // 60:02}:{seconds % 60:02}] {what}")

    async def _show_progress(self) -> None:
        total = len(ALWAYS) * len(self._plan.appointments)
        while True:
            await asyncio.sleep(_PROGRESS_SECONDS)
            [row] = await self._stage.pool.fetch(_PROGRESS)
            self._say(
                f"{row['settled']} of {total} automations settled, {row['behind']} over a second late, "
                f"{row['unpublished']} events unpublished; "
                f"{self._faults.unharmed} of {len(self._stage.replicas)} replicas unharmed"
            )

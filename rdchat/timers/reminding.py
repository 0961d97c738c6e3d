"""Running the reminders that the worker has found due: in batches, behind automations that are under way."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from rdchat.common.background import keep_running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from rdchat.redis.delay_queue import Job

#: Reminders in one transaction, and transactions at a time.
REMINDED_TOGETHER: Final = 250
_AT_ONCE: Final = 2
#: For how long each of these gives way: never for ever.
_GIVE_WAY_SECONDS: Final = 0.25


class Reminds(Protocol):
    """What runs reminders, as far as the timers know it."""

    async def remind(self, jobs: Sequence[Job]) -> list[BaseException | None]:
        """Run due reminders together. Return a result for each: None when it is settled."""
        ...


class ReminderRunner:
    """Runs reminders. A chat opens first: a batch waits for the tasks in `first`, and not for long.

    `judge` is given each batch and its results.
    """

    def __init__(
        self,
        reminders: Reminds,
        *,
        first: set[asyncio.Task[None]],
        judge: Callable[[list[Job], list[BaseException | None]], Awaitable[None]],
    ) -> None:
        self._reminders = reminders
        self._first = first
        self._judge = judge
        self._due: deque[Job] = deque()
        self._work = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._closing = False

    def start(self) -> None:
        """Start running what is added."""
        self._loops = [keep_running(self._run, f"reminders {number}") for number in range(_AT_ONCE)]

    def add(self, job: Job) -> None:
        """Have a reminder run that is due."""
        self._due.append(job)
        self._work.set()

    async def close(self) -> list[Job]:
        """Finish the batches that are under way. Return what was not begun."""
        self._closing = True
        self._work.set()
        await asyncio.gather(*self._loops)
        left = list(self._due)
        self._due.clear()
        return left

    async def _run(self) -> None:
        while not self._closing:
            if not self._due:
                self._work.clear()
                await self._work.wait()
                continue
            if self._first:
                await asyncio.wait(self._first, timeout=_GIVE_WAY_SECONDS)
            jobs = [self._due.popleft() for _ in range(min(len(self._due), REMINDED_TOGETHER))]
            if jobs:
                await self._judge(jobs, await self._reminders.remind(jobs))

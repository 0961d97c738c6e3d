"""An engine that answers as it is told."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from statemachine import AutomationKind, Command, Refusal, RefusalCode, RunAutomation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from uuid import UUID

    from rdchat.redis.delay_queue import Job

SETTLED = Refusal(RefusalCode.SETTLED, None)


class StubReminders:
    """Answers every reminder with what `answer` says, and keeps what came together, and when."""

    def __init__(self) -> None:
        self.answer: Callable[[Job], BaseException | None] = lambda _: None
        self.seen: list[tuple[list[Job], float]] = []

    async def remind(self, jobs: Sequence[Job]) -> list[BaseException | None]:
        self.seen.append((list(jobs), time.time() * 1000))
        return [self.answer(job) for job in jobs]


class StubEngine:
    """Answers every command with what `answer` says, and keeps when it came. `reminders` stand beside it."""

    def __init__(self) -> None:
        self.reminders = StubReminders()
        self.answer: Callable[[UUID], Any] = lambda _: SETTLED
        self.seen: list[tuple[UUID, AutomationKind, float]] = []
        self.versions: list[int] = []
        self.expected: list[UUID] = []

    def post(self, session_id: UUID, command: Command) -> asyncio.Future[Any]:
        assert isinstance(command, RunAutomation)
        self.seen.append((session_id, command.kind, time.time() * 1000))
        self.versions.append(command.schedule_version)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        answer = self.answer(session_id)
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
        return future

    def prefetch(self, session_ids: Iterable[UUID]) -> None:
        self.expected += session_ids

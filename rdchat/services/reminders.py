"""Reminding both of a counselling, before it begins: planned with the booking, run by the timers.

A reminder changes nothing of a session, so it is no automation of one: it is a row beside it, locked, decided
and settled together with what people are told by it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.common.clock import to_ms
from rdchat.common.errors import UnavailableError
from rdchat.postgres import reminders
from rdchat.postgres.pool import transaction
from rdchat.redis.connection import LOST
from rdchat.redis.delay_queue import reminder_score
from rdchat.texts.notifications import appointment_notification
from rdchat.timers.reconciler import HORIZON
from statemachine import AutomationStatus
from statemachine.effects import NotificationType

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.common.telemetry import Metrics
    from rdchat.domain.notification import Notification
    from rdchat.domain.reminder import DueReminder, Reminder
    from rdchat.postgres.pool import Pool
    from rdchat.redis.delay_queue import DelayQueue, Job
    from rdchat.services.notifier import Notifier

_MILLISECOND: Final = timedelta(milliseconds=1)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReminderService:
    """Reminds. `leads`: how long before the start; `language`: of counsellings without one of their own."""

    pool: Pool
    queue: DelayQueue
    notifier: Notifier
    clock: Clock
    metrics: Metrics
    leads: tuple[timedelta, ...]
    language: str
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        """Begin: plan reminders, once, for what was booked before there were any."""
        self._tasks.append(keep_running(self._plan_booked, "reminders of what was booked before"))

    async def close(self) -> None:
        """Stop. What was not planned is planned at the next start."""
        for task in self._tasks:
            await cancel(task)

    async def _plan_booked(self) -> None:
        planned = await reminders.plan_booked(self.pool, self.leads, self.clock.now())
        if planned:
            log.info("reminders are planned for what was booked before", reminders=planned)

    async def schedule(self, planned: Sequence[Reminder], replaced: Sequence[Job] = ()) -> None:
        """Put committed reminders into the delay queue. Where that fails, the reconciler does it."""
        horizon = self.clock.now() + HORIZON
        jobs = [
            (reminders.job_of(one), reminder_score(to_ms(one.due_at)))
            for one in planned
            if one.due_at <= horizon
        ]
        try:
            if replaced:
                await self.queue.remove(replaced)
            if jobs:
                await self.queue.schedule(jobs)
        except LOST as error:
            log.warning("reminders are left to the reconciler", error=str(error))

    async def cancel(self, counseling_id: UUID) -> None:
        """Cancel the reminders of a counselling that is cancelled.

        Should this fail, they are found to be of no use when they are due.
        """
        try:
            jobs = await reminders.cancel_reminders(self.pool, counseling_id, "counseling_cancelled")
        except UnavailableError:
            return
        await self.schedule([], jobs)

    async def remind(self, jobs: Sequence[Job]) -> list[BaseException | None]:
        """Run due reminders together. Return a result for each: None when it is settled, by any replica.

        One whose counselling is being changed at this moment is to be tried again a little later.
        """
        try:
            busy = await self._remind(jobs)
        except UnavailableError as error:
            return [error] * len(jobs)
        except Exception as error:  # noqa: BLE001 - whatever it is, the timers try it again
            if len(jobs) == 1:
                return [error]
            # One is at fault; alone, each gets its own result.
            return [result for job in jobs for result in await self.remind([job])]
        return [UnavailableError("the counseling") if job in busy else None for job in jobs]

    async def _remind(self, jobs: Sequence[Job]) -> set[Job]:
        """Run due reminders in one transaction. Return those that others hold locked."""
        now = self.clock.now()
        async with transaction(self.pool) as connection:
            due = await reminders.lock_due_reminders(connection, jobs, language=self.language, at=now)
            found = {(one.counseling_id, one.number) for one in due}
            left = [job for job in jobs if (job.subject_id, job.number) not in found]
            busy = await reminders.list_unsettled(connection, left) if left else set()
            if not due:
                return busy
            settled: list[reminders.Settled] = []
            told: list[Notification] = []
            for one in due:
                status, reason = one.outcome(now)
                lateness_ms = max(0, (now - one.due_at) // _MILLISECOND)
                settled.append((one.counseling_id, one.number, status, now, lateness_ms, reason))
                if status is AutomationStatus.DONE:
                    told += [
                        appointment_notification(
                            one.appointment, uuid4(), person_id, NotificationType.REMINDER, now
                        )
                        for person_id in _both(one)
                    ]
            await reminders.settle_reminders(connection, settled)
            entries = await self.notifier.insert(connection, told)
        self.notifier.publish(entries)
        for _, _, status, _, lateness_ms, _ in settled:
            self.metrics.automation(NotificationType.REMINDER, status, lateness_ms)
        return busy


def _both(one: DueReminder) -> tuple[UUID, UUID]:
    return one.appointment.client_id, one.appointment.psychologist_id

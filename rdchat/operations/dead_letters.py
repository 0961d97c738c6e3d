"""What was given up - automations, reminders, webhooks -: to look at, to try again, to drop.

Over HTTP and on the command line alike. Each change is written down in its own transaction, with who made it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

import structlog

from rdchat.common.clock import to_ms
from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain.operator_action import (
    DONE,
    ActionKind,
    ActionSubject,
    Operator,
    OperatorAction,
    SubjectType,
)
from rdchat.postgres import automations, dead_letters, operator_actions, reminders, webhooks
from rdchat.postgres.pool import transaction
from rdchat.redis.connection import LOST
from rdchat.redis.delay_queue import JobKind, ReminderKind, reminder_score
from statemachine import AutomationKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rdchat.common.clock import Clock
    from rdchat.domain.dead_letter import DeadDelivery, DeadLetter
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.redis.delay_queue import DelayQueue, Job

log = structlog.get_logger(__name__)

_START: Final = (datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetters:
    """What was given up. `subject_id` is a session's id; for reminders, a counselling's."""

    pool: Pool
    queue: DelayQueue
    clock: Clock
    keys: DataKeys

    # ---- automations and reminders ------------------------------------------------------------------------

    async def list_page(self, *, after: tuple[datetime, UUID] | None, limit: int) -> list[DeadLetter]:
        """List automations and reminders that were given up, earliest first.

        `after` is the (due instant, id) of the last one that was seen.
        """
        return await dead_letters.page_dead_letters(self.pool, after=after or _START, limit=limit)

    async def retry(self, operator: Operator, subject_id: UUID, kind: JobKind | None = None) -> list[Job]:
        """Schedule those of a subject again, or those of a kind. Return them."""
        async with transaction(self.pool) as connection:
            jobs: list[tuple[Job, int]] = []
            if not isinstance(kind, ReminderKind):
                jobs += await automations.revive_dead_letters_on(connection, subject_id, kind)
            if not isinstance(kind, AutomationKind):
                jobs += [
                    (job, reminder_score(to_ms(due_at)))
                    for job, due_at in await reminders.revive_dead_letters(connection, subject_id)
                ]
            revived = [job for job, _ in jobs]
            await self._note(connection, operator, ActionKind.RETRY_DEAD_LETTER, revived)
        try:
            await self.queue.schedule(jobs)
        except LOST as error:
            log.warning("timers are left to the reconciler", subject=str(subject_id), error=str(error))
        return revived

    async def drop(
        self, operator: Operator, subject_id: UUID, kind: JobKind, *, only_dead: bool = True
    ) -> list[Job]:
        """Cancel those of a subject and a kind, and unless `only_dead` also one that waits. Return them.

        Raise RdchatError (FORBIDDEN) for the end of a session: without it the chat would stay open for ever.
        """
        if kind is AutomationKind.AUTO_END:
            raise RdchatError(
                ErrorCode.FORBIDDEN, "The end of a session cannot be dropped; cancel the counseling"
            )
        async with transaction(self.pool) as connection:
            if isinstance(kind, AutomationKind):
                jobs = await automations.drop_automation(
                    connection, subject_id, kind, only_dead=only_dead, at=self.clock.now()
                )
            else:
                jobs = await reminders.drop_dead_letters(connection, subject_id)
            await self._note(connection, operator, ActionKind.DROP_AUTOMATION, jobs)
        try:
            await self.queue.remove(jobs)
        except LOST as error:
            # It will find that it was cancelled.
            log.warning("a dropped timer stays in the queue", subject=str(subject_id), error=str(error))
        return jobs

    # ---- webhooks -----------------------------------------------------------------------------------------

    async def list_webhooks(self, *, after: tuple[datetime, UUID] | None, limit: int) -> list[DeadDelivery]:
        """List webhooks that were given up, oldest first; `after`: (instant, id) of the last one seen."""
        return await webhooks.page_dead_deliveries(self.pool, after=after or _START, limit=limit)

    async def retry_webhooks(
        self, operator: Operator, delivery_ids: Sequence[UUID] | None
    ) -> list[tuple[UUID, str]]:
        """Schedule webhooks again: those named, or None: all. Return the id and the type of each."""
        now = self.clock.now()
        async with transaction(self.pool) as connection:
            revived = [
                (one["id"], one["type"])
                for one in await webhooks.revive_deliveries_on(connection, delivery_ids, now=now)
            ]
            await operator_actions.insert_actions(
                connection,
                [
                    self._action(
                        operator,
                        ActionKind.RETRY_WEBHOOK,
                        ActionSubject(SubjectType.WEBHOOK, delivery_id),
                        event_type,
                    )
                    for delivery_id, event_type in revived
                ],
                keys=self.keys,
            )
        return revived

    async def _note(
        self, connection: Connection, operator: Operator, action: ActionKind, jobs: Sequence[Job]
    ) -> None:
        made = []
        for job in jobs:
            is_reminder = isinstance(job.kind, ReminderKind)
            subject = SubjectType.COUNSELING if is_reminder else SubjectType.SESSION
            made.append(
                self._action(operator, action, ActionSubject(subject, job.subject_id), job.kind.value)
            )
        await operator_actions.insert_actions(connection, made, keys=self.keys)

    def _action(
        self, operator: Operator, action: ActionKind, subject: ActionSubject, detail: str
    ) -> OperatorAction:
        return OperatorAction(
            id=uuid4(),
            at=self.clock.now(),
            actor_id=operator.actor_id,
            action=action,
            subject=subject,
            detail=detail,
            outcome=DONE,
            request_id=operator.request_id,
            reason=operator.reason,
        )

"""/operations/dead-letters and /dead-webhooks: what was given up, to look at, to try again, to drop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handlers import schemas
from handlers.api import cursors
from handlers.http.routing import Answer, Call, Route
from rdchat.common.clock import iso
from rdchat.domain import permissions
from rdchat.redis.delay_queue import JobKind, ReminderKind
from rdchat.webhooks.delivery_worker import place_of
from statemachine import AutomationKind

if TYPE_CHECKING:
    from uuid import UUID

    from rdchat.domain.dead_letter import DeadDelivery, DeadLetter
    from rdchat.redis.delay_queue import Job


async def list_dead_letters(call: Call) -> Answer:
    """List automations and reminders that were given up after eight attempts, the earliest due first."""
    limit, of = call.query["limit"], cursors.DEAD_LETTERS
    found = await call.runtime.dead_letters.list_page(
        after=cursors.read(call.query["cursor"], of), limit=limit + 1
    )
    shown, following = cursors.cut(found, limit, of, lambda one: (one.due_at, one.id))
    return Answer(
        {"data": [_letter_json(one) for one in shown], "nextCursor": following},
        "Dead letters retrieved successfully",
    )


async def retry_dead_letters(call: Call) -> Answer:
    """Schedule dead letters again: those of a session, or the reminders of a counselling.

    Where there are none (any more), nothing happens.
    """
    subject_id, said = call.body["subject_id"], call.body["kind"]
    kind = _kind(said) if said is not None else None
    jobs = await call.runtime.dead_letters.retry(call.operator, subject_id, kind)
    return _changed(subject_id, jobs, "Dead letters scheduled again")


async def drop_dead_letters(call: Call) -> Answer:
    """Drop dead letters of one kind: they will never run. Where there are none (any more), nothing happens.

    The end of a session cannot be dropped.
    """
    subject_id = call.body["subject_id"]
    jobs = await call.runtime.dead_letters.drop(call.operator, subject_id, _kind(call.body["kind"]))
    return _changed(subject_id, jobs, "Dead letters dropped")


async def list_dead_webhooks(call: Call) -> Answer:
    """List webhooks that were given up, oldest first: where they were to go, not what they said."""
    limit, of = call.query["limit"], cursors.DEAD_WEBHOOKS
    found = await call.runtime.dead_letters.list_webhooks(
        after=cursors.read(call.query["cursor"], of), limit=limit + 1
    )
    shown, following = cursors.cut(found, limit, of, lambda one: (one.created_at, one.id))
    return Answer(
        {"data": [_webhook_json(one) for one in shown], "nextCursor": following},
        "Dead webhooks retrieved successfully",
    )


async def retry_dead_webhooks(call: Call) -> Answer:
    """Schedule webhooks that were given up again: those named, or all of them."""
    revived = await call.runtime.dead_letters.retry_webhooks(call.operator, call.body["ids"])
    return Answer({"count": len(revived)}, "Webhooks scheduled again")


def _kind(name: str) -> JobKind:
    return ReminderKind.REMINDER if name == ReminderKind.REMINDER else AutomationKind(name)


def _changed(subject_id: UUID, jobs: list[Job], message: str) -> Answer:
    return Answer(
        {
            "subjectId": str(subject_id),
            "kinds": sorted({job.kind.value for job in jobs}),
            "count": len(jobs),
        },
        message,
    )


def _letter_json(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": str(letter.id),
        "subjectId": str(letter.subject_id),
        "sessionId": str(letter.session_id) if letter.session_id is not None else None,
        "counselingId": str(letter.counseling_id),
        "kind": letter.kind,
        "dueAt": iso(letter.due_at),
        "attempts": letter.attempts,
        "failedAt": iso(letter.failed_at),
        "error": letter.error,
    }


def _webhook_json(delivery: DeadDelivery) -> dict[str, Any]:
    return {
        "id": str(delivery.id),
        "type": delivery.type,
        "endpoint": place_of(delivery.endpoint),
        "createdAt": iso(delivery.created_at),
        "attempts": delivery.attempts,
        "lastStatus": delivery.last_status,
    }


ROUTES = (
    Route(
        method="GET",
        path="/operations/dead-letters",
        handler=list_dead_letters,
        summary="List what was given up",
        tag="Operations",
        done="The dead letters of the page.",
        message="Dead letters retrieved successfully",
        roles=permissions.ADMINISTRATORS,
        query=schemas.PageQuery,
        data=schemas.DeadLettersAnswer,
    ),
    Route(
        method="POST",
        path="/operations/dead-letters/retry",
        handler=retry_dead_letters,
        summary="Try again what was given up",
        tag="Operations",
        done="What is scheduled again.",
        message="Dead letters scheduled again",
        roles=permissions.ADMINISTRATORS,
        body=schemas.RetryRequest,
        data=schemas.DeadLetterChange,
    ),
    Route(
        method="POST",
        path="/operations/dead-letters/drop",
        handler=drop_dead_letters,
        summary="Drop what was given up",
        tag="Operations",
        done="What was dropped.",
        message="Dead letters dropped",
        roles=permissions.ADMINISTRATORS,
        body=schemas.DropRequest,
        data=schemas.DeadLetterChange,
    ),
    Route(
        method="GET",
        path="/operations/dead-webhooks",
        handler=list_dead_webhooks,
        summary="List webhooks that were given up",
        tag="Operations",
        done="The webhooks of the page.",
        message="Dead webhooks retrieved successfully",
        roles=permissions.ADMINISTRATORS,
        query=schemas.PageQuery,
        data=schemas.DeadWebhooksAnswer,
    ),
    Route(
        method="POST",
        path="/operations/dead-webhooks/retry",
        handler=retry_dead_webhooks,
        summary="Try again webhooks that were given up",
        tag="Operations",
        done="How many are scheduled again.",
        message="Webhooks scheduled again",
        roles=permissions.ADMINISTRATORS,
        body=schemas.RetryWebhooksRequest,
        data=schemas.WebhooksRetried,
    ),
)

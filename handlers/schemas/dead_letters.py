"""The shapes of what was given up, and of what those have changed who run the service."""

from __future__ import annotations

from typing import Final

from marshmallow import Schema, fields, validate

from handlers.schemas.answers import AnswerSchema, PageAnswer, Person
from handlers.schemas.parts import (
    COUNSELING_ID,
    SESSION_ID,
    START,
    about,
    choice,
    identity,
    instant,
    number,
    text,
)
from rdchat.domain.operator_action import BEGUN, DONE, ActionKind, SubjectType
from rdchat.redis.delay_queue import ReminderKind
from statemachine import AutomationKind

KINDS: Final = (*(kind.value for kind in AutomationKind), ReminderKind.REMINDER.value)
_LETTER_ID: Final = "7f3d5b81-0e2c-4a96-b7d4-18c5e90fa263"
_WEBHOOK_ID: Final = "9d0b6c34-5e17-5f82-8a4b-c3e2d1f70695"
_ACTION_ID: Final = "c85e1f27-b3a0-4d69-92f8-6a7d04e5b1c3"
_ADMINISTRATOR: Final = {"id": "e2a94d06-7c1b-4f35-8e60-b9d2c7a5f418", "fullName": "Rina Hartono"}
_FAILED_AT: Final = "2030-01-15T07:01:12.480Z"
_DROPPED_AT: Final = "2030-01-15T07:05:30.120Z"
_MOST_IDS: Final = 100


def _subject() -> fields.UUID:
    words = about(
        "The `subjectId` of the list: a session's id, or for `reminder` a counselling's.", SESSION_ID
    )
    return fields.UUID(required=True, data_key="subjectId", metadata=words)


class RetryRequest(Schema):
    """Choose which dead letters are tried again."""

    subject_id = _subject()
    kind = fields.String(
        load_default=None,
        validate=validate.OneOf(KINDS),
        metadata=about("Only those of this kind. Without it, all of the session or counselling."),
    )


class DropRequest(Schema):
    """Choose which dead letters are dropped."""

    subject_id = _subject()
    kind = fields.String(
        required=True,
        validate=validate.OneOf(KINDS),
        metadata=about("Of which kind.", AutomationKind.END_WARNING.value),
    )


class RetryWebhooksRequest(Schema):
    """Choose which dead webhooks are tried again. The body may be left out."""

    ids = fields.List(
        fields.UUID(),
        load_default=None,
        allow_none=True,
        validate=validate.Length(min=1, max=_MOST_IDS),
        metadata=about("Their ids. Without it, all.", [_WEBHOOK_ID]),
    )


class DeadLetterAnswer(AnswerSchema):
    """An automation or a reminder that was given up."""

    id = identity("id", "Its id, for lists.", _LETTER_ID)
    subject_id = identity("subjectId", "What it is retried and dropped by.", SESSION_ID)
    session_id = identity(
        "sessionId",
        "The session; null for a reminder of a counselling without one.",
        SESSION_ID,
        allow_none=True,
    )
    counseling_id = identity("counselingId", "The counselling.", COUNSELING_ID)
    kind = choice("kind", "What it was to do.", KINDS)
    due_at = instant("dueAt", "When it was due.", START)
    attempts = number("attempts", "How often it was tried.", 8)
    failed_at = instant("failedAt", "When it was given up.", _FAILED_AT)
    error = text("error", "The class of what failed last. Its text is in the log.", "UndefinedTableError")


class DeadLettersAnswer(PageAnswer):
    """Dead letters, the earliest due first."""

    data = fields.List(fields.Nested(DeadLetterAnswer), required=True, metadata=about("The dead letters."))


class DeadLetterChange(AnswerSchema):
    """What was scheduled again, or dropped."""

    subject_id = identity("subjectId", "The session's id, or the counselling's.", SESSION_ID)
    kinds = fields.List(
        fields.String(validate=validate.OneOf(KINDS)),
        required=True,
        metadata=about("Of which kinds.", [AutomationKind.END_WARNING.value]),
    )
    count = number("count", "How many: 0 where there were none (any more).", 1)


class DeadWebhook(AnswerSchema):
    """A webhook that was given up."""

    id = identity("id", "Its id: the receiver knows it as `webhook-id`.", _WEBHOOK_ID)
    type = text("type", "What it was about.", "session_completed")
    endpoint = text(
        "endpoint", "The address that it was to go to, without its query.", "https://hooks.example/in"
    )
    created_at = instant("createdAt", "When it was made.", START)
    attempts = number("attempts", "How often it was tried.", 12)
    last_status = number(
        "lastStatus", "What the receiver answered last; null without an answer.", 503, allow_none=True
    )


class DeadWebhooksAnswer(PageAnswer):
    """Dead webhooks, oldest first."""

    data = fields.List(fields.Nested(DeadWebhook), required=True, metadata=about("The webhooks."))


class WebhooksRetried(AnswerSchema):
    """What is scheduled again."""

    count = number("count", "How many.", 1)


class ActionSubjectAnswer(AnswerSchema):
    """What an action was done to."""

    type = choice("type", "What it is.", SubjectType, SubjectType.SESSION)
    id = identity("id", "Its id.", SESSION_ID)


class OperatorActionAnswer(AnswerSchema):
    """What one has changed who runs the service, or oversees it."""

    id = identity("id", "The action's id.", _ACTION_ID)
    at = instant("at", "When it was done.", _DROPPED_AT)
    actor = fields.Nested(
        Person,
        required=True,
        allow_none=True,
        metadata=about("Who did it; null for one at the command line.", _ADMINISTRATOR),
    )
    action = choice("action", "What was done.", ActionKind, ActionKind.DROP_AUTOMATION)
    subject = fields.Nested(ActionSubjectAnswer, required=True, metadata=about("What it was done to."))
    detail = text(
        "detail",
        "The kind of the dead letter, or the type of the webhook; null otherwise.",
        AutomationKind.END_WARNING.value,
        allow_none=True,
    )
    outcome = text(
        "outcome",
        f"`{DONE}`, or the code of the refusal; `{BEGUN}`: of this, no more is known.",
        DONE,
    )
    request_id = text(
        "requestId",
        "The id of the request, as in the header `X-Request-Id`; null at the command line.",
        "9f0c2e5b7a4d4c1e8b6f3a2d1c0e9f8a",
        allow_none=True,
    )


class OperatorActionsAnswer(PageAnswer):
    """What was changed, latest first."""

    data = fields.List(fields.Nested(OperatorActionAnswer), required=True, metadata=about("The actions."))

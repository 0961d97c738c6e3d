"""The shapes of what is written down of a session: its timeline, its transcript."""

from __future__ import annotations

from typing import Final

from marshmallow import fields

from handlers.schemas.answers import AnswerSchema, SessionAnswer
from handlers.schemas.chat_answers import MessageAnswer
from handlers.schemas.parts import END, OPENED_AT, START, about, choice, instant, number, text
from statemachine import AutomationKind, AutomationStatus, Cancel, EndSession, Extend, Reschedule, Status

#: What makes a line of a timeline: the booking, a timer, or a person.
_TRIGGERS: Final = (
    "book",
    *AutomationKind,
    EndSession.trigger,
    Cancel.trigger,
    Reschedule.trigger,
    Extend.trigger,
)
#: What a line of a timeline says of a timer.
_OUTCOMES: Final = (AutomationStatus.DONE, AutomationStatus.SKIPPED, AutomationStatus.CANCELLED)


class TimelineAnswer(AnswerSchema):
    """One thing that happened to a session; for timers, also that one was called off."""

    trigger = choice("trigger", "What happened.", _TRIGGERS, AutomationKind.ENABLE_CHAT)
    from_status = choice("from", "Where the session stood before.", Status, Status.PENDING)
    to_status = choice("to", "Where it stood after.", Status, Status.ACTIVE)
    actor_id = fields.UUID(
        required=True,
        allow_none=True,
        data_key="actorId",
        metadata=about("Who did it; null for a timer.", example=None),
    )
    planned_at = instant("plannedAt", "When the timer was due; null for people.", START, allow_none=True)
    at = instant("at", "When it happened.", OPENED_AT)
    lateness_ms = number(
        "latenessMs",
        "How long after `plannedAt`, in milliseconds; null for people, and for what was not run.",
        12,
        allow_none=True,
    )
    outcome = choice(
        "outcome",
        "What became of the timer; null for people.",
        _OUTCOMES,
        AutomationStatus.DONE,
        allow_none=True,
    )
    reason = text(
        "reason",
        "Why the timer was skipped or cancelled, such as `ended_by_client`; null otherwise.",
        None,
        allow_none=True,
    )


class TranscriptAnswer(AnswerSchema):
    """A session with all that was said in it."""

    session = fields.Nested(SessionAnswer, required=True, metadata=about("The session."))
    messages = fields.List(
        fields.Nested(MessageAnswer), required=True, metadata=about("Every message, oldest first.")
    )
    generated_at = instant("generatedAt", "When the transcript was made.", END)

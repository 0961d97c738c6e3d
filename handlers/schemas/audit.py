"""The shapes of the audit: what administrators look through, and who has opened a chat."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from handlers.schemas.answers import AnswerSchema, PageAnswer, Person
from handlers.schemas.parts import (
    CLIENT_ID,
    COUNSELING_ID,
    DATE,
    END,
    OPENED_AT,
    PERSON_ID,
    SESSION_ID,
    Moment,
    about,
    choice,
    identity,
    instant,
    number,
    page_cursor,
    page_size,
    text,
    time_zone,
)
from rdchat.domain.audit import DONE, AuditKind


class AuditQuery(Schema):
    """Choose entries of the audit."""

    kind = fields.String(
        load_default=None,
        validate=validate.OneOf([kind.value for kind in AuditKind]),
        metadata=about("Only entries of this kind. Without it, all."),
    )
    person_id = fields.UUID(
        load_default=None,
        data_key="personId",
        metadata=about("Only what this person did, or what was done to them.", PERSON_ID),
    )
    session_id = fields.UUID(
        load_default=None,
        data_key="sessionId",
        metadata=about("Only what is about this session.", SESSION_ID),
    )
    since = Moment(
        load_default=None,
        data_key="from",
        metadata=about("Only what happened then or later: an instant, or a day in `timezone`.", DATE),
    )
    until = Moment(
        load_default=None,
        data_key="to",
        metadata=about("Only what happened before an instant, or on a day in `timezone` or before.", END),
    )
    timezone = time_zone("The time zone of days")
    cursor = page_cursor()
    limit = page_size()


class AuditEntryAnswer(AnswerSchema):
    """Something that was done, seen or refused."""

    id = identity("id", "The entry's id.", "0b0f7f0e-58a4-4a34-9d1a-6a2f7c0f9a11")
    at = instant("at", "When it happened.", OPENED_AT)
    kind = choice("kind", "What it is about.", AuditKind, AuditKind.CONTENT_READ)
    action = text("action", "The operation, the transition, or what was looked at.", "history")
    outcome = text("outcome", f"`{DONE}`, the new state of a session, or the code of a refusal.", DONE)
    actor_id = fields.UUID(
        required=True,
        allow_none=True,
        data_key="actorId",
        metadata=about(
            "Who did it; null for a timer, the command line, and those who are not known.", CLIENT_ID
        ),
    )
    subject_id = fields.UUID(
        required=True,
        allow_none=True,
        data_key="subjectId",
        metadata=about("What it was done to: a counselling, a person, an attachment.", COUNSELING_ID),
    )
    session_id = fields.UUID(
        required=True,
        allow_none=True,
        data_key="sessionId",
        metadata=about("The session that it is about.", SESSION_ID),
    )
    occurrences = number("occurrences", "How often, where several refusals of a kind are one entry.", 1)
    detail = fields.Dict(
        required=True,
        allow_none=True,
        keys=fields.String(),
        values=fields.String(),
        metadata=about(
            "What else is known, as a reason; null where there is nothing, or where its key was destroyed.",
            {"reason": "Asked for by the clinic"},
        ),
    )


class AuditAnswer(PageAnswer):
    """Entries of the audit, latest first."""

    data = fields.List(fields.Nested(AuditEntryAnswer), required=True, metadata=about("The entries."))


class SessionReaderAnswer(AnswerSchema):
    """Someone who opened a chat."""

    at = instant("at", "When.", OPENED_AT)
    person = fields.Nested(
        Person,
        required=True,
        allow_none=True,
        metadata=about(
            "Who; null for those who run the service, at the command line.",
            {"id": CLIENT_ID, "fullName": "Budi Santoso"},
        ),
    )
    kind = choice("kind", "Looked at, or taken along.", (AuditKind.CONTENT_READ, AuditKind.PERSON_EXPORTED))
    action = text(
        "action", "What of it: `history`, `transcript`, `attachment` or `booking_notes`.", "history"
    )


class SessionReadersAnswer(PageAnswer):
    """Who opened a chat, latest first."""

    data = fields.List(fields.Nested(SessionReaderAnswer), required=True, metadata=about("Who, and when."))

"""The shapes of what goes out. Answers are made in `presenters`; here they are documented."""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, Schema, fields

from handlers.schemas.parts import (
    BOOKED_AT,
    BUDI,
    CLIENT_ID,
    COUNSELING_ID,
    CURSOR,
    END,
    MESSAGE_ID,
    METHODS,
    OPENED_AT,
    PSYCHOLOGIST_ID,
    SAID,
    SAID_AT,
    SARI,
    SESSION_ID,
    START,
    ZONE,
    about,
    choice,
    identity,
    instant,
    number,
    text,
    yes_no,
)
from rdchat.domain.message import LONGEST_PREVIEW, MessageType
from statemachine import AutomationKind, AutomationStatus, EndReason, SessionOutcome, Status


class AnswerSchema(Schema):
    """Something that the service says. Fields may be added: programs leave alone what they do not know."""

    class Meta:
        """Not closed to further fields, unlike requests."""

        unknown = EXCLUDE


class PageAnswer(AnswerSchema):
    """A page of a list that can grow. The other half of every such page is its `data`."""

    next_cursor = text(
        "nextCursor", "The `cursor` of the next page; null on the last one.", CURSOR, allow_none=True
    )


def person(description: str, example: dict[str, str]) -> fields.Nested:
    """Describe a field that holds a person."""
    return fields.Nested(Person, required=True, metadata=about(description, example))


# ---- people -----------------------------------------------------------------------------------------------


class Person(AnswerSchema):
    """A person, by id and name."""

    id = identity("id", "Their id: the `sub` of their tokens.", PSYCHOLOGIST_ID)
    full_name = text("fullName", "Their name, for display.", SARI["fullName"])


class PsychologistAnswer(Person):
    """A psychologist whom clients can book."""

    timezone = text("timezone", "The time zone they work in.", ZONE)
    is_active = yes_no("isActive", "Whether clients can book them.", example=True)


class PsychologistsAnswer(PageAnswer):
    """Psychologists, by name."""

    data = fields.List(fields.Nested(PsychologistAnswer), required=True, metadata=about("The psychologists."))


class AffectedCounseling(AnswerSchema):
    """A counselling that does not fit into the working time of its psychologist any more."""

    id = identity("id", "The counselling's id.", COUNSELING_ID)
    method = choice("method", "How they meet.", METHODS)
    starts_at = instant("startsAt", "When it starts.", START)
    ends_at = instant("endsAt", "When it ends.", END)
    client = fields.Nested(
        Person,
        required=True,
        allow_none=True,
        metadata=about("Who has booked it; null for those who may not know.", BUDI),
    )


def affected() -> fields.List[Any]:
    """Make the field for what does not fit any more."""
    words = about("What is booked and does not fit (any more), earliest first: all of it, each time.")
    return fields.List(fields.Nested(AffectedCounseling), required=True, metadata=words)


class SavedPsychologist(PsychologistAnswer):
    """A psychologist, as they were saved."""

    affected = affected()


# ---- sessions ---------------------------------------------------------------------------------------------


class AutomationAnswer(AnswerSchema):
    """One step that a session takes by itself. `latenessMs` counts from `dueAt`."""

    kind = choice("kind", "Which step.", AutomationKind, AutomationKind.ENABLE_CHAT)
    due_at = instant("dueAt", "When it is to run.", START)
    status = choice("status", "What became of it.", AutomationStatus, AutomationStatus.DONE)
    executed_at = instant("executedAt", "When it was run; null if it was not.", OPENED_AT, allow_none=True)
    lateness_ms = number(
        "latenessMs", "How long after `dueAt` it was run, in milliseconds.", 12, allow_none=True
    )
    reason = text(
        "reason",
        "Why it was skipped or cancelled, or how it failed; null otherwise. Such as `start_was_due`.",
        None,
        allow_none=True,
    )


class SessionAnswer(AnswerSchema):
    """A chat session."""

    id = identity("id", "The session's id.", SESSION_ID)
    counseling_id = identity("counselingId", "The counselling that it belongs to.", COUNSELING_ID)
    client_id = identity("clientId", "The client's id.", CLIENT_ID)
    psychologist_id = identity("psychologistId", "The psychologist's id.", PSYCHOLOGIST_ID)
    client = person("The client.", BUDI)
    psychologist = person("The psychologist.", SARI)
    status = choice("status", "Where the session stands.", Status, Status.ACTIVE)
    is_active = yes_no(
        "isActive", "Whether the session is going on: `active` or `ending_soon`.", example=True
    )
    is_chat_enabled = yes_no(
        "isChatEnabled", "Whether the two participants can send messages now.", example=True
    )
    scheduled_at = instant("scheduledAt", "When the chat is to open.", START)
    ends_at = instant("endsAt", "When it is to close.", END)
    started_at = instant("startedAt", "When it opened; null before.", OPENED_AT, allow_none=True)
    ended_at = instant("endedAt", "When it was over; null before.", None, allow_none=True)
    end_reason = choice(
        "endReason",
        "Why it is over; null before. `missed`: it could not be opened in time.",
        EndReason,
        None,
        allow_none=True,
    )
    outcome = choice(
        "outcome",
        "Who was there, once it is completed; null otherwise. One who neither wrote nor listened was absent.",
        SessionOutcome,
        None,
        allow_none=True,
    )
    last_seq = number("lastSeq", "The `seq` of the newest message; 0 without any.", 3)
    automations = fields.List(
        fields.Nested(AutomationAnswer),
        required=True,
        metadata=about("The steps that the session takes by itself."),
    )
    created_at = instant("createdAt", "When it was booked.", BOOKED_AT)
    updated_at = instant("updatedAt", "When it last changed.", SAID_AT)


class LastMessage(AnswerSchema):
    """The newest message of a session, in short."""

    id = identity("id", "The message's id.", MESSAGE_ID)
    seq = number("seq", "Its number in the session.", 3)
    sender_id = identity("senderId", "Who sent it.", CLIENT_ID)
    message_type = choice("messageType", "What kind of message it is.", tuple(MessageType))
    preview = text(
        "preview",
        f"Its text on one line, cut to {LONGEST_PREVIEW} characters; of a file without a caption, its name.",
        SAID,
    )
    created_at = instant("createdAt", "When it was sent.", SAID_AT)


class MarkedSession(SessionAnswer):
    """A chat session, with marks of how far its two participants have read."""

    read_up_to_seq = fields.Integer(
        data_key="readUpToSeq",
        metadata=about(
            "The `seq` of the newest message that the caller has read; 0 before. Left out for those who "
            "oversee.",
            2,
        ),
    )
    other_read_up_to_seq = fields.Integer(
        data_key="otherReadUpToSeq",
        metadata=about(
            "The `seq` of the newest message that the other participant has read; 0 before. Left out for "
            "those who oversee.",
            3,
        ),
    )


class ListedSession(MarkedSession):
    """A chat session in a list."""

    unread_count = fields.Integer(
        data_key="unreadCount",
        metadata=about(
            "How many messages of the other the caller has not read. Left out for those who oversee.", 1
        ),
    )
    last_message = fields.Nested(
        LastMessage,
        allow_none=True,
        data_key="lastMessage",
        metadata=about("The newest message; null without any. Left out for those who oversee."),
    )


class SessionsAnswer(PageAnswer):
    """Sessions, latest start first."""

    data = fields.List(fields.Nested(ListedSession), required=True, metadata=about("The sessions."))

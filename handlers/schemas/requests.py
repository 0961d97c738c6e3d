"""The shapes of what comes in. Requests are loaded by them; what they do not name is refused."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from config import LANGUAGES
from handlers.schemas.parts import (
    COUNSELING_STATUSES,
    CURSOR,
    DATE,
    END,
    LONGEST_MESSAGE,
    LONGEST_NAME,
    LONGEST_ZONE,
    METHODS,
    NEXT_DATE,
    OWN_ID,
    SAID,
    SARI,
    SESSION_ID,
    ZONE,
    CalendarDate,
    Moment,
    TrueOrFalse,
    WallTime,
    WholeNumber,
    about,
    identity,
    not_blank,
)
from statemachine import Status

_DRAWN_AS: Final = ("mermaid", "dot", "svg", "png", "json")


def _wall_time(key: str, description: str, example: str) -> WallTime:
    words = about(description, example, pattern=WallTime.PATTERN)
    return WallTime(required=True, data_key=key, metadata=words)


def _zone(description: str) -> fields.String:
    words = about(f"{description}, by its IANA name.")
    return fields.String(load_default=ZONE, validate=validate.Length(max=LONGEST_ZONE), metadata=words)


def _limit() -> fields.Integer:
    words = about("How many to give at most.")
    return fields.Integer(load_default=20, validate=validate.Range(min=1, max=100), metadata=words)


def _cursor() -> fields.String:
    words = about("Where to go on: `nextCursor` of the answer before. Without it, at the start.", CURSOR)
    return fields.String(load_default=None, validate=validate.Length(max=200), metadata=words)


# ---- counselling ------------------------------------------------------------------------------------------


class BookRequest(Schema):
    """Book a counselling. Date and times are what a clock shows in `timezone`."""

    method = fields.String(
        required=True,
        validate=validate.OneOf(METHODS),
        metadata=about("How they meet. Only `chat` has a chat session."),
    )
    date = CalendarDate(required=True, metadata=about("The day, in `timezone`.", DATE))
    start_time = _wall_time("startTime", "When it starts: `HH:MM` or `HH:MM:SS`. In the future.", "14:00")
    end_time = _wall_time("endTime", "When it ends, on the same day.", "15:00")
    timezone = _zone("The time zone of date and times")
    notes = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=2000),
        metadata=about("For the psychologist; stored encrypted.", "Sudah dua minggu sulit tidur."),
    )
    # No example: a request that is sent as it is shown leaves the choice to the service.
    psychologist_id = fields.UUID(
        load_default=None,
        allow_none=True,
        data_key="psychologistId",
        metadata=about("Who it is with. Without it, the free one with the fewest counsellings that day."),
    )
    language = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.OneOf(LANGUAGES),
        metadata=about(
            "The language of what the chat says by itself. Without it, that of the client's organisation, or "
            "of the installation."
        ),
    )


class RescheduleRequest(Schema):
    """Move a counselling that has not begun."""

    date = CalendarDate(required=True, metadata=about("The new day, in `timezone`.", NEXT_DATE))
    start_time = _wall_time("startTime", "When it is to start: `HH:MM` or `HH:MM:SS`.", "16:00")
    end_time = _wall_time("endTime", "When it is to end, on the same day.", "17:00")
    timezone = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=LONGEST_ZONE),
        metadata=about("The time zone of date and times. Without it, the one it was booked in.", ZONE),
    )


class CancelRequest(Schema):
    """Cancel a counselling. The body may be left out."""

    reason = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=500),
        metadata=about("Why; kept with the counselling.", "Saya sedang sakit."),
    )


class PsychologistRequest(Schema):
    """Create or change a psychologist. What is left out gets its default, also in a change."""

    full_name = fields.String(
        required=True,
        data_key="fullName",
        validate=[validate.Length(min=1, max=LONGEST_NAME), not_blank],
        metadata=about("The name that clients see.", SARI["fullName"]),
    )
    timezone = _zone("The time zone they work in")
    is_active = TrueOrFalse(
        load_default=True,
        data_key="isActive",
        metadata=about("Whether clients can book them."),
    )


# ---- chat -------------------------------------------------------------------------------------------------


class MessageRequest(Schema):
    """Send a message."""

    session_id = identity("sessionId", "The session to write in.", SESSION_ID)
    message = fields.String(
        required=True,
        validate=[validate.Length(min=1, max=LONGEST_MESSAGE), not_blank],
        metadata=about("The text; not only white space.", SAID),
    )
    message_type = fields.String(
        load_default="text",
        data_key="messageType",
        validate=validate.OneOf(("text",)),
        metadata=about("What kind of message it is."),
    )
    client_message_id = fields.String(
        load_default=None,
        allow_none=True,
        data_key="clientMessageId",
        validate=validate.Length(min=1, max=128),
        metadata=about("Your own id of the message. Repeat it to send safely twice.", OWN_ID),
    )


class ExtendRequest(Schema):
    """Extend an open session."""

    minutes = WholeNumber(
        required=True,
        validate=validate.Range(min=1, max=1440),
        metadata=about("By how many minutes: a multiple of the service's step, five unless it says so.", 15),
    )


class ReadRequest(Schema):
    """Say how far one has read. The body may be left out."""

    up_to_seq = WholeNumber(
        load_default=None,
        allow_none=True,
        data_key="upToSeq",
        validate=validate.Range(min=1, max=2**53),
        metadata=about("The `seq` of the newest message that was read. Without it, all there is.", 3),
    )


class TypingRequest(Schema):
    """Say that one is typing, or no longer."""

    session_id = identity("sessionId", "The session one is typing in.", SESSION_ID)
    is_typing = TrueOrFalse(
        required=True,
        data_key="isTyping",
        metadata=about("True on starting, false on stopping.", example=True),
    )


class SessionQuery(Schema):
    """Name a session."""

    session_id = identity("sessionId", "The session's id.", SESSION_ID)


class TokenQuery(SessionQuery):
    """Ask for a token, as an Ably JWT or as a TokenRequest."""

    format = fields.String(
        load_default="jwt",
        validate=validate.OneOf(("jwt", "tokenRequest")),
        metadata=about("What `token` is to be: an Ably JWT, or a signed TokenRequest."),
    )


class HistoryQuery(SessionQuery):
    """Choose a part of the history: a page (1 is the newest), or what lies before or after a seq."""

    page = fields.Integer(
        load_default=1,
        validate=validate.Range(min=1, max=10_000_000),
        metadata=about("Which page; 1 is the newest. Without effect beside `before` or `after`."),
    )
    limit = _limit()
    before = fields.Integer(
        load_default=None,
        validate=validate.Range(min=1, max=2**53),
        metadata=about("Only messages with a smaller `seq`, the nearest ones. Not beside `after`.", 41),
    )
    after = fields.Integer(
        load_default=None,
        validate=validate.Range(min=0, max=2**53),
        metadata=about("Only messages with a greater `seq`, the nearest ones. Not beside `before`.", 40),
    )

    @validates_schema
    def one_way(self, data: dict[str, Any], **_kwargs: Any) -> None:  # noqa: ANN401 - marshmallow's signature
        """Refuse two ways of paging at once."""
        if data.get("before") is not None and data.get("after") is not None:
            raise ValidationError("Give before or after, not both.", "before")


# ---- lists ------------------------------------------------------------------------------------------------


class SessionsQuery(Schema):
    """Choose sessions."""

    status = fields.String(
        load_default=None,
        validate=validate.OneOf([status.value for status in Status]),
        metadata=about("Only sessions in this state. Without it, all."),
    )
    cursor = _cursor()
    limit = _limit()


class PageQuery(Schema):
    """Choose a page."""

    cursor = _cursor()
    limit = _limit()


class CounselingsQuery(Schema):
    """Choose counsellings, by where they stand and by when they start."""

    status = fields.String(
        load_default=None,
        validate=validate.OneOf(COUNSELING_STATUSES),
        metadata=about("Only counsellings that stand here. Without it, all."),
    )
    since = Moment(
        load_default=None,
        data_key="from",
        metadata=about("Only those that start then or later: an instant, or a day in `timezone`.", DATE),
    )
    until = Moment(
        load_default=None,
        data_key="to",
        metadata=about("Only those that start before an instant, or on a day in `timezone` or before.", END),
    )
    timezone = _zone("The time zone of days")
    cursor = _cursor()
    limit = _limit()


class DiagramQuery(Schema):
    """Choose the form of the diagram."""

    format = fields.String(
        load_default="mermaid",
        validate=validate.OneOf(_DRAWN_AS),
        metadata=about("The form: Mermaid or Graphviz source, a picture, or the machine as JSON."),
    )


class TranscriptQuery(Schema):
    """Choose the form of the transcript."""

    format = fields.String(
        load_default="json",
        validate=validate.OneOf(("json", "txt", "html")),
        metadata=about("The form: JSON, plain text, or a page to read, keep and print."),
    )

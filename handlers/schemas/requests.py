"""The shapes of what comes in. Requests are loaded by them; what they do not name is refused."""

from __future__ import annotations

from typing import Final

from marshmallow import Schema, fields, validate

from config import LANGUAGES
from handlers.schemas.parts import (
    COUNSELING_STATUSES,
    CURSOR,
    DATE,
    END,
    LONGEST_NAME,
    LONGEST_ZONE,
    METHODS,
    NEXT_DATE,
    SARI,
    ZONE,
    CalendarDate,
    Moment,
    TrueOrFalse,
    WallTime,
    about,
    not_blank,
    page_size,
)
from statemachine import Status

_DRAWN_AS: Final = ("mermaid", "dot", "svg", "png", "json")


def _wall_time(key: str, description: str, example: str) -> WallTime:
    words = about(description, example, pattern=WallTime.PATTERN)
    return WallTime(required=True, data_key=key, metadata=words)


def _zone(description: str) -> fields.String:
    words = about(f"{description}, by its IANA name.")
    return fields.String(load_default=ZONE, validate=validate.Length(max=LONGEST_ZONE), metadata=words)


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
    """Create or change a psychologist. What is left out stays as it is."""

    full_name = fields.String(
        data_key="fullName",
        validate=[validate.Length(min=1, max=LONGEST_NAME), not_blank],
        metadata=about("The name that clients see. A new one needs it.", SARI["fullName"]),
    )
    timezone = fields.String(
        validate=validate.Length(max=LONGEST_ZONE),
        metadata=about(
            "The time zone they work in, by its IANA name. That of a new one is `Asia/Jakarta` unless said.",
            ZONE,
        ),
    )
    is_active = TrueOrFalse(
        data_key="isActive",
        metadata=about("Whether clients can book them. A new one can be booked unless said.", example=True),
    )


# ---- lists ------------------------------------------------------------------------------------------------


class SessionsQuery(Schema):
    """Choose sessions."""

    status = fields.String(
        load_default=None,
        validate=validate.OneOf([status.value for status in Status]),
        metadata=about("Only sessions in this state. Without it, all."),
    )
    cursor = _cursor()
    limit = page_size()


class PageQuery(Schema):
    """Choose a page."""

    cursor = _cursor()
    limit = page_size()


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
    limit = page_size()


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

"""The shapes of what comes in. Requests are loaded by them; what they do not name is refused."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from config import LANGUAGES
from handlers.schemas.parts import (
    COUNSELING_STATUSES,
    CURSOR,
    DATE,
    END,
    LONGEST_ZONE,
    METHODS,
    SARI,
    ZONE,
    CalendarDate,
    EndTime,
    Instant,
    Moment,
    TrueOrFalse,
    WallTime,
    a_name,
    about,
    page_size,
)
from rdchat.domain.booking import ByClock, ByInstants, Times
from rdchat.domain.person import LONGEST_NAME
from statemachine import Status

_BY_CLOCK: Final = ("date", "startTime", "endTime", "endDate")
_BY_INSTANTS: Final = ("startsAt", "endsAt")
_DRAWN_AS: Final = ("mermaid", "dot", "svg", "png", "json")


def _wall_time(key: str, description: str, example: str) -> WallTime:
    words = about(description, example, pattern=WallTime.PATTERN)
    return WallTime(load_default=None, data_key=key, metadata=words)


def _zone(description: str) -> fields.String:
    words = about(f"{description}, by its IANA name.")
    return fields.String(load_default=ZONE, validate=validate.Length(max=LONGEST_ZONE), metadata=words)


def _cursor() -> fields.String:
    words = about("Where to go on: `nextCursor` of the answer before. Without it, at the start.", CURSOR)
    return fields.String(load_default=None, validate=validate.Length(max=200), metadata=words)


# ---- counselling ------------------------------------------------------------------------------------------


class TimesRequest(Schema):
    """When it is to take place: by the clock, or as two instants. Loaded as `times`."""

    date = CalendarDate(load_default=None, metadata=about("The day, in `timezone`.", DATE))
    start_time = _wall_time("startTime", "When it starts: `HH:MM` or `HH:MM:SS`. In the future.", "14:00")
    end_time = EndTime(
        load_default=None,
        data_key="endTime",
        metadata=about(
            "When it ends. At or before `startTime`, or `24:00`: on the next day.",
            "15:00",
            pattern=EndTime.PATTERN,
            type="string",
        ),
    )
    end_date = CalendarDate(
        load_default=None,
        data_key="endDate",
        metadata=about("The day on which it ends, if `endTime` alone does not say it."),
    )
    timezone = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=LONGEST_ZONE),
        metadata=about("The time zone of date and times, by its IANA name.", ZONE),
    )
    starts_at = Instant(
        load_default=None,
        data_key="startsAt",
        metadata=about("When it starts, with `endsAt` and instead of date and times."),
    )
    ends_at = Instant(load_default=None, data_key="endsAt", metadata=about("When it ends."))

    @validates_schema(pass_original=True)
    def one_way(self, _data: dict[str, Any], original: dict[str, Any], **_kwargs: Any) -> None:  # noqa: ANN401 - marshmallow's signature
        """Refuse times that are said in both ways, or in half of one."""
        given = {name for name in original if name in _BY_CLOCK or name in _BY_INSTANTS}
        needed = _BY_INSTANTS if given and given <= set(_BY_INSTANTS) else _BY_CLOCK[:3]
        faults = {name: ["Missing data for required field."] for name in needed if name not in given}
        if given & set(_BY_INSTANTS) and given & set(_BY_CLOCK):
            faults = {name: ["Not together with startsAt and endsAt."] for name in _BY_CLOCK if name in given}
        if faults:
            raise ValidationError(faults)

    @post_load
    def as_times(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - marshmallow's signature
        """Put what was said of the time together."""
        day, start, end = data.pop("date"), data.pop("start_time"), data.pop("end_time")
        end_date, starts_at, ends_at = data.pop("end_date"), data.pop("starts_at"), data.pop("ends_at")
        times: Times = (
            ByClock(day, start, end, end_date) if starts_at is None else ByInstants(starts_at, ends_at)
        )
        return {**data, "times": times}


class BookRequest(TimesRequest):
    """Book a counselling. Date and times are what a clock shows in `timezone`, or else in Asia/Jakarta."""

    method = fields.String(
        required=True,
        validate=validate.OneOf(METHODS),
        metadata=about("How they meet. Only `chat` has a chat session."),
    )
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


class RescheduleRequest(TimesRequest):
    """Move a counselling that has not begun. Without `timezone`, date and times are those of the caller's."""


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
        validate=[validate.Length(min=1, max=LONGEST_NAME), a_name],
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

"""The shapes of counsellings: how one is booked, moved, cancelled and shown."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from config import LANGUAGES
from handlers.schemas.answers import AnswerSchema, PageAnswer, person
from handlers.schemas.parts import (
    BUDI,
    COUNSELING_ID,
    COUNSELING_STATUSES,
    DATE,
    END,
    LONGEST_ZONE,
    METHODS,
    PSYCHOLOGIST_ID,
    SARI,
    SESSION_ID,
    START,
    ZONE,
    CalendarDate,
    EndTime,
    Instant,
    WallTime,
    about,
    choice,
    identity,
    instant,
    text,
    yes_no,
)
from rdchat.domain.booking import ByClock, ByInstants, Times
from statemachine import Status

_BY_CLOCK: Final = ("date", "startTime", "endTime", "endDate")
_BY_INSTANTS: Final = ("startsAt", "endsAt")


def _wall_time(key: str, description: str, example: str) -> WallTime:
    words = about(description, example, pattern=WallTime.PATTERN)
    return WallTime(load_default=None, data_key=key, metadata=words)


# ---- what comes in ----------------------------------------------------------------------------------------


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
        given = {name for name in (*_BY_CLOCK, *_BY_INSTANTS) if original.get(name) is not None}
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


class ReassignRequest(Schema):
    """Hand a counselling over."""

    psychologist_id = fields.UUID(
        required=True,
        data_key="psychologistId",
        metadata=about("Who is to have it. They have to work then, and to have room.", PSYCHOLOGIST_ID),
    )


class CancelRequest(Schema):
    """Cancel a counselling. The body may be left out."""

    reason = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=500),
        metadata=about(
            "Why: both are shown it, the other in the notification as well. Stored encrypted.",
            "Saya sedang sakit.",
        ),
    )


# ---- what goes out ----------------------------------------------------------------------------------------


class BookedSession(AnswerSchema):
    """The chat session of a counselling."""

    session_id = identity("sessionId", "The session's id.", SESSION_ID)
    status = choice("status", "Where the session stands.", Status)
    is_chat_enabled = yes_no("isChatEnabled", "Whether messages can be sent now.", example=False)
    scheduled_at = instant("scheduledAt", "When the chat is to open.", START)
    ends_at = instant("endsAt", "When it is to close.", END)


class CounselingAnswer(AnswerSchema):
    """A counselling: wall time, zone, and the instants they mean."""

    id = identity("id", "The counselling's id.", COUNSELING_ID)
    method = choice("method", "How they meet.", METHODS)
    status = choice(
        "status",
        "Where the counselling stands. By chat, as its session does; otherwise, as the time that was booked.",
        COUNSELING_STATUSES,
    )
    scheduled_at = instant("scheduledAt", "The instant at which it starts.", START)
    ends_at = instant("endsAt", "The instant at which it ends.", END)
    date = fields.Date(required=True, metadata=about("The day, in `timezone`.", DATE))
    start_time = text("startTime", "When it starts, in `timezone`.", "14:00")
    end_date = fields.Date(
        required=True, data_key="endDate", metadata=about("The day on which it ends, in `timezone`.", DATE)
    )
    end_time = text("endTime", "When it ends, in `timezone`.", "15:00")
    timezone = text("timezone", "The caller's own time zone for it.", ZONE)
    psychologist = person("Who it is with.", SARI)
    chat_session = fields.Nested(
        BookedSession,
        required=True,
        allow_none=True,
        data_key="chatSession",
        metadata=about("Its chat session; null unless `method` is `chat`."),
    )


def _calendar_file() -> fields.String:
    return text(
        "ics",
        "A calendar file (RFC 5545) with it, for a download. It says when, and not what or with whom.",
        "BEGIN:VCALENDAR\r\n…END:VCALENDAR\r\n",
    )


class BookedCounseling(CounselingAnswer):
    """A counselling that was booked, and the same for a calendar."""

    ics = _calendar_file()


class ListedCounseling(CounselingAnswer):
    """A counselling, who has booked it, and why it was cancelled."""

    client = person("Who has booked it.", BUDI)
    cancel_reason = text(
        "cancelReason",
        "What was written of why it was cancelled; null where nothing was, and for those who take no part.",
        None,
        allow_none=True,
    )


class CounselingWithNotes(ListedCounseling):
    """A counselling, what the client has written for the psychologist, and the same for a calendar."""

    notes = text(
        "notes",
        "The client's notes; null without any, and for those who take no part.",
        "Sudah dua minggu sulit tidur.",
        allow_none=True,
    )
    ics = _calendar_file()


class CounselingsAnswer(PageAnswer):
    """Counsellings, latest start first."""

    data = fields.List(fields.Nested(ListedCounseling), required=True, metadata=about("The counsellings."))

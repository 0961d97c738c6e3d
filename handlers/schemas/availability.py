"""The shapes of working hours, in and out."""

from __future__ import annotations

from datetime import time
from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from handlers.schemas.answers import AnswerSchema, affected
from handlers.schemas.parts import (
    DATE,
    LONGEST_ZONE,
    NOTHING,
    ZONE,
    CalendarDate,
    TrueOrFalse,
    WallTime,
    about,
    number,
    text,
    yes_no,
)

_MOST_WINDOWS: Final = 100
_MOST_EXCEPTIONS: Final = 366
_WEEKDAY: Final = "The day of the week: 1 is Monday, 7 Sunday."
_END_OF_HOURS: Final = "When they end; `00:00` is the end of the day."
_TAKEN_OR_ADDED: Final = (
    "False: the hours are taken away. True: they are added, also where others are taken away."
)


def _time(key: str, description: str, example: object = NOTHING, **kwargs: Any) -> WallTime:  # noqa: ANN401 - passed through
    words = about(description, example, pattern=WallTime.PATTERN)
    return WallTime(data_key=key, metadata=words, **kwargs)


# ---- hours, in --------------------------------------------------------------------------------------------


class WeeklyHoursSchema(Schema):
    """Hours on the same day of every week. Such that go over midnight are two: until `00:00`, and from it."""

    weekday = fields.Integer(
        required=True, strict=True, validate=validate.Range(min=1, max=7), metadata=about(_WEEKDAY, 2)
    )
    start_time = _time("startTime", "When they start.", "09:00", required=True)
    end_time = _time("endTime", _END_OF_HOURS, "17:00", required=True)


class DayExceptionSchema(Schema):
    """Hours that are taken away from one day, or added to it. Without times, the whole day."""

    date = CalendarDate(required=True, metadata=about("The day.", DATE))
    is_available = TrueOrFalse(
        required=True, data_key="isAvailable", metadata=about(_TAKEN_OR_ADDED, example=False)
    )
    start_time = _time("startTime", "When they start.", "13:00", load_default=time(0))
    end_time = _time("endTime", _END_OF_HOURS, "15:00", load_default=time(0))

    @validates_schema(pass_original=True)
    def both_times(self, _data: dict[str, Any], original: Any, **_kwargs: Any) -> None:  # noqa: ANN401 - marshmallow's signature
        """Refuse one time without the other."""
        if isinstance(original, dict) and ("startTime" in original) != ("endTime" in original):
            raise ValidationError("Give startTime and endTime, or neither.", "endTime")


class AvailabilityRequest(Schema):
    """Say when a psychologist works. What is left out stays as it is; an empty list empties its part.

    Times are what a clock shows in the psychologist's time zone. Where neither weekly hours nor added ones
    are given, that is always, except for hours that are taken away.
    """

    timezone = fields.String(
        validate=validate.Length(max=LONGEST_ZONE),
        metadata=about(
            "The time zone they work in, by its IANA name. Left out, it stays as it is.", "Asia/Makassar"
        ),
    )
    weekly = fields.List(
        fields.Nested(WeeklyHoursSchema),
        validate=validate.Length(max=_MOST_WINDOWS),
        metadata=about("The hours of every week; those of one day must not overlap."),
    )
    exceptions = fields.List(
        fields.Nested(DayExceptionSchema),
        validate=validate.Length(max=_MOST_EXCEPTIONS),
        metadata=about("What differs on certain days."),
    )


# ---- hours, out -------------------------------------------------------------------------------------------


class WeeklyHoursAnswer(AnswerSchema):
    """Hours on the same day of every week."""

    weekday = number("weekday", _WEEKDAY, 2)
    start_time = text("startTime", "When they start.", "09:00")
    end_time = text("endTime", _END_OF_HOURS, "17:00")


class DayExceptionAnswer(AnswerSchema):
    """Hours that are taken away from one day, or added to it. From `00:00` to `00:00`: the whole day."""

    date = fields.Date(required=True, metadata=about("The day.", DATE))
    is_available = yes_no("isAvailable", _TAKEN_OR_ADDED, example=False)
    start_time = text("startTime", "When they start.", "13:00")
    end_time = text("endTime", _END_OF_HOURS, "15:00")


class AvailabilityAnswer(AnswerSchema):
    """When a psychologist works. Without weekly hours and added ones: always, but for what is taken away."""

    timezone = text("timezone", "The time zone that the times are in.", ZONE)
    weekly = fields.List(
        fields.Nested(WeeklyHoursAnswer), required=True, metadata=about("The hours of every week, in order.")
    )
    exceptions = fields.List(
        fields.Nested(DayExceptionAnswer),
        required=True,
        metadata=about("What differs on certain days, in order."),
    )


class SavedAvailability(AvailabilityAnswer):
    """When a psychologist works, as it was saved."""

    affected = affected()

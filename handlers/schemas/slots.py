"""The shapes of what can be booked, in and out: free slots, and psychologists by a time."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from handlers.schemas.answers import AnswerSchema, Person
from handlers.schemas.parts import (
    COUNSELING_ID,
    DATE,
    END,
    LONGEST_ZONE,
    NEXT_DATE,
    SARI,
    START,
    ZONE,
    CalendarDate,
    EndTime,
    WallTime,
    about,
    instant,
    number,
    page_cursor,
    page_size,
    text,
)

_MOST_DAYS: Final = 35
#: Between starts of slots, in minutes: what divides an hour evenly.
_STEPS: Final = (5, 10, 15, 20, 30, 60)
#: Where weeks of all psychologists are asked for.
_WIDE_STEPS: Final = (15, 20, 30, 60)


def _duration() -> fields.Integer:
    return fields.Integer(
        load_default=60,
        validate=validate.Range(min=1, max=1440),
        metadata=about("How many minutes a slot is long; as long as a session may last."),
    )


def _step(choices: tuple[int, ...] = _STEPS) -> fields.Integer:
    return fields.Integer(
        load_default=30,
        validate=validate.OneOf(choices),
        metadata=about("How many minutes lie between one start and the next, from midnight on."),
    )


def _shown_in() -> fields.String:
    return fields.String(
        load_default=ZONE,
        validate=validate.Length(max=LONGEST_ZONE),
        metadata=about("The time zone to show slots in, by its IANA name."),
    )


class SlotsQuery(Schema):
    """Choose slots. The day, and what is shown, is what a calendar and a clock show in `timezone`."""

    date = CalendarDate(required=True, metadata=about("The day, in `timezone`.", DATE))
    duration = _duration()
    step = _step()
    timezone = _shown_in()
    moved = fields.UUID(
        load_default=None,
        data_key="except",
        metadata=about("An own counselling that is to be moved: its time counts as free.", COUNSELING_ID),
    )


class AllSlotsQuery(Schema):
    """Choose slots of several days, of all psychologists. Days and times are those of `timezone`."""

    first = CalendarDate(
        required=True, data_key="from", metadata=about("The first day, in `timezone`.", DATE)
    )
    last = CalendarDate(
        required=True,
        data_key="to",
        metadata=about(f"The last day, in `timezone`: at most {_MOST_DAYS} days in all.", NEXT_DATE),
    )
    duration = _duration()
    step = _step(_WIDE_STEPS)
    timezone = _shown_in()

    @validates_schema
    def not_too_many(self, data: dict[str, Any], **_kwargs: Any) -> None:  # noqa: ANN401 - marshmallow's signature
        """Refuse days that are none, or more than can be computed in a moment."""
        days = (data["last"] - data["first"]).days + 1
        if days < 1:
            raise ValidationError("Must not be before from.", "to")
        if days > _MOST_DAYS:
            raise ValidationError(f"Must be within {_MOST_DAYS} days, the first one included.", "to")


class SlotAnswer(AnswerSchema):
    """Times at which a psychologist can be booked. Booked as it is shown, it means the same instants."""

    start_time = text("startTime", "When it starts, in the zone that was asked for.", "14:00")
    end_date = fields.Date(
        required=True, data_key="endDate", metadata=about("The day on which it ends.", DATE)
    )
    end_time = text("endTime", "When it ends.", "15:00")
    starts_at = instant("startsAt", "The instant at which it starts.", START)
    ends_at = instant("endsAt", "The instant at which it ends.", END)
    free = number("free", "How many more counsellings the psychologist can have then, at least one.", 5)


class SharedSlotAnswer(AnswerSchema):
    """Times at which some psychologist can be booked. Booked as shown, they mean the same instants."""

    date = fields.Date(
        required=True, metadata=about("The day on which it starts, in the zone that was asked for.", DATE)
    )
    start_time = text("startTime", "When it starts, in the zone that was asked for.", "14:00")
    end_date = fields.Date(
        required=True, data_key="endDate", metadata=about("The day on which it ends.", DATE)
    )
    end_time = text("endTime", "When it ends.", "15:00")
    starts_at = instant("startsAt", "The instant at which it starts.", START)
    ends_at = instant("endsAt", "The instant at which it ends.", END)
    psychologists = fields.List(
        fields.Nested(Person), required=True, metadata=about("With whom, by name: at least one.", [SARI])
    )


class PsychologistsQuery(Schema):
    """Choose psychologists: all, or those who can be booked for certain times."""

    date = CalendarDate(
        load_default=None,
        metadata=about(
            "The day, in `timezone`. Together with `startTime` and `endTime`, or not at all.", DATE
        ),
    )
    start_time = WallTime(
        load_default=None,
        data_key="startTime",
        metadata=about("When a counselling would start.", "14:00", pattern=WallTime.PATTERN),
    )
    end_time = EndTime(
        load_default=None,
        data_key="endTime",
        metadata=about(
            "When it would end; at or before `startTime`, or `24:00`: on the next day.",
            "15:00",
            pattern=EndTime.PATTERN,
            type="string",
        ),
    )
    timezone = fields.String(
        load_default=ZONE,
        validate=validate.Length(max=LONGEST_ZONE),
        metadata=about("The time zone of date and times, by its IANA name. Not without them."),
    )
    cursor = page_cursor()
    limit = page_size()

    @validates_schema(pass_original=True)
    def all_or_none(self, _data: dict[str, Any], original: dict[str, Any], **_kwargs: Any) -> None:  # noqa: ANN401 - marshmallow's signature
        """Refuse a part of a time."""
        names = ("date", "startTime", "endTime")
        missing = [name for name in names if name not in original]
        if missing and original.keys() - {"cursor", "limit"}:
            raise ValidationError({name: ["Give date, startTime and endTime together."] for name in missing})

"""What the schemas are made of: strict fields, the words about a field, and one story for all examples.

The story: on 15 January 2030, Budi talks with Dr. Sari Wulandari from 14:00 to 15:00, Jakarta time.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from marshmallow import ValidationError, fields, validate

from rdchat.domain.person import clean_name

if TYPE_CHECKING:
    from collections.abc import Iterable

CLIENT_ID: Final = "3c9e1b52-7f0d-4a63-9d1e-52b8c64f7a10"
PSYCHOLOGIST_ID: Final = "00000000-0000-4000-8000-000000000001"
COUNSELING_ID: Final = "8a4f6c1d-2b7e-4f39-a05c-9e13d7b86f24"
SESSION_ID: Final = "f1d2c3b4-5a69-4788-9cab-0e1f2a3b4c5d"
MESSAGE_ID: Final = "6e0b9a87-4d3c-4c21-8f56-b7a1d2e3f405"
NOTIFICATION_ID: Final = "2d7c9e40-1f6a-4b83-8c25-d0e4b6a79f18"
ORGANIZATION_ID: Final = "c7a1d0e2-94b3-4f58-8d6a-3b0e5f1c2a79"
ATTACHMENT_ID: Final = "b52f7a90-1c4e-4d86-93a7-0f6e2d8c5b14"
QUICK_REPLY_ID: Final = "94d1c6e8-3b7a-4f05-8e29-6a0c5d7b1f43"
#: Of a person who is no one in the story: what is done to them harms none of the others.
PERSON_ID: Final = "5b0f7d3a-9c41-4e62-8d17-a2f6c0e49b85"
#: The client's own id of a message.
OWN_ID: Final = "budi-phone-17"
#: The one of a message with a file: no two messages have the same.
OWN_FILE_ID: Final = "budi-phone-18"
#: Where the list of sessions goes on after the one of the story.
CURSOR: Final = (
    "WyJzZXNzaW9ucyIsIjIwMzAtMDEtMTVUMDc6MDA6MDArMDA6MDAiLCJmMWQyYzNiNC01YTY5LTQ3ODgtOWNhYi0wZT"
    "FmMmEzYjRjNWQiXQ=="
)

#: How clients reach the service, in examples.
BASE_URL: Final = "https://chat.example/rdchat"
SIGNED: Final = "AAAAAHBBmsM8nhtSfw1KY50eUrjGT3oQ0b1yq0m2m1bqJwTt8b8rTq0v2b4vZy9mQmFqkq3s1pE"

BUDI: Final = {"id": CLIENT_ID, "fullName": "Budi Santoso"}
SARI: Final = {"id": PSYCHOLOGIST_ID, "fullName": "Dr. Sari Wulandari"}
ZONE: Final = "Asia/Jakarta"
DATE: Final = "2030-01-15"
NEXT_DATE: Final = "2030-01-16"
BOOKED_AT: Final = "2030-01-13T03:20:41.507Z"
START: Final = "2030-01-15T07:00:00.000Z"
END: Final = "2030-01-15T08:00:00.000Z"
OPENED_AT: Final = "2030-01-15T07:00:00.012Z"
SAID_AT: Final = "2030-01-15T07:02:13.250Z"
SAID: Final = "Halo, saya siap."

LONGEST_MESSAGE: Final = 4096
LONGEST_CAPTION: Final = 500
LONGEST_ZONE: Final = 64
#: Room for a name of 200 characters, each of four bytes.
LONGEST_CURSOR: Final = 1200
METHODS: Final = ("chat", "online", "offline", "organization")
COUNSELING_STATUSES: Final = ("pending", "active", "completed", "cancelled")

#: Where there is no example. None would be one: null.
NOTHING: Final = object()


def about(description: str, example: object = NOTHING, **more: object) -> dict[str, object]:
    """Say what a field is, for the OpenAPI document. `more` are further keywords of JSON Schema.

    Without `example`, readers take the default or the first of the choices.
    """
    shown = {} if example is NOTHING else {"example": example}
    return {"description": description, **shown, **more}


def identity(key: str, description: str, example: str, **kwargs: Any) -> fields.UUID:  # noqa: ANN401 - passed through
    """Make a field for an id that is there in any case, though perhaps null."""
    return fields.UUID(required=True, data_key=key, metadata=about(description, example), **kwargs)


def instant(key: str, description: str, example: str | None, **kwargs: Any) -> fields.DateTime:  # noqa: ANN401 - passed through
    """Make a field for an instant that is there in any case, though perhaps null."""
    return fields.DateTime(
        format="iso", required=True, data_key=key, metadata=about(description, example), **kwargs
    )


def text(key: str, description: str, example: str | None, **kwargs: Any) -> fields.String:  # noqa: ANN401 - passed through
    """Make a field for a text of an answer."""
    return fields.String(required=True, data_key=key, metadata=about(description, example), **kwargs)


def choice(
    key: str,
    description: str,
    choices: Iterable[str],
    example: object = NOTHING,
    **kwargs: Any,  # noqa: ANN401 - passed through
) -> fields.String:
    """Make a field for one of several texts of an answer."""
    return fields.String(
        required=True,
        data_key=key,
        validate=validate.OneOf([str(one) for one in choices]),
        metadata=about(description, example),
        **kwargs,
    )


def number(key: str, description: str, example: int | None, **kwargs: Any) -> fields.Integer:  # noqa: ANN401 - passed through
    """Make a field for a whole number of an answer."""
    return fields.Integer(required=True, data_key=key, metadata=about(description, example), **kwargs)


class TrueOrFalse(fields.Boolean):
    """JSON's true or false; marshmallow's own field takes 1, 0 and some words for them as well."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:  # noqa: ANN401, ARG002 - marshmallow's signature
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class WholeNumber(fields.Integer):
    """A whole number of JSON, `3` or `3.0`; marshmallow's own field takes texts and truths as well."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:  # noqa: ANN401, ARG002 - marshmallow's signature
        if type(value) is int:
            return value
        if type(value) is float and value.is_integer():
            return int(value)
        raise self.make_error("invalid", input=value)


def yes_no(key: str, description: str, *, example: bool) -> fields.Boolean:
    """Make a field for a truth of an answer."""
    return fields.Boolean(required=True, data_key=key, metadata=about(description, example))


def not_blank(value: str) -> None:
    """Refuse a text of nothing but white space."""
    if not value.strip():
        raise ValidationError("Must not be empty.")


def a_name(value: str) -> None:
    """Refuse a name that shows nothing."""
    if not clean_name(value):
        raise ValidationError("Must not be empty.")


_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


class WallTime(fields.Time):
    """A time of day: `HH:MM` or `HH:MM:SS`, nothing looser."""

    PATTERN: Final = r"^\d\d:\d\d(:\d\d)?$"
    _FORM = re.compile(r"\d{2}:\d{2}(:\d{2})?")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - marshmallow's signature
        if not isinstance(value, str) or not self._FORM.fullmatch(value):
            raise ValidationError("Must be HH:MM or HH:MM:SS.")
        return super()._deserialize(value, attr, data, **kwargs)


class EndTime(fields.Field[timedelta]):
    """When something ends by the clock, loaded as the time since midnight; `24:00` is the day's end."""

    PATTERN: Final = r"^(([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?|24:00(:00)?)$"

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> timedelta:  # noqa: ANN401 - marshmallow's signature
        if value in ("24:00", "24:00:00"):
            return timedelta(days=1)
        at = WallTime().deserialize(value, attr, data, **kwargs)
        return timedelta(hours=at.hour, minutes=at.minute, seconds=at.second)


class Instant(fields.DateTime):
    """An instant, ISO 8601 with `Z` or an offset, nothing looser. Loaded as UTC, cut to the millisecond."""

    _FORM = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:  # noqa: ANN401, ARG002 - marshmallow's signature
        if isinstance(value, str) and self._FORM.fullmatch(value):
            try:
                found = datetime.fromisoformat(value).astimezone(UTC)
            except (ValueError, OverflowError):
                pass
            else:
                return found.replace(microsecond=found.microsecond // 1000 * 1000)
        raise ValidationError("Must be an instant with Z or an offset, as 2030-01-15T14:00:00+07:00.")


class Moment(fields.String):
    """An instant, ISO 8601 with `Z` or an offset, or a date. Loaded as a datetime (UTC) or a date."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ANN401, ARG002 - marshmallow's signature
        try:
            if _DATE.fullmatch(value):
                return date.fromisoformat(value)
            found = datetime.fromisoformat(value)
            if found.tzinfo is not None:
                return found.astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            pass
        raise ValidationError("Must be YYYY-MM-DD, or an instant with Z or an offset.")


class CalendarDate(fields.Date):
    """A date: `YYYY-MM-DD`, nothing looser."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - marshmallow's signature
        if not isinstance(value, str) or not _DATE.fullmatch(value):
            raise ValidationError("Must be YYYY-MM-DD.")
        return super()._deserialize(value, attr, data, **kwargs)


def page_size(usual: int = 20) -> fields.Integer:
    """Make the field for how many entries a page has."""
    words = about("How many to give at most.")
    return fields.Integer(load_default=usual, validate=validate.Range(min=1, max=100), metadata=words)


def page_cursor() -> fields.String:
    """Make the field for where a page begins."""
    words = about("Where to go on: `nextCursor` of the answer before. Without it, at the start.", CURSOR)
    return fields.String(load_default=None, validate=validate.Length(max=LONGEST_CURSOR), metadata=words)


def time_zone(description: str) -> fields.String:
    """Make the field of a query for a time zone, by its IANA name."""
    words = about(f"{description}, by its IANA name.")
    return fields.String(load_default=ZONE, validate=validate.Length(max=LONGEST_ZONE), metadata=words)

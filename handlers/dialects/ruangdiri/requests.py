"""The shapes of what the web app sends. What it sends without need is overlooked."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from marshmallow import (
    EXCLUDE,
    Schema,
    ValidationError,
    fields,
    post_load,
    pre_load,
    validate,
    validates_schema,
)

from handlers import schemas
from handlers.schemas.parts import LONGEST_CAPTION, LONGEST_CURSOR, LONGEST_ZONE, ZONE, CalendarDate

#: Deeper pages than these are not looked for: what is skipped is read all the same.
_DEEPEST: Final = 1_000


def _page(usual: int, most: int) -> tuple[fields.Integer, fields.Integer]:
    return (
        fields.Integer(load_default=1, validate=validate.Range(min=1, max=_DEEPEST)),
        fields.Integer(load_default=usual, validate=validate.Range(min=1, max=most)),
    )


class Lenient(Schema):
    """Overlooks what it does not know."""

    class Meta:
        """How marshmallow reads it."""

        unknown = EXCLUDE


class _Times(Schema):
    """Reads empty notes as none, and overlooks the fields that are `overlooked`."""

    overlooked: ClassVar[frozenset[str]] = frozenset()

    @pre_load
    def without_what_says_nothing(self, data: Any, **_kwargs: Any) -> Any:  # noqa: ANN401 - marshmallow's signature
        """Leave out what says nothing."""
        if not isinstance(data, dict):
            return data
        left_out = self.overlooked | ({"notes"} if data.get("notes") == "" else set())
        return {name: value for name, value in data.items() if name not in left_out}


class AppBookRequest(_Times, schemas.BookRequest):
    """Book a counselling; in which room is not this service's affair."""

    overlooked: ClassVar[frozenset[str]] = frozenset({"locationId"})


class AppRescheduleRequest(_Times, schemas.RescheduleRequest):
    """Move a counselling. The client's notes stay what they were."""

    overlooked: ClassVar[frozenset[str]] = frozenset({"notes", "locationId"})


class SessionOfCounseling(Lenient):
    """Ask for the session of a counselling. When it is to be is known."""

    counseling_id = fields.UUID(required=True, data_key="counselingId")


class SchedulesQuery(Lenient):
    """Choose a page of one's own counsellings. There is one kind of schedule, and all kinds of clients."""

    page, limit = _page(20, 100)


class AppPsychologistsQuery(schemas.PsychologistsQuery):
    """Choose psychologists; with `available`, all that can be booked, as a plain list."""

    available = fields.String(load_default=None, validate=validate.Length(max=8))

    @validates_schema(pass_original=True)
    def all_or_none(self, data: dict[str, Any], original: dict[str, Any], **_kwargs: Any) -> None:  # noqa: ANN401 - marshmallow's signature
        """Refuse a part of a time, which this is none of."""
        super().all_or_none(data, {name: value for name, value in original.items() if name != "available"})


class AvailabilityQuery(Lenient):
    """Choose the time zone of days and hours."""

    timezone = fields.String(load_default=None, validate=validate.Length(min=1, max=LONGEST_ZONE))


class BookedSlotsQuery(Lenient):
    """Choose a day of a psychologist."""

    date = CalendarDate(required=True)
    timezone = fields.String(load_default=ZONE, validate=validate.Length(min=1, max=LONGEST_ZONE))


class AppActiveSessionsQuery(schemas.ActiveSessionsQuery):
    """Choose one's own open sessions; `limit` or `cursor` ask for a page of them (`paged`)."""

    @post_load(pass_original=True)
    def is_paged(self, data: dict[str, Any], original: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - marshmallow's signature
        """Note whether a page was asked for."""
        return data | {"paged": bool(original.keys() & {"limit", "cursor"})}


class HistoriesQuery(Lenient):
    """Choose a page of one's own conversations."""

    search = fields.String(load_default=None, validate=validate.Length(max=100))
    page, limit = _page(20, 50)

    @post_load
    def trimmed(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - marshmallow's signature
        """Look for nothing where nothing is looked for."""
        return data | {"search": (data["search"] or "").strip() or None}


class AppUploadRequest(schemas.UploadRequest):
    """Send a file; its words are called `message` or `text`, its type anything."""

    message_type = fields.String(data_key="messageType", validate=validate.Length(max=40))
    text = fields.String(validate=validate.Length(max=LONGEST_CAPTION))

    @post_load
    def one_caption(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - marshmallow's signature
        """Take the words by whichever name they came."""
        said = data.pop("text", "")
        if said and data.get("message") and said != data["message"]:
            raise ValidationError("Give message or text, not both.", "text")
        if said:
            data["message"] = said
        return data


class ReadUpToRequest(Lenient):
    """Say up to which message one has read."""

    message_id = fields.UUID(required=True, data_key="messageId")


class PresenceRequest(Lenient):
    """Say whether one looks at the chat."""

    status = fields.String(required=True, validate=validate.OneOf(("present", "away")))


class NotificationsQuery(schemas.PageQuery):
    """Choose a page of notifications, by number or by cursor."""

    page = fields.Integer(load_default=None, validate=validate.Range(min=1, max=_DEEPEST))
    type = fields.String(load_default=None, validate=validate.OneOf(("schedule", "system", "report")))
    cursor = fields.String(load_default=None, validate=validate.Length(max=LONGEST_CURSOR))


class ReadNotificationsRequest(Lenient):
    """Say which notifications one has read."""

    notification_ids = fields.List(
        fields.UUID(), required=True, data_key="notificationIds", validate=validate.Length(max=1_000)
    )

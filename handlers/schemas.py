"""The shapes of what comes in and goes out. Requests are loaded by them; answers are documented by them."""

from __future__ import annotations

import re
from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from statemachine import AutomationKind, AutomationStatus, EndReason, Status

_LONGEST_MESSAGE: Final = 4096
_LONGEST_NAME: Final = 200
_METHODS: Final = ("chat", "online", "offline", "organization")
_MESSAGE_TYPES: Final = ("text", "image", "file", "automated", "system")
_FORMATS: Final = ("mermaid", "dot", "svg", "png", "json")


def _not_blank(value: str) -> None:
    if not value.strip():
        raise ValidationError("Must not be empty.")


class WallTime(fields.Time):
    """A time of day: `HH:MM` or `HH:MM:SS`, nothing looser."""

    _FORM = re.compile(r"\d{2}:\d{2}(:\d{2})?")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - marshmallow's signature
        if not isinstance(value, str) or not self._FORM.fullmatch(value):
            raise ValidationError("Must be HH:MM or HH:MM:SS.")
        return super()._deserialize(value, attr, data, **kwargs)


class CalendarDate(fields.Date):
    """A date: `YYYY-MM-DD`, nothing looser."""

    _FORM = re.compile(r"\d{4}-\d{2}-\d{2}")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - marshmallow's signature
        if not isinstance(value, str) or not self._FORM.fullmatch(value):
            raise ValidationError("Must be YYYY-MM-DD.")
        return super()._deserialize(value, attr, data, **kwargs)


def _instant(**kwargs: Any) -> fields.DateTime:  # noqa: ANN401 - passed through
    return fields.DateTime(format="iso", metadata={"example": "2026-11-22T07:00:00.000Z"}, **kwargs)


# ---- requests ---------------------------------------------------------------------------------------------


class BookRequest(Schema):
    """Book a counselling. Times are wall times in `timezone`."""

    method = fields.String(required=True, validate=validate.OneOf(_METHODS))
    date = CalendarDate(required=True)
    start_time = WallTime(required=True, data_key="startTime", metadata={"example": "14:00"})
    end_time = WallTime(required=True, data_key="endTime", metadata={"example": "15:00"})
    timezone = fields.String(load_default="Asia/Jakarta", validate=validate.Length(max=64))
    notes = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=2000))
    psychologist_id = fields.UUID(load_default=None, allow_none=True, data_key="psychologistId")


class CancelRequest(Schema):
    """Cancel a counselling."""

    reason = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=500))


class PsychologistRequest(Schema):
    """Create or change a psychologist."""

    full_name = fields.String(
        required=True, data_key="fullName", validate=[validate.Length(min=1, max=_LONGEST_NAME), _not_blank]
    )
    timezone = fields.String(load_default="Asia/Jakarta", validate=validate.Length(max=64))
    is_active = fields.Boolean(load_default=True, data_key="isActive", truthy={True}, falsy={False})


class MessageRequest(Schema):
    """Send a message."""

    session_id = fields.UUID(required=True, data_key="sessionId")
    message = fields.String(
        required=True,
        validate=[validate.Length(min=1, max=_LONGEST_MESSAGE), _not_blank],
        metadata={"example": "Halo, saya siap."},
    )
    message_type = fields.String(
        load_default="text", data_key="messageType", validate=validate.OneOf(("text",))
    )
    client_message_id = fields.String(
        load_default=None,
        allow_none=True,
        data_key="clientMessageId",
        validate=validate.Length(min=1, max=128),
    )


class TypingRequest(Schema):
    """Say that one is typing, or no longer."""

    session_id = fields.UUID(required=True, data_key="sessionId")
    is_typing = fields.Boolean(required=True, data_key="isTyping", truthy={True}, falsy={False})


class SessionQuery(Schema):
    """Name a session."""

    session_id = fields.UUID(required=True, data_key="sessionId")


class TokenQuery(SessionQuery):
    """Ask for a token, as an Ably JWT or as a TokenRequest."""

    format = fields.String(load_default="jwt", validate=validate.OneOf(("jwt", "tokenRequest")))


class HistoryQuery(SessionQuery):
    """Choose a part of the history: a page (1 is the newest), or what lies before or after a seq."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=10_000_000))
    limit = fields.Integer(load_default=20, validate=validate.Range(min=1, max=100))
    before = fields.Integer(load_default=None, validate=validate.Range(min=1, max=2**53))
    after = fields.Integer(load_default=None, validate=validate.Range(min=0, max=2**53))

    @validates_schema
    def one_way(self, data: dict[str, Any], **_kwargs: Any) -> None:  # noqa: ANN401 - marshmallow's signature
        """Refuse two ways of paging at once."""
        if data.get("before") is not None and data.get("after") is not None:
            raise ValidationError("Give before or after, not both.", "before")


class SessionsQuery(Schema):
    """Choose sessions."""

    status = fields.String(load_default=None, validate=validate.OneOf([status.value for status in Status]))
    cursor = fields.String(load_default=None, validate=validate.Length(max=200))
    limit = fields.Integer(load_default=20, validate=validate.Range(min=1, max=100))


class LimitQuery(Schema):
    """Choose how many."""

    limit = fields.Integer(load_default=20, validate=validate.Range(min=1, max=100))


class DiagramQuery(Schema):
    """Choose the form of the diagram."""

    format = fields.String(load_default="mermaid", validate=validate.OneOf(_FORMATS))


# ---- answers ----------------------------------------------------------------------------------------------


class Person(Schema):
    """Somebody, by id and name."""

    id = fields.UUID(required=True)
    full_name = fields.String(required=True, data_key="fullName")


class AutomationAnswer(Schema):
    """One automation of a session. `latenessMs` counts from `dueAt`."""

    kind = fields.String(required=True, validate=validate.OneOf(list(AutomationKind)))
    due_at = _instant(required=True, data_key="dueAt")
    status = fields.String(required=True, validate=validate.OneOf(list(AutomationStatus)))
    executed_at = _instant(required=True, allow_none=True, data_key="executedAt")
    lateness_ms = fields.Integer(required=True, allow_none=True, data_key="latenessMs")
    reason = fields.String(required=True, allow_none=True)


class SessionAnswer(Schema):
    """A chat session."""

    id = fields.UUID(required=True)
    counseling_id = fields.UUID(required=True, data_key="counselingId")
    client_id = fields.UUID(required=True, data_key="clientId")
    psychologist_id = fields.UUID(required=True, data_key="psychologistId")
    client = fields.Nested(Person, required=True)
    psychologist = fields.Nested(Person, required=True)
    status = fields.String(required=True, validate=validate.OneOf(list(Status)))
    is_active = fields.Boolean(required=True, data_key="isActive")
    is_chat_enabled = fields.Boolean(required=True, data_key="isChatEnabled")
    scheduled_at = _instant(required=True, data_key="scheduledAt")
    ends_at = _instant(required=True, data_key="endsAt")
    started_at = _instant(required=True, allow_none=True, data_key="startedAt")
    ended_at = _instant(required=True, allow_none=True, data_key="endedAt")
    end_reason = fields.String(
        required=True, allow_none=True, data_key="endReason", validate=validate.OneOf(list(EndReason))
    )
    last_seq = fields.Integer(required=True, data_key="lastSeq")
    automations = fields.List(fields.Nested(AutomationAnswer), required=True)
    created_at = _instant(required=True, data_key="createdAt")
    updated_at = _instant(required=True, data_key="updatedAt")


class SessionsAnswer(Schema):
    """Sessions, latest start first. `nextCursor` is null on the last page."""

    data = fields.List(fields.Nested(SessionAnswer), required=True)
    next_cursor = fields.String(required=True, allow_none=True, data_key="nextCursor")


class BookedSession(Schema):
    """The chat session of a counselling."""

    session_id = fields.UUID(required=True, data_key="sessionId")
    status = fields.String(required=True, validate=validate.OneOf(list(Status)))
    is_chat_enabled = fields.Boolean(required=True, data_key="isChatEnabled")
    scheduled_at = _instant(required=True, data_key="scheduledAt")
    ends_at = _instant(required=True, data_key="endsAt")


class CounselingAnswer(Schema):
    """A counselling: wall time, zone, and the instants they mean."""

    id = fields.UUID(required=True)
    method = fields.String(required=True, validate=validate.OneOf(_METHODS))
    status = fields.String(
        required=True, validate=validate.OneOf(("pending", "active", "completed", "cancelled"))
    )
    scheduled_at = _instant(required=True, data_key="scheduledAt")
    ends_at = _instant(required=True, data_key="endsAt")
    date = fields.Date(required=True)
    start_time = fields.String(required=True, data_key="startTime", metadata={"example": "14:00"})
    end_time = fields.String(required=True, data_key="endTime", metadata={"example": "15:00"})
    timezone = fields.String(required=True)
    psychologist = fields.Nested(Person, required=True)
    chat_session = fields.Nested(BookedSession, required=True, allow_none=True, data_key="chatSession")


class Sender(Person):
    """Who sent a message."""

    role = fields.String(required=True, validate=validate.OneOf(("client", "psychologist")))


class MessageAnswer(Schema):
    """One message. `seq` is dense from 1 within its session."""

    id = fields.UUID(required=True)
    session_id = fields.UUID(required=True, data_key="sessionId")
    seq = fields.Integer(required=True)
    sender_id = fields.UUID(required=True, data_key="senderId")
    sender = fields.Nested(Sender, required=True)
    message = fields.String(required=True)
    message_type = fields.String(
        required=True, data_key="messageType", validate=validate.OneOf(_MESSAGE_TYPES)
    )
    is_automated = fields.Boolean(required=True, data_key="isAutomated")
    is_read = fields.Boolean(required=True, data_key="isRead")
    read_at = _instant(required=True, allow_none=True, data_key="readAt")
    client_message_id = fields.String(data_key="clientMessageId")
    created_at = _instant(required=True, data_key="createdAt")


class HistoryMetadata(Schema):
    """Where a page stands. `nextCursor` is the `before` that continues towards the oldest message."""

    page = fields.Integer(required=True)
    limit = fields.Integer(required=True)
    total = fields.Integer(required=True)
    total_pages = fields.Integer(required=True, data_key="totalPages")
    has_next_page = fields.Boolean(required=True, data_key="hasNextPage")
    has_prev_page = fields.Boolean(required=True, data_key="hasPrevPage")
    next_cursor = fields.Integer(required=True, allow_none=True, data_key="nextCursor")


class HistoryAnswer(Schema):
    """Messages, oldest first."""

    data = fields.List(fields.Nested(MessageAnswer), required=True)
    metadata = fields.Nested(HistoryMetadata, required=True)


class ClientOptions(Schema):
    """What the client's Ably SDK needs to find the service."""

    endpoint = fields.String(required=True)
    port = fields.Integer(required=True)
    tls = fields.Boolean(required=True)


class TokenAnswer(Schema):
    """Access to a session's channels: an Ably JWT, or an object with `format=tokenRequest`."""

    token = fields.Raw(required=True)
    expires_at = _instant(required=True, data_key="expiresAt")
    client_id = fields.UUID(required=True, data_key="clientId")
    capability = fields.Dict(keys=fields.String(), values=fields.List(fields.String()), required=True)
    channel_name = fields.String(required=True, data_key="channelName")
    typing_channel_name = fields.String(required=True, data_key="typingChannelName")
    notification_channel_name = fields.String(required=True, data_key="notificationChannelName")
    client_options = fields.Nested(ClientOptions, required=True, data_key="clientOptions")


class TypingAnswer(Schema):
    """What was told."""

    session_id = fields.UUID(required=True, data_key="sessionId")
    is_typing = fields.Boolean(required=True, data_key="isTyping")


class TimelineAnswer(Schema):
    """One thing that happened to a session. `plannedAt` and `latenessMs` are set for timers."""

    trigger = fields.String(required=True)
    from_status = fields.String(required=True, data_key="from")
    to_status = fields.String(required=True, data_key="to")
    actor_id = fields.UUID(required=True, allow_none=True, data_key="actorId")
    planned_at = _instant(required=True, allow_none=True, data_key="plannedAt")
    at = _instant(required=True)
    lateness_ms = fields.Integer(required=True, allow_none=True, data_key="latenessMs")


class PsychologistAnswer(Person):
    """Somebody whom clients can book."""

    timezone = fields.String(required=True)
    is_active = fields.Boolean(required=True, data_key="isActive")


class ErrorAnswer(Schema):
    """The form of every error."""

    success = fields.Boolean(required=True, metadata={"example": False})
    message = fields.String(required=True)
    status_code = fields.Integer(required=True, data_key="statusCode")
    code = fields.String(required=True)
    errors = fields.Dict(keys=fields.String(), values=fields.List(fields.String()))
    request_id = fields.String(required=True, data_key="requestId")

"""The shapes of what the chat is asked: to send, to read, to show, to extend."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from handlers.schemas.parts import (
    LONGEST_MESSAGE,
    OWN_ID,
    SAID,
    SESSION_ID,
    Instant,
    TrueOrFalse,
    WholeNumber,
    about,
    identity,
    not_blank,
    page_size,
)
from rdchat.domain.message import MessageType


class MessageRequest(Schema):
    """Send a message."""

    session_id = identity("sessionId", "The session to write in.", SESSION_ID)
    message = fields.String(
        required=True,
        validate=[validate.Length(min=1, max=LONGEST_MESSAGE), not_blank],
        metadata=about("The text; not only white space.", SAID),
    )
    message_type = fields.String(
        load_default=MessageType.TEXT.value,
        data_key="messageType",
        validate=validate.OneOf((MessageType.TEXT.value,)),
        metadata=about("What kind of message it is."),
    )
    client_message_id = fields.String(
        load_default=None,
        allow_none=True,
        data_key="clientMessageId",
        validate=validate.Length(min=1, max=128),
        metadata=about(
            "Your own id of the message: sent again with the same text, it is stored once.", OWN_ID
        ),
    )


class ExtendRequest(Schema):
    """Extend an open session: by `minutes`, or until `endsAt`; one of the two."""

    minutes = WholeNumber(
        validate=validate.Range(min=1, max=1440),
        metadata=about("By how many minutes: a multiple of the service's step, five unless it says so.", 15),
    )
    # No example: the request that is shown has one of the two.
    ends_at = Instant(
        data_key="endsAt",
        metadata=about(
            "Until when, with `Z` or an offset: as far from the present end as `minutes` may be. The end "
            "that it has changes nothing."
        ),
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


class TokenQuery(Schema):
    """Ask for a token, as an Ably JWT or as a TokenRequest."""

    session_id = fields.UUID(
        load_default=None,
        data_key="sessionId",
        metadata=about(
            "The session. Without it: one's notifications, and all one's sessions that are open or begin "
            "within an hour.",
            SESSION_ID,
        ),
    )
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
    limit = page_size()
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

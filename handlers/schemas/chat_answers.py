"""The shapes of what the chat answers: messages, history, tokens."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from marshmallow import fields

from handlers.schemas.answers import AnswerSchema, PageAnswer, Person
from handlers.schemas.attachments import AttachmentAnswer
from handlers.schemas.messages import MessageFacts, types_in_words
from handlers.schemas.parts import (
    BUDI,
    CLIENT_ID,
    SAID,
    SAID_AT,
    SESSION_ID,
    about,
    choice,
    identity,
    instant,
    number,
    text,
    yes_no,
)
from handlers.schemas.realtime import NotificationEvent
from rdchat.domain.message import WITH_ATTACHMENT
from rdchat.events import channels

_CHAT: Final = channels.chat_channel(UUID(SESSION_ID))
_TYPING: Final = channels.typing_channel(UUID(SESSION_ID))
_NOTIFICATIONS: Final = channels.notification_channel(UUID(CLIENT_ID))
_MAY_BE_SEALED: Final = "Where `cipherKey` is there, it ends in `:sealed`."
_CIPHER_KEY: Final = about(
    "Where the service encrypts what is said: the key of the chat channel, as the SDKs take it for `cipher`.",
    "c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBtb3JlLi4=",
)
_PROOF_KEY: Final = about(
    "With `cipherKey`: the key that `proof` of the channel's events is verified with.",
    "YW5vdGhlciBrZXksIGFsc28gb2YgdGhpcnR5LXR3byE=",
)


class SenderSchema(Person):
    """Who sent a message."""

    role = choice("role", "What they are in this session.", ("client", "psychologist"))


class MessageAnswer(MessageFacts):
    """One message. `seq` is dense from 1 within its session."""

    sender = fields.Nested(
        SenderSchema, required=True, metadata=about("Who sent it.", {**BUDI, "role": "client"})
    )
    message = text("message", "The text. With an attachment, what was said with it, perhaps nothing.", SAID)
    is_read = yes_no("isRead", "Whether the other participant has read it.", example=False)
    read_at = instant("readAt", "When they had read it; null before.", None, allow_none=True)
    attachment = fields.Nested(
        AttachmentAnswer,
        metadata=about(f"The file that was sent; only of {types_in_words(WITH_ATTACHMENT)}."),
    )


class HistoryMetadata(AnswerSchema):
    """Where a page stands. Its next page leads back in time, or onwards if `after` was given."""

    page = number("page", "The page that was asked for.", 1)
    limit = number("limit", "How many messages a page has at most.", 20)
    total = number("total", "How many messages the session has.", 3)
    total_pages = number("totalPages", "How many pages that makes.", 1)
    has_next_page = yes_no("hasNextPage", "Whether there are messages beyond this page.", example=False)
    has_prev_page = yes_no("hasPrevPage", "Whether there are messages on its other side.", example=False)
    next_cursor = number(
        "nextCursor",
        "The `before` of the next page, or its `after` if `after` was given; null on the last one.",
        None,
        allow_none=True,
    )


class HistoryAnswer(PageAnswer):
    """Messages, oldest first. The next page leads the same way as this one: back in time, or onwards."""

    data = fields.List(fields.Nested(MessageAnswer), required=True, metadata=about("The messages."))
    metadata = fields.Nested(HistoryMetadata, required=True, metadata=about("Where this page stands."))


class ClientOptions(AnswerSchema):
    """What the client's Ably SDK needs to find the service."""

    endpoint = text("endpoint", "The SDK's `endpoint`: a host, or `main` for Ably itself.", "127.0.0.1")
    port = number("port", "The port: `port` without TLS, `tlsPort` with it.", 8081)
    tls = yes_no("tls", "Whether to use TLS.", example=False)


class SessionChannels(AnswerSchema):
    """The channels of a session."""

    session_id = identity("sessionId", "The session.", SESSION_ID)
    channel_name = text("channelName", f"Messages and status of the session. {_MAY_BE_SEALED}", _CHAT)
    typing_channel_name = text("typingChannelName", "Who is typing.", _TYPING)
    cipher_key = fields.String(data_key="cipherKey", metadata=_CIPHER_KEY)
    proof_key = fields.String(data_key="proofKey", metadata=_PROOF_KEY)


class TokenAnswer(AnswerSchema):
    """Access to a session's channels, or to all that one listens to now."""

    token = fields.Raw(
        required=True,
        metadata=about(
            "An Ably JWT, as text; with `format=tokenRequest`, a signed TokenRequest, as an object.",
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9…",
            type=["string", "object"],
            additionalProperties=True,
        ),
    )
    expires_at = instant(
        "expiresAt", "Until when it serves: ask for a new one before.", "2030-01-15T07:25:00.000Z"
    )
    client_id = identity("clientId", "Whom it stands for: the caller. The SDK's `clientId`.", CLIENT_ID)
    capability = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        required=True,
        metadata=about(
            "What it allows, by channel: to listen, and to type and be present in chats that are open.",
            {
                _CHAT: ["history", "presence", "subscribe"],
                _TYPING: ["publish", "subscribe"],
                _NOTIFICATIONS: ["history", "subscribe"],
            },
        ),
    )
    channel_name = fields.String(
        data_key="channelName",
        metadata=about(
            f"Messages and status of the session that `sessionId` has named. {_MAY_BE_SEALED}", _CHAT
        ),
    )
    cipher_key = fields.String(data_key="cipherKey", metadata=_CIPHER_KEY)
    proof_key = fields.String(data_key="proofKey", metadata=_PROOF_KEY)
    typing_channel_name = fields.String(
        data_key="typingChannelName", metadata=about("Who is typing there.", _TYPING)
    )
    sessions = fields.List(
        fields.Nested(SessionChannels),
        metadata=about("Without `sessionId`: the sessions whose channels it opens, earliest first."),
    )
    notification_channel_name = text(
        "notificationChannelName", "The caller's own notifications.", _NOTIFICATIONS
    )
    client_options = fields.Nested(
        ClientOptions,
        required=True,
        data_key="clientOptions",
        metadata=about("Where the SDK is to connect."),
    )


class TypingAnswer(AnswerSchema):
    """What the other participant was told."""

    session_id = identity("sessionId", "The session.", SESSION_ID)
    is_typing = yes_no("isTyping", "Whether one is typing.", example=True)


# ---- having read ------------------------------------------------------------------------------------------


class ReadAnswer(AnswerSchema):
    """How far one has read."""

    session_id = identity("sessionId", "The session.", SESSION_ID)
    up_to_seq = number("upToSeq", "The `seq` of the newest message that one has read; 0 before.", 3)
    read_at = instant("readAt", "When one had read so far; null before.", SAID_AT, allow_none=True)


class UnreadSession(AnswerSchema):
    """How much of one session is unread."""

    session_id = identity("sessionId", "The session.", SESSION_ID)
    unread = number("unread", "How many messages of the other one has not read.", 1)


class UnreadAnswer(AnswerSchema):
    """How much is unread."""

    total = number("total", "How many messages, in all these sessions.", 1)
    sessions = fields.List(
        fields.Nested(UnreadSession),
        required=True,
        metadata=about("The sessions with unread messages that started in the last thirty days."),
    )


# ---- notifications ----------------------------------------------------------------------------------------


class NotificationAnswer(NotificationEvent):
    """Something that one was told."""

    is_read = yes_no("isRead", "Whether one has read it.", example=False)
    read_at = instant("readAt", "When one first read it; null before.", None, allow_none=True)


class NotificationsAnswer(PageAnswer):
    """Notifications, newest first."""

    data = fields.List(fields.Nested(NotificationAnswer), required=True, metadata=about("The notifications."))
    unread_count = number("unreadCount", "How many of all of them are unread.", 1)


class ReadAllAnswer(AnswerSchema):
    """What reading all has come to."""

    read = number("read", "How many were unread.", 2)

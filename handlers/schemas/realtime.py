"""The shapes of what arrives on Ably channels. `rdchat.events.payloads` makes it; here it is documented."""

from __future__ import annotations

from marshmallow import fields

from handlers.schemas.answers import AnswerSchema
from handlers.schemas.attachments import AttachmentFacts
from handlers.schemas.messages import MessageFacts, types_in_words
from handlers.schemas.parts import (
    BUDI,
    CLIENT_ID,
    COUNSELING_ID,
    END,
    NOTIFICATION_ID,
    OPENED_AT,
    SAID,
    SAID_AT,
    SESSION_ID,
    START,
    ZONE,
    about,
    choice,
    identity,
    instant,
    number,
    text,
    yes_no,
)
from rdchat.domain.message import WITH_ATTACHMENT
from statemachine import EndReason
from statemachine.effects import NotificationType, StatusEvent


class MessageEvent(MessageFacts):
    """A message, automated ones included. Order by `seq`, which has no gaps."""

    sender_name = text("senderName", "The sender's name, for display.", BUDI["fullName"])
    content = text("content", "The text.", SAID)
    attachment = fields.Nested(
        AttachmentFacts,
        metadata=about(
            f"The file; only with {types_in_words(WITH_ATTACHMENT)}. Without a link: the history has one, "
            "for five minutes."
        ),
    )


class SessionStatusEvent(AnswerSchema):
    """What a session has become."""

    session_id = identity("sessionId", "The session.", SESSION_ID)
    status = choice("status", "What happened to it.", StatusEvent)
    ends_at = instant("endsAt", "When the chat is to close.", END)
    minutes_left = fields.Integer(
        data_key="minutesLeft", metadata=about("How many minutes are left; with `ending_soon`.", 5)
    )
    end_reason = fields.String(
        data_key="endReason",
        metadata=about(
            "Why it is over; with `completed` and `cancelled`.",
            EndReason.AUTO_ENDED.value,
            enum=[reason.value for reason in EndReason],
        ),
    )
    at = instant("at", "When it happened.", OPENED_AT)


class MessageReadEvent(AnswerSchema):
    """A participant has read the other's messages, up to one."""

    session_id = identity("sessionId", "The session.", SESSION_ID)
    user_id = identity("userId", "Who has read.", CLIENT_ID)
    up_to_seq = number("upToSeq", "The `seq` of the last message that was read.", 3)
    read_at = instant("readAt", "When.", SAID_AT)


class TypingEvent(AnswerSchema):
    """A participant is typing, or no longer.

    Participants publish it: drop what is not exactly this, or where `userId` is not the message's `clientId`.
    """

    user_id = identity("userId", "Who.", CLIENT_ID)
    is_typing = yes_no("isTyping", "True on starting, false on stopping.", example=True)
    timestamp = instant("timestamp", "When.", SAID_AT)


class NotificationSubject(AnswerSchema):
    """What a notification is about."""

    counseling_id = identity("counselingId", "The counselling.", COUNSELING_ID)
    session_id = identity("sessionId", "The session; null without chat.", SESSION_ID, allow_none=True)
    starts_at = instant("startsAt", "When it starts, as it was when this was told.", START)
    ends_at = instant("endsAt", "When it ends, as it was when this was told.", END)
    timezone = text("timezone", "The zone in which the one who is told reads these times.", ZONE)
    reason = text(
        "reason",
        "Why, in the words of the one who cancelled; null without any, as with all but `session_cancelled`.",
        None,
        allow_none=True,
    )


class NotificationEvent(AnswerSchema):
    """Something that one person should know, wherever they are in the product."""

    id = identity("id", "The notification's id.", NOTIFICATION_ID)
    type = choice("type", "What it is about, for programs.", NotificationType, NotificationType.CHAT_ENABLED)
    title = text("title", "A headline, for people.", "Sesi dimulai")
    message = text("message", "A sentence, for people.", "Sesi chat dengan Budi Santoso sudah dibuka.")
    data = fields.Nested(
        NotificationSubject, required=True, metadata=about("What it is about, for programs.")
    )
    created_at = instant("createdAt", "When it was made.", OPENED_AT)

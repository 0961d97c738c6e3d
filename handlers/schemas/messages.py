"""What a message is, wherever it is shown: in an answer and in an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marshmallow import fields

from handlers.schemas.answers import AnswerSchema
from handlers.schemas.parts import (
    CLIENT_ID,
    MESSAGE_ID,
    OWN_ID,
    SAID_AT,
    SESSION_ID,
    about,
    choice,
    identity,
    instant,
    number,
    yes_no,
)
from rdchat.domain.message import FROM_PEOPLE, MessageType

if TYPE_CHECKING:
    from collections.abc import Collection


def types_in_words(types: Collection[MessageType]) -> str:
    """List types of messages, in the order of their enumeration."""
    *others, last = (f"`{one}`" for one in MessageType if one in types)
    return f"{', '.join(others)} and {last}"


class MessageFacts(AnswerSchema):
    """What is known of every message; `rdchat.events.payloads.message_fields` makes it."""

    id = identity("id", "The message's id. One that was shown already is to be dropped.", MESSAGE_ID)
    session_id = identity("sessionId", "The session that it was said in.", SESSION_ID)
    seq = number("seq", "Its number in the session: 1, 2, 3, ... Order by it.", 3)
    sender_id = identity("senderId", "Who sent it. Automated messages come from the psychologist.", CLIENT_ID)
    message_type = choice(
        "messageType",
        f"{types_in_words(FROM_PEOPLE)} are from people, `automated` is from a timer. `system` stands for "
        "one that cannot be shown, because it was changed where it is stored.",
        tuple(MessageType),
    )
    is_automated = yes_no("isAutomated", "Whether it was sent by a timer.", example=False)
    client_message_id = fields.String(
        data_key="clientMessageId", metadata=about("The sender's own id of it, if they gave one.", OWN_ID)
    )
    created_at = instant("createdAt", "When it was sent.", SAID_AT)

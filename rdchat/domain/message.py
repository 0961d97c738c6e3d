"""A message of a chat, as it is stored and shown."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from statemachine.values import value

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from statemachine import Attachment


class MessageType(StrEnum):
    """What a message is. The values are the ones that clients and the database see."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    FILE = "file"
    AUTOMATED = "automated"
    SYSTEM = "system"


#: The types of messages that carry an attachment.
WITH_ATTACHMENT: Final = frozenset({MessageType.IMAGE, MessageType.AUDIO, MessageType.FILE})
#: The types of messages that people send.
FROM_PEOPLE: Final = WITH_ATTACHMENT | {MessageType.TEXT}


def type_of(attachment: Attachment | None) -> MessageType:
    """Return the type of a message that a person sends with this attachment, or without one."""
    if attachment is None:
        return MessageType.TEXT
    family = attachment.content_type.partition("/")[0]
    return {"image": MessageType.IMAGE, "audio": MessageType.AUDIO}.get(family, MessageType.FILE)


#: What a list shows of a message, in characters.
LONGEST_PREVIEW: Final = 120
#: What must not be the last before the end of a preview: it joins what is left out.
_JOINERS: Final = " \u200d"


@value
class MessagePreview:
    """What a list of sessions shows of the last message of each: its beginning, or its file's name."""

    id: UUID
    seq: int
    sender_id: UUID
    message_type: MessageType
    text: str
    created_at: datetime


def preview(text: str, file_name: str | None = None) -> str:
    """Return the beginning of a text on one line; of a file without a caption, what it is called."""
    line = " ".join(text.split()) or file_name or ""
    return line if len(line) <= LONGEST_PREVIEW else f"{line[: LONGEST_PREVIEW - 1].rstrip(_JOINERS)}…"


@value
class Message:
    """One message as it is stored and shown.

    `read_at`: when the recipient had read it; None for one that was stored just now.
    """

    id: UUID
    session_id: UUID
    seq: int
    sender_id: UUID
    sender_name: str
    text: str
    message_type: MessageType
    client_message_id: str | None
    created_at: datetime
    read_at: datetime | None = None
    attachment: Attachment | None = None

    @property
    def is_automated(self) -> bool:
        """Whether a timer sent it, not a person."""
        return self.message_type is MessageType.AUTOMATED

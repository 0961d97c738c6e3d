"""The channels of realtime events, and the names of what is sent on them (see docs/realtime.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uuid import UUID


MESSAGE: Final = "message"


SESSION_STATUS: Final = "session-status"


TYPING: Final = "typing"


NOTIFICATION: Final = "notification"


MESSAGE_READ: Final = "message-read"


def chat_channel(session_id: UUID) -> str:
    """Name the channel of a session: messages and status, published by the server alone."""
    return f"chat:session:{session_id}"


def typing_channel(session_id: UUID) -> str:
    """Name the channel on which participants say that they are typing."""
    return f"typing:session:{session_id}"


def notification_channel(person_id: UUID) -> str:
    """Name the channel of one person."""
    return f"notifications:user:{person_id}"


#: The name of what is not published but carried out: the tokens of a session are revoked.
REVOCATION: Final = "revocation"


def revocation_channel(session_id: UUID) -> str:
    """Name what stands in for a channel where the tokens of a session are revoked."""
    return f"revocation:session:{session_id}"

"""The channels of realtime events, and the names of what is sent on them (see docs/realtime.md)."""

from __future__ import annotations

from typing import Final
from uuid import UUID

MESSAGE: Final = "message"


SESSION_STATUS: Final = "session-status"


TYPING: Final = "typing"


NOTIFICATION: Final = "notification"


MESSAGE_READ: Final = "message-read"


_CHAT: Final = "chat:session:"


#: What the name of a channel ends in whose data is encrypted: who has no key never listens there by mistake.
SEALED: Final = ":sealed"


def chat_channel(session_id: UUID, *, sealed: bool = False) -> str:
    """Return the channel of a session: messages and status, published by the server alone."""
    return f"{_CHAT}{session_id}{SEALED if sealed else ''}"


def session_of_chat(channel: str) -> UUID | None:
    """Return whose channel of messages and status this is, not sealed; None for a channel of another kind."""
    return UUID(channel[len(_CHAT) :]) if channel.startswith(_CHAT) else None


def typing_channel(session_id: UUID) -> str:
    """Return the channel on which participants signal that they are typing."""
    return f"typing:session:{session_id}"


def notification_channel(person_id: UUID) -> str:
    """Return the channel of one person."""
    return f"notifications:user:{person_id}"


#: The name of an event that is carried out, not published: tokens are revoked.
REVOCATION: Final = "revocation"


def session_revocation_key(session_id: UUID) -> str:
    """Return what the tokens for a session are revoked by."""
    return str(session_id)


def desk_revocation_key(person_id: UUID) -> str:
    """Return what the tokens for all that one person listens to are revoked by."""
    return f"desk:{person_id}"


def person_revocation_channel(person_id: UUID) -> str:
    """Return the pseudo-channel of an entry that revokes all tokens that one person listens by."""
    return f"revocation:person:{person_id}"


def revocation_channel(session_id: UUID) -> str:
    """Return the pseudo-channel of an entry that revokes tokens that open a session's channels."""
    return f"revocation:session:{session_id}"

"""A message of a chat, as it is stored and shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from statemachine import Attachment


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it is stored and shown. `message_type`: text, image, file, automated or system.

    `read_at`: when the recipient had read it; None for one that was stored just now.
    """

    id: UUID
    session_id: UUID
    seq: int
    sender_id: UUID
    sender_name: str
    text: str
    message_type: str
    client_message_id: str | None
    created_at: datetime
    read_at: datetime | None = None
    attachment: Attachment | None = None

"""Webhook events, and the body that is sent to their receivers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from rdchat.common.clock import iso
from rdchat.common.json import as_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from rdchat.domain.person import Recipient


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """Something that happened. `id` is unique per event; `data` is JSON and may hold UUIDs."""

    id: UUID
    type: str
    at: datetime
    data: Mapping[str, Any]

    def body(self) -> bytes:
        """Return the body: `{"type": ..., "timestamp": ..., "data": ...}`. It is signed byte for byte."""
        return as_json({"type": self.type, "timestamp": iso(self.at), "data": self.data})

    def delivery_id(self, endpoint: str) -> UUID:
        """Return the id of the delivery to one endpoint: the same for the same event, so written once."""
        return uuid5(self.id, endpoint)


def notification_event(person: Recipient, notification: Mapping[str, Any], *, at: datetime) -> WebhookEvent:
    """Make the event of a person's notification, given as `rdchat.events.payloads` builds it for Ably.

    That is `{id, type, title, message, data, createdAt}`; none of it quotes messages. What a receiver needs
    to reach the person, such as by e-mail, is added.
    """
    return WebhookEvent(
        id=UUID(str(notification["id"])),
        type=f"notification.{notification['type']}",
        at=at,
        data={
            "person": {
                "id": person.id,
                "fullName": person.full_name,
                "email": person.email,
                "locale": person.locale,
            },
            **notification,
        },
    )

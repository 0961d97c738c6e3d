"""What people are told of a counselling without chat, in the transaction that changes it.

Of one by chat, its session tells them (see `rdchat/engine/change.py`), and the booking itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from rdchat.events import outbox_entry
from rdchat.postgres import notifications, outbox
from rdchat.realtime.publisher import LEASE
from rdchat.texts.notifications import appointment_notification
from statemachine.effects import NotificationType

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from rdchat.domain.appointment import Appointment
    from rdchat.domain.notification import Notification
    from rdchat.engine.post_commit import EntryPublisher
    from rdchat.events.outbox_entry import OutboxEntry
    from rdchat.postgres.pool import Connection
    from rdchat.security.encryption import Encryptor
    from rdchat.webhooks.dispatch import Webhooks


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifier:
    """Writes notifications with what leaves the house: an event for Ably, and webhooks."""

    publisher: EntryPublisher
    webhooks: Webhooks
    encryptor: Encryptor

    async def insert(self, connection: Connection, new: Notification) -> OutboxEntry:
        """Write a notification in the open transaction. Hand what comes back to `publish` after it."""
        entry = outbox_entry.notification_entry(new)
        await notifications.insert_notification(
            connection, new, endpoints=self.webhooks.endpoints, encryptor=self.encryptor
        )
        await outbox.insert_entry(connection, entry, encryptor=self.encryptor, lease=LEASE)
        return entry

    async def notify(
        self,
        connection: Connection,
        appointment: Appointment,
        people: Iterable[UUID],
        kind: str,
        at: datetime,
    ) -> list[OutboxEntry]:
        """Write what people are told of an appointment, as `insert` does."""
        told = NotificationType(kind)
        return [
            await self.insert(connection, appointment_notification(appointment, uuid4(), person_id, told, at))
            for person_id in people
        ]

    def publish(self, entries: Iterable[OutboxEntry]) -> None:
        """Let what is committed leave."""
        self.publisher.hand_over(entries)
        self.webhooks.wake()

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

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from rdchat.domain.appointment import Appointment
    from rdchat.domain.notification import Notification
    from rdchat.engine.post_commit import EntryPublisher
    from rdchat.events.outbox_entry import OutboxEntry
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection
    from rdchat.webhooks.dispatch import Webhooks
    from statemachine.effects import NotificationType


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifier:
    """Writes notifications with what leaves the house: an event for Ably, and webhooks."""

    publisher: EntryPublisher
    webhooks: Webhooks
    keys: DataKeys

    async def insert(self, connection: Connection, made: Sequence[Notification]) -> list[OutboxEntry]:
        """Write notifications in the open transaction. Hand what comes back to `publish` after it."""
        entries = outbox_entry.notification_entries(made)
        await notifications.insert_notifications(
            connection, made, endpoints=self.webhooks.endpoints, keys=self.keys
        )
        await outbox.insert_entries(connection, entries, keys=self.keys, lease=LEASE)
        return entries

    async def notify(
        self,
        connection: Connection,
        appointment: Appointment,
        people: Iterable[UUID],
        kind: NotificationType,
        at: datetime,
        *,
        reason: str | None = None,
    ) -> list[OutboxEntry]:
        """Write what people are told of an appointment, as `insert` does."""
        made = [
            appointment_notification(appointment, uuid4(), person_id, kind, at, reason=reason)
            for person_id in people
        ]
        return await self.insert(connection, made)

    def publish(self, entries: Iterable[OutboxEntry]) -> None:
        """Let what is committed leave."""
        self.publisher.hand_over(entries)
        self.webhooks.wake()

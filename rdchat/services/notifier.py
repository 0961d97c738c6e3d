"""What people are told of a counselling without chat, in the transaction that changes it.

Of one by chat, its session tells them (see `rdchat/engine/change.py`), and the booking itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from rdchat.domain.notification import Notification
from rdchat.events import outbox_entry
from rdchat.postgres import notifications, outbox
from rdchat.realtime.publisher import LEASE
from rdchat.texts.notifications import notification_words

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from rdchat.engine.post_commit import EntryPublisher
    from rdchat.events.outbox_entry import OutboxEntry
    from rdchat.postgres.pool import Connection
    from rdchat.security.encryption import Encryptor
    from rdchat.webhooks.dispatch import Webhooks


@dataclass(frozen=True, slots=True)
class Meeting:
    """A counselling without chat, as far as it is told."""

    counseling_id: UUID
    client_id: UUID
    client_name: str
    psychologist_id: UUID
    psychologist_name: str
    starts_at: datetime
    ends_at: datetime
    timezone: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifier:
    """Writes notifications with what leaves the house: an event for Ably, and webhooks."""

    publisher: EntryPublisher
    webhooks: Webhooks
    encryptor: Encryptor

    async def write(self, connection: Connection, new: Notification) -> OutboxEntry:
        """Write a notification in the open transaction. Hand what comes back to `written` after it."""
        entry = outbox_entry.notification_entry(new)
        await notifications.insert_notification(
            connection, new, endpoints=self.webhooks.endpoints, encryptor=self.encryptor
        )
        await outbox.insert_entry(connection, entry, encryptor=self.encryptor, lease=LEASE)
        return entry

    async def tell(
        self, connection: Connection, meeting: Meeting, people: Iterable[UUID], kind: str, at: datetime
    ) -> list[OutboxEntry]:
        """Tell people of a counselling without chat, as `write` does."""
        entries = []
        for person_id in people:
            title, message = notification_words(meeting, person_id, kind)
            new = Notification(uuid4(), person_id, kind, title, message, None, meeting.counseling_id, at)
            entries.append(await self.write(connection, new))
        return entries

    def written(self, entries: Iterable[OutboxEntry]) -> None:
        """Let what is committed leave."""
        self.publisher.hand_over(entries)
        self.webhooks.wake()

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

    from rdchat.engine.post_commit import TakesParcels
    from rdchat.events.outbox_entry import Parcel
    from rdchat.postgres.pool import Connection
    from rdchat.security.encryption import Sealer
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
class Teller:
    """Writes notifications with what leaves the house: an event for Ably, and webhooks."""

    publisher: TakesParcels
    webhooks: Webhooks
    sealer: Sealer

    async def write(self, connection: Connection, new: Notification) -> Parcel:
        """Write a notification in the open transaction. Hand what comes back to `written` after it."""
        parcel = outbox_entry.notification_parcel(new)
        await notifications.insert(connection, new, endpoints=self.webhooks.endpoints, sealer=self.sealer)
        await outbox.insert(connection, parcel, sealer=self.sealer, lease=LEASE)
        return parcel

    async def tell(
        self, connection: Connection, meeting: Meeting, people: Iterable[UUID], kind: str, at: datetime
    ) -> list[Parcel]:
        """Tell people of a counselling without chat, as `write` does."""
        parcels = []
        for person_id in people:
            title, message = notification_words(meeting, person_id, kind)
            new = Notification(uuid4(), person_id, kind, title, message, None, meeting.counseling_id, at)
            parcels.append(await self.write(connection, new))
        return parcels

    def written(self, parcels: Iterable[Parcel]) -> None:
        """Let what is committed leave."""
        self.publisher.hand_over(parcels)
        self.webhooks.hint()

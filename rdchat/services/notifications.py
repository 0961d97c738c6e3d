"""What one was told: list notifications, and mark them as read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.postgres import notifications

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.notification import Notification
    from rdchat.domain.person import Caller
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationService:
    """Notifications, for those whom they were sent to."""

    pool: Pool
    clock: Clock
    keys: DataKeys

    async def list_notifications(
        self, caller: Caller, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> tuple[list[Notification], int]:
        """List the caller's notifications, newest first, and count the unread ones.

        `before` is the (instant, id) of the last one that the caller has seen.
        """
        return await notifications.list_notifications(
            self.pool, caller.id, before=before, limit=limit, keys=self.keys
        )

    async def mark_read(self, caller: Caller, notification_id: UUID) -> Notification:
        """Note that the caller has read a notification of theirs. Raise RdchatError (NOT_FOUND)."""
        read = await notifications.mark_read(
            self.pool, caller.id, notification_id, self.clock.now(), keys=self.keys
        )
        if read is None:
            raise RdchatError(ErrorCode.NOT_FOUND, "Notification not found")
        return read

    async def mark_all_read(self, caller: Caller) -> int:
        """Note that the caller has read everything. Return how many were unread."""
        return await notifications.mark_all_read(self.pool, caller.id, self.clock.now())

"""What one was told: list notifications, and mark them as read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.postgres import notifications

if TYPE_CHECKING:
    from collections.abc import Sequence
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
        self, caller: Caller, *, before: tuple[datetime, UUID] | None, limit: int, offset: int = 0
    ) -> tuple[list[Notification], int]:
        """List the caller's notifications, newest first, and count the unread ones.

        `before` is the (instant, id) of the last one that the caller has seen; `offset`: how many are left
        out behind that.
        """
        return await notifications.list_notifications(
            self.pool, caller.id, before=before, limit=limit, offset=offset, keys=self.keys
        )

    async def count_notifications(self, caller: Caller) -> tuple[int, int]:
        """Count the caller's notifications, and the unread ones among them."""
        return await notifications.count_notifications(self.pool, caller.id)

    async def find_notification(self, caller: Caller, notification_id: UUID) -> Notification | None:
        """Look at a notification of the caller's; None when it is not theirs."""
        return await notifications.get_notification(self.pool, caller.id, notification_id, keys=self.keys)

    async def mark_some_read(self, caller: Caller, ids: Sequence[UUID]) -> int:
        """Note that the caller has read some of theirs. Return how many were unread; others' are left."""
        return await notifications.mark_some_read(self.pool, caller.id, ids, self.clock.now())

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

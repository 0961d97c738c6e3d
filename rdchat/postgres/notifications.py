"""Notifications: what people were told, kept until they have read it and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rdchat.domain.notification import Notification
from rdchat.events.payloads import notification_data
from rdchat.events.webhook import WebhookEvent, notification_event
from rdchat.postgres import webhooks
from rdchat.postgres.pool import acquire, rows_changed
from statemachine.effects import NotificationType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Encryptor

_INSERT = """
INSERT INTO notifications (session_id, person_id, id, type, title, message, counseling_id, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""

_OF_PERSON = """
SELECT * FROM notifications
 WHERE person_id = $1 AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3))
 ORDER BY created_at DESC, id DESC LIMIT $4
"""

_READ = """
UPDATE notifications SET read_at = coalesce(read_at, $3) WHERE person_id = $1 AND id = $2 RETURNING *
"""

_READ_ALL = "UPDATE notifications SET read_at = $2 WHERE person_id = $1 AND read_at IS NULL"

_UNREAD = "SELECT count(*) FROM notifications WHERE person_id = $1 AND read_at IS NULL"


def notification_row(new: Notification) -> tuple[Any, ...]:
    """Make the row of a notification, for the group commit and for `insert`."""
    return (
        new.session_id,
        new.person_id,
        new.id,
        new.type.value,
        new.title,
        new.message,
        new.counseling_id,
        new.created_at,
    )


def webhook_event(new: Notification) -> WebhookEvent:
    """Return the webhook event of a notification."""
    return notification_event(new.person_id, notification_data(new), at=new.created_at)


async def insert_notification(
    connection: Connection, new: Notification, *, endpoints: Sequence[str], encryptor: Encryptor
) -> None:
    """Write a notification, and its webhooks, in a transaction. The group commit writes its own."""
    await connection.execute(_INSERT, *notification_row(new))
    await webhooks.insert_deliveries(connection, webhook_event(new), endpoints=endpoints, encryptor=encryptor)


async def list_notifications(
    pool: Pool, person_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
) -> tuple[list[Notification], int]:
    """List a person's notifications, newest first, and count the unread ones.

    `before` is the (instant, id) of the last one that the caller has seen.
    """
    at, notification_id = before or (None, None)
    async with acquire(pool) as connection:
        rows = await connection.fetch(_OF_PERSON, person_id, at, notification_id, limit)
        unread: int = await connection.fetchval(_UNREAD, person_id)
    return [_notification(one) for one in rows], unread


async def mark_read(pool: Pool, person_id: UUID, notification_id: UUID, at: datetime) -> Notification | None:
    """Note that a person has read a notification; the first time counts. None when it is not theirs."""
    async with acquire(pool) as connection:
        found = await connection.fetchrow(_READ, person_id, notification_id, at)
    return None if found is None else _notification(found)


async def mark_all_read(pool: Pool, person_id: UUID, at: datetime) -> int:
    """Note that a person has read everything. Return how many were unread."""
    async with acquire(pool) as connection:
        return rows_changed(await connection.execute(_READ_ALL, person_id, at))


def _notification(found: asyncpg.Record) -> Notification:
    return Notification(
        id=found["id"],
        person_id=found["person_id"],
        type=NotificationType(found["type"]),
        title=found["title"],
        message=found["message"],
        session_id=found["session_id"],
        counseling_id=found["counseling_id"],
        created_at=found["created_at"],
        read_at=found["read_at"],
    )

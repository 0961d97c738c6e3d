"""Notifications: what people were told, kept until they have read it and after.

No name is kept in them: a text has places for those of the two people, and is read with the names that they
have by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rdchat.domain.notification import Notification
from rdchat.events.payloads import notification_data
from rdchat.events.webhook import WebhookEvent, notification_event
from rdchat.postgres import people, webhooks
from rdchat.postgres.data_keys import person_owner
from rdchat.postgres.names import names_in, shown_name
from rdchat.postgres.pool import acquire, rows_changed
from rdchat.security.encryption import context
from rdchat.texts.notifications import with_names
from statemachine.effects import NotificationType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from rdchat.domain.person import Recipient
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Encryptor

_INSERT = """
INSERT INTO notifications (session_id, person_id, id, type, title, message, counseling_id, psychologist_id,
                           starts_at, ends_at, timezone, reason, created_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::uuid[],
                     $8::uuid[], $9::timestamptz[], $10::timestamptz[], $11::text[], $12::bytea[],
                     $13::timestamptz[])
"""

# What a release wrote that did not keep times has those of its counselling.
_SHOWN = """
SELECT n.person_id, n.id, n.type, n.title, n.message, n.session_id, n.counseling_id, n.reason, n.created_at,
       n.read_at, coalesce(n.starts_at, c.starts_at) AS starts_at, coalesce(n.ends_at, c.ends_at) AS ends_at,
       coalesce(n.timezone, CASE n.person_id WHEN c.psychologist_id THEN c.psychologist_timezone
                                             ELSE c.client_timezone END) AS timezone,
       c.client_id, client.sealed_name AS client_sealed, psychologist.id AS psychologist_id,
       psychologist.sealed_name AS psychologist_sealed,
       (SELECT s.language FROM chat_sessions s WHERE s.id = n.session_id) AS language
  FROM {source} n
  JOIN counselings c ON c.id = n.counseling_id
  JOIN people client ON client.id = c.client_id
  JOIN people psychologist ON psychologist.id = coalesce(n.psychologist_id, c.psychologist_id)
"""

_OF_PERSON = (
    _SHOWN.format(source="notifications")
    + """
 WHERE n.person_id = $1 AND ($2::timestamptz IS NULL OR (n.created_at, n.id) < ($2, $3))
 ORDER BY n.created_at DESC, n.id DESC LIMIT $4 OFFSET $5
"""
)

_ONE = _SHOWN.format(source="notifications") + " WHERE n.person_id = $1 AND n.id = $2"

_READ = """
WITH seen AS (
    UPDATE notifications SET read_at = coalesce(read_at, $3) WHERE person_id = $1 AND id = $2 RETURNING *
)""" + _SHOWN.format(source="seen")  # noqa: S608 - constant text

_READ_ALL = "UPDATE notifications SET read_at = $2 WHERE person_id = $1 AND read_at IS NULL"

_READ_SOME = _READ_ALL + " AND id = ANY($3)"

_COUNT = (
    "SELECT count(*) AS told, count(*) FILTER (WHERE read_at IS NULL) AS unread"
    " FROM notifications WHERE person_id = $1"
)

_UNREAD = "SELECT count(*) FROM notifications WHERE person_id = $1 AND read_at IS NULL"


def notification_row(new: Notification, encryptors: Mapping[UUID, Encryptor]) -> tuple[Any, ...]:
    """Make the row of a notification. What people write is encrypted, for the one who is told."""
    return (
        new.session_id,
        new.person_id,
        new.id,
        new.type.value,
        new.title,
        new.template,
        new.counseling_id,
        new.psychologist_id,
        new.starts_at,
        new.ends_at,
        new.timezone,
        encryptors[new.person_id].encrypt(new.reason.encode(), _context(new.person_id, new.id))
        if new.reason is not None
        else None,
        new.created_at,
    )


def webhook_event(new: Notification, person: Recipient) -> WebhookEvent:
    """Return the webhook event of a notification."""
    return notification_event(person, notification_data(new), at=new.created_at)


async def delivery_rows(
    connection: Connection,
    made: Sequence[Notification],
    *,
    endpoints: Sequence[str],
    encryptors: Mapping[UUID, Encryptor],
) -> list[tuple[Notification, webhooks.Row]]:
    """Make the rows of the webhooks of notifications; without webhooks, nothing is asked."""
    if not endpoints or not made:
        return []
    reached = await people.get_recipients(connection, (one.person_id for one in made), encryptors=encryptors)
    return [
        (one, row)
        for one in made
        for row in webhooks.delivery_rows(
            webhook_event(one, reached[one.person_id]),
            one.person_id,
            endpoints=endpoints,
            encryptor=encryptors[one.person_id],
        )
    ]


async def insert_notifications(
    connection: Connection, made: Sequence[Notification], *, endpoints: Sequence[str], keys: DataKeys
) -> None:
    """Write notifications, and their webhooks, in a transaction. The group commit writes its own."""
    if not made:
        return
    told = {one.person_id for one in made if endpoints or one.reason is not None}
    encryptors = await keys.ensure(connection, map(person_owner, told))
    rows = [notification_row(one, encryptors) for one in made]
    await connection.execute(_INSERT, *zip(*rows, strict=True))
    deliveries = await delivery_rows(connection, made, endpoints=endpoints, encryptors=encryptors)
    await webhooks.insert_deliveries(connection, [row for _, row in deliveries])


async def list_notifications(
    pool: Pool,
    person_id: UUID,
    *,
    before: tuple[datetime, UUID] | None,
    limit: int,
    offset: int = 0,
    keys: DataKeys,
) -> tuple[list[Notification], int]:
    """List a person's notifications, newest first, and count the unread ones.

    `before` is the (instant, id) of the last one that the caller has seen; `offset`: how many are left out
    behind that.
    """
    at, notification_id = before or (None, None)
    async with acquire(pool) as connection:
        rows = await connection.fetch(_OF_PERSON, person_id, at, notification_id, limit, offset)
        unread: int = await connection.fetchval(_UNREAD, person_id)
        return await _notifications(connection, person_id, rows, keys), unread


async def get_notification(
    pool: Pool, person_id: UUID, notification_id: UUID, *, keys: DataKeys
) -> Notification | None:
    """Read a notification of a person; None when it is not theirs."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_ONE, person_id, notification_id)
        return next(iter(await _notifications(connection, person_id, rows, keys)), None)


async def count_notifications(pool: Pool, person_id: UUID) -> tuple[int, int]:
    """Count a person's notifications, and the unread ones among them."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow(_COUNT, person_id)
    return (row["told"], row["unread"]) if row is not None else (0, 0)


async def mark_some_read(pool: Pool, person_id: UUID, ids: Sequence[UUID], at: datetime) -> int:
    """Note that a person has read some of theirs. Return how many were unread."""
    async with acquire(pool) as connection:
        return rows_changed(await connection.execute(_READ_SOME, person_id, at, list(ids)))


async def mark_read(
    pool: Pool, person_id: UUID, notification_id: UUID, at: datetime, *, keys: DataKeys
) -> Notification | None:
    """Note that a person has read a notification; the first time counts. None when it is not theirs."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_READ, person_id, notification_id, at)
        return next(iter(await _notifications(connection, person_id, rows, keys)), None)


async def mark_all_read(pool: Pool, person_id: UUID, at: datetime) -> int:
    """Note that a person has read everything. Return how many were unread."""
    async with acquire(pool) as connection:
        return rows_changed(await connection.execute(_READ_ALL, person_id, at))


async def _notifications(
    connection: Connection, person_id: UUID, rows: Sequence[asyncpg.Record], keys: DataKeys
) -> list[Notification]:
    wanted = [person_owner(person_id)] if any(row["reason"] is not None for row in rows) else []
    encryptor = (await keys.find(connection, wanted)).get(person_id)
    names = await names_in(connection, keys, rows)
    return [_notification(row, names, encryptor, keys) for row in rows]


def _notification(
    found: asyncpg.Record, names: Mapping[UUID, str], encryptor: Encryptor | None, keys: DataKeys
) -> Notification:
    client, psychologist = (
        shown_name(names, found[whose], found["language"]) for whose in ("client_id", "psychologist_id")
    )
    return Notification(
        id=found["id"],
        person_id=found["person_id"],
        type=NotificationType(found["type"]),
        title=found["title"],
        message=with_names(found["message"], client=client, psychologist=psychologist),
        template=found["message"],
        session_id=found["session_id"],
        counseling_id=found["counseling_id"],
        psychologist_id=found["psychologist_id"],
        starts_at=found["starts_at"],
        ends_at=found["ends_at"],
        timezone=found["timezone"],
        reason=_reason(found, encryptor, keys) if found["reason"] is not None else None,
        created_at=found["created_at"],
        read_at=found["read_at"],
    )


def _reason(found: asyncpg.Record, encryptor: Encryptor | None, keys: DataKeys) -> str | None:
    """Return the reason in a notification; None for one that is not as it was written."""
    bound_to = _context(found["person_id"], found["id"])
    reason = keys.read(encryptor, found["reason"], bound_to, what="reason", where=found["person_id"])
    return reason.decode() if reason is not None else None


def _context(person_id: UUID, notification_id: UUID) -> bytes:
    return context("reason in a notification", person_id, notification_id)

"""Deliveries of webhooks: what other programs have yet to be told.

Rows are written in the transaction of whatever they tell of, in one of two ways:

- `insert_deliveries(connection, rows)`, on a connection with a transaction open;
- `COMMIT_PART` in the group commit. Its parameters are the columns of `(session_id, *row)` for each of
  `rows(...)`; like the other parts it writes only for sessions that `won`.

After the commit, `Webhooks.wake()` wakes the delivery; without it the row waits for the next sweep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from rdchat.domain.dead_letter import DeadDelivery
from rdchat.postgres.data_keys import person_owner
from rdchat.postgres.pool import acquire, rows_changed
from rdchat.security.encryption import context

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from rdchat.events.webhook import WebhookEvent
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Encryptor

#: A part of the group commit: its text and how many parameters it has. What is there already stays as it is.
COMMIT_PART: Final = (
    """
webhook AS (
    INSERT INTO webhook_deliveries (id, endpoint, type, body, created_at, due_at, person_id)
    SELECT h.id, h.endpoint, h.type, h.body, h.created_at, h.created_at, h.person_id
    FROM unnest({0}::uuid[], {1}::uuid[], {2}::text[], {3}::text[], {4}::bytea[], {5}::timestamptz[],
                {6}::uuid[])
        AS h (session_id, id, endpoint, type, body, created_at, person_id)
    WHERE h.session_id IN (SELECT id FROM won)
    ON CONFLICT (id) DO NOTHING
)""",
    7,
)

_INSERT = """
INSERT INTO webhook_deliveries (id, endpoint, type, body, created_at, due_at, person_id)
SELECT h.id, h.endpoint, h.type, h.body, h.created_at, h.created_at, h.person_id
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::timestamptz[], $6::uuid[])
    AS h (id, endpoint, type, body, created_at, person_id)
ON CONFLICT (id) DO NOTHING
"""

_CLAIM = """
UPDATE webhook_deliveries SET due_at = $3, attempts = attempts + 1
 WHERE id = ANY(ARRAY(
    SELECT id FROM webhook_deliveries WHERE status = 'scheduled' AND endpoint = $1 AND due_at <= $2
     ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED))
RETURNING id, endpoint, type, body, attempts, person_id
"""

# Also what was given up meanwhile: the receiver has it, and that is what counts.
_DELIVERED = """
UPDATE webhook_deliveries
   SET status = 'delivered', delivered_at = $2, last_status = $3, last_error = NULL, body = NULL
 WHERE id = $1 AND status <> 'delivered'
"""

# A process that has claimed the row since knows better.
_FAILED = """
UPDATE webhook_deliveries SET status = $3, due_at = $4, last_status = $5, last_error = $6
 WHERE id = $1 AND attempts = $2 AND status = 'scheduled'
"""

_GIVE_BACK = """
UPDATE webhook_deliveries SET due_at = $2, attempts = attempts - 1
 WHERE id = $1 AND attempts = $3 AND status = 'scheduled'
"""

_ABANDON = """
UPDATE webhook_deliveries SET status = 'dead', last_error = 'no process delivers to this endpoint'
 WHERE status = 'scheduled' AND endpoint <> ALL($1) AND due_at < $2
"""

_FORGET_DELIVERED = "DELETE FROM webhook_deliveries WHERE status = 'delivered' AND delivered_at < $1"
_FORGET_DEAD = "DELETE FROM webhook_deliveries WHERE status = 'dead' AND created_at < $1"

_COUNT = """
SELECT (SELECT count(*) FROM webhook_deliveries WHERE status = 'scheduled') AS waiting,
       (SELECT count(*) FROM webhook_deliveries WHERE status = 'dead') AS dead
"""

_DEAD = """
SELECT id, endpoint, type, created_at, attempts, last_status, last_error FROM webhook_deliveries
 WHERE status = 'dead' ORDER BY created_at LIMIT $1
"""
_DEAD_PAGE = """
SELECT id, endpoint, type, created_at, attempts, last_status, last_error FROM webhook_deliveries
 WHERE status = 'dead' AND (created_at, id) > ($1, $2) ORDER BY created_at, id LIMIT $3
"""

_REVIVE = """
UPDATE webhook_deliveries SET status = 'scheduled', attempts = 0, due_at = $1
 WHERE status = 'dead' AND ($2::uuid[] IS NULL OR id = ANY($2))
RETURNING id, endpoint, type
"""

# Each state by an index of its own.
_UNDELIVERED = """
SELECT id, endpoint, type, body, person_id FROM webhook_deliveries
 WHERE status = 'scheduled' AND person_id = ANY($1)
UNION ALL
SELECT id, endpoint, type, body, person_id FROM webhook_deliveries
 WHERE status = 'dead' AND person_id = ANY($1)
"""

_REPLACE_BODY = "UPDATE webhook_deliveries SET body = $2 WHERE id = $1 AND body IS NOT NULL"

#: id, endpoint, type, encrypted body, instant, and who is told.
Row = tuple["UUID", str, str, bytes, "datetime", "UUID"]


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that is this process's to make, until its lease runs out. `attempts` counts this one.

    `body` None: the stored one is not as it was written.
    """

    id: UUID
    type: str
    body: bytes | None
    attempts: int


def delivery_rows(
    event: WebhookEvent, person_id: UUID, *, endpoints: Sequence[str], encryptor: Encryptor
) -> list[Row]:
    """Make the rows of an event that tells a person something, one for each endpoint.

    None when no webhooks are set. `encryptor` is the person's.
    """
    if not endpoints:
        return []
    body = event.body()
    ids = [event.delivery_id(endpoint) for endpoint in endpoints]
    return [
        (
            delivery_id,
            endpoint,
            event.type,
            encryptor.encrypt(body, _context(delivery_id, endpoint, event.type)),
            event.at,
            person_id,
        )
        for delivery_id, endpoint in zip(ids, endpoints, strict=True)
    ]


async def insert_deliveries(connection: Connection, rows: Sequence[Row]) -> None:
    """Write rows, such as `delivery_rows` makes, in the transaction that is open on `connection`."""
    if rows:
        await connection.execute(_INSERT, *zip(*rows, strict=True))


async def claim_deliveries(
    pool: Pool, endpoint: str, *, now: datetime, until: datetime, limit: int, keys: DataKeys
) -> list[ClaimedDelivery]:
    """Claim what is due for an endpoint, the longest due first; no other process gets it before `until`."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_CLAIM, endpoint, now, until, limit)
        owners = {person_owner(row["person_id"]) for row in rows if row["person_id"] is not None}
        encryptors = await keys.find(connection, owners)
    return [
        ClaimedDelivery(
            row["id"], row["type"], _body(row, encryptors.get(row["person_id"]), keys), row["attempts"]
        )
        for row in rows
    ]


def _body(row: asyncpg.Record, encryptor: Encryptor | None, keys: DataKeys) -> bytes | None:
    bound_to = _context(row["id"], row["endpoint"], row["type"])
    return keys.read(encryptor, row["body"], bound_to, what="webhook", where=row["id"])


def _context(delivery_id: UUID, endpoint: str, event_type: str) -> bytes:
    return context("webhook", delivery_id, endpoint, event_type)


async def mark_delivered(pool: Pool, delivery: ClaimedDelivery, *, at: datetime, status: int) -> None:
    """Note that a receiver has a delivery, and forget its body."""
    async with acquire(pool) as connection:
        await connection.execute(_DELIVERED, delivery.id, at, status)


async def mark_failed(
    pool: Pool, delivery: ClaimedDelivery, *, due_at: datetime, dead: bool, status: int | None, reason: str
) -> bool:
    """Schedule a delivery again, or give it up. Return False when another process has it or settled it."""
    state = "dead" if dead else "scheduled"
    async with acquire(pool) as connection:
        tag = await connection.execute(_FAILED, delivery.id, delivery.attempts, state, due_at, status, reason)
    return rows_changed(tag) == 1


async def give_back_delivery(pool: Pool, delivery: ClaimedDelivery, *, now: datetime) -> None:
    """Undo a claim: the attempt was not finished, and the next process may make it at once."""
    async with acquire(pool) as connection:
        await connection.execute(_GIVE_BACK, delivery.id, now, delivery.attempts)


async def tidy_deliveries(
    pool: Pool,
    endpoints: Sequence[str],
    *,
    unclaimed_since: datetime,
    delivered_before: datetime,
    dead_before: datetime,
) -> int:
    """Give up what no process delivers any more, and delete what is over. Return how many were given up."""
    async with acquire(pool) as connection:
        abandoned = await connection.execute(_ABANDON, endpoints, unclaimed_since)
        await connection.execute(_FORGET_DELIVERED, delivered_before)
        await connection.execute(_FORGET_DEAD, dead_before)
    return rows_changed(abandoned)


async def count_deliveries(pool: Pool) -> tuple[int, int]:
    """Count the deliveries that wait, and those that were given up."""
    async with acquire(pool) as connection:
        record = await connection.fetchrow(_COUNT)
    return (record["waiting"], record["dead"]) if record is not None else (0, 0)


async def list_dead_deliveries(pool: Pool, *, limit: int = 100) -> list[dict[str, Any]]:
    """List deliveries that were given up, oldest first."""
    async with acquire(pool) as connection:
        return [dict(record) for record in await connection.fetch(_DEAD, limit)]


async def page_dead_deliveries(pool: Pool, *, after: tuple[datetime, UUID], limit: int) -> list[DeadDelivery]:
    """List a page of the deliveries that were given up, oldest first, behind one by (instant, id)."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_DEAD_PAGE, *after, limit)
    return [
        DeadDelivery(
            id=row["id"],
            endpoint=row["endpoint"],
            type=row["type"],
            created_at=row["created_at"],
            attempts=row["attempts"],
            last_status=row["last_status"],
        )
        for row in rows
    ]


async def revive_deliveries(
    pool: Pool, delivery_ids: Sequence[UUID] | None, *, now: datetime
) -> list[asyncpg.Record]:
    """Schedule deliveries that were given up again: all, or those named. Return id, endpoint, type."""
    async with acquire(pool) as connection:
        return await revive_deliveries_on(connection, delivery_ids, now=now)


async def revive_deliveries_on(
    connection: Connection, delivery_ids: Sequence[UUID] | None, *, now: datetime
) -> list[asyncpg.Record]:
    """Schedule like `revive_deliveries`, on a connection; within a transaction if there is one."""
    return await connection.fetch(_REVIVE, now, delivery_ids)


async def delete_bodies(connection: Connection, person_id: UUID) -> int:
    """Delete what has yet to be told of a person, within a transaction. Return how many deliveries."""
    ids = [row["id"] for row in await connection.fetch(_UNDELIVERED, [person_id])]
    return rows_changed(await connection.execute("DELETE FROM webhook_deliveries WHERE id = ANY($1)", ids))


async def clear_mentioning(
    connection: Connection, person_ids: Sequence[UUID], mentions: Sequence[bytes], *, keys: DataKeys
) -> int:
    """Take names and reasons out of what people have yet to be told, where it is about one of some ids.

    They are still told that it happened. Within a transaction; return how many deliveries were changed.
    """
    rows = await connection.fetch(_UNDELIVERED, person_ids)
    owners = {person_owner(row["person_id"]) for row in rows}
    encryptors = await keys.find(connection, owners)
    changed = 0
    for row in rows:
        encryptor = encryptors.get(row["person_id"])
        body = _body(row, encryptor, keys)
        if encryptor is None or body is None or not any(one in body for one in mentions):
            continue
        told = orjson.loads(body)
        told["data"]["message"] = told["data"].get("title")
        told["data"].get("data", {})["reason"] = None
        bound_to = _context(row["id"], row["endpoint"], row["type"])
        await connection.execute(_REPLACE_BODY, row["id"], encryptor.encrypt(orjson.dumps(told), bound_to))
        changed += 1
    return changed

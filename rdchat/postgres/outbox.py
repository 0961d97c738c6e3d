"""The outbox: outbox entries of realtime events that Ably has not accepted yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from rdchat.domain.message import MessageType
from rdchat.events.outbox_entry import Event, OutboxEntry, message_entry
from rdchat.postgres import messages
from rdchat.postgres.data_keys import KeyOwner
from rdchat.postgres.pool import acquire
from rdchat.security.encryption import context

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    import asyncpg

    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Encryptor

#: No commit has more messages of one session; a row that says so was not written here.
_LARGEST_COMMIT: Final = 10_000

_INSERT = """
INSERT INTO outbox (session_id, version, id, events, created_at, lease_until)
SELECT e.*, clock_timestamp() + $6::interval
  FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bytea[], $5::timestamptz[]) AS e
"""

_CONFIRM = "DELETE FROM outbox WHERE id = ANY($1)"

# What is being deleted meanwhile needs no lease; waiting for it could end in a deadlock.
_EXTEND = """
UPDATE outbox SET lease_until = now() + $2::interval
 WHERE id = ANY(ARRAY(SELECT id FROM outbox WHERE id = ANY($1) FOR UPDATE SKIP LOCKED))
"""

_RECLAIM = _EXTEND + "RETURNING *"

# Whole sessions are taken over, never a part of one: their order survives their publisher.
_TAKE_OVER = """
WITH taken AS (
    SELECT id FROM outbox
     WHERE lease_until < now() AND session_id = ANY(ARRAY(
        SELECT session_id FROM outbox WHERE lease_until < now() ORDER BY lease_until LIMIT $2))
     ORDER BY session_id, version FOR UPDATE SKIP LOCKED
)
UPDATE outbox SET lease_until = now() + $1::interval
 WHERE id = ANY(ARRAY(SELECT id FROM taken))
RETURNING *
"""


def entry_row(entry: OutboxEntry, encryptor: Encryptor) -> tuple[Any, ...]:
    """Make the row of an outbox entry: session id, version, id, encrypted events, instant."""
    events = [(event.channel, event.ably_id, event.name, event.data) for event in entry.events]
    encrypted = encryptor.encrypt(orjson.dumps(events), _context(entry.session_id, entry.version, entry.id))
    return entry.session_id, entry.version, entry.id, encrypted, entry.created_at


def message_entry_row(entry: OutboxEntry) -> tuple[Any, ...]:
    """Make the row of an outbox entry of messages alone, which are stored anyway: session id, id, instant."""
    return entry.session_id, entry.id, entry.created_at


async def insert_entries(
    connection: Connection, entries: Sequence[OutboxEntry], *, keys: DataKeys, lease: timedelta
) -> None:
    """Write outbox entries in a transaction. The group commit writes its own."""
    if entries:
        owners = [KeyOwner(entry.session_id, None) for entry in entries]
        encryptors = await keys.ensure(connection, owners)
        rows = [entry_row(entry, encryptors[entry.session_id]) for entry in entries]
        await connection.execute(_INSERT, *zip(*rows, strict=True), lease)


async def delete_entries(pool: Pool, ids: Sequence[int]) -> None:
    """Forget outbox entries that Ably has accepted."""
    async with acquire(pool) as connection:
        await connection.execute(_CONFIRM, ids)


async def extend_leases(pool: Pool, ids: Sequence[int], lease: timedelta) -> None:
    """Keep outbox entries that this process goes on trying to publish; a lease of nothing gives them away."""
    async with acquire(pool) as connection:
        await connection.execute(_EXTEND, ids, lease)


async def take_over_entries(pool: Pool, *, lease: timedelta, limit: int, keys: DataKeys) -> list[OutboxEntry]:
    """Lease entries that their process did not get published, in the order in which they were written."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_TAKE_OVER, lease, limit)
        return await _entries(connection, rows, keys)


async def reclaim_entries(
    pool: Pool, ids: Sequence[int], *, lease: timedelta, keys: DataKeys
) -> list[OutboxEntry]:
    """Find which of this process' own entries were committed after all, and lease them to it again."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_RECLAIM, ids, lease)
        return await _entries(connection, rows, keys)


async def _entries(
    connection: Connection, rows: Sequence[asyncpg.Record], keys: DataKeys
) -> list[OutboxEntry]:
    """Read entries. Of those that are not as they were written nothing is published, and they are deleted."""
    encryptors = await keys.find(connection, [KeyOwner(row["session_id"], None) for row in rows])
    entries, broken = [], []
    for row in rows:
        encryptor = encryptors.get(row["session_id"])
        if row["events"] is None:
            entry = await _message_entry(connection, row, keys)
        else:
            entry = _entry(row, encryptor, keys)
        if entry is not None:
            entries.append(entry)
        else:
            broken.append(row["id"])
    if broken:
        await connection.execute(_CONFIRM, broken)
    return sorted(entries, key=lambda entry: (entry.created_at, entry.session_id, entry.version))


async def count_entries(pool: Pool) -> int:
    """Count the outbox entries that wait."""
    return (await measure_entries(pool))[0]


async def measure_entries(pool: Pool) -> tuple[int, datetime | None]:
    """Count the outbox entries that wait. Return also since when the oldest does."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow("SELECT count(*) AS waiting, min(created_at) AS oldest FROM outbox")
    return (row["waiting"], row["oldest"]) if row is not None else (0, None)


async def _message_entry(connection: Connection, row: asyncpg.Record, keys: DataKeys) -> OutboxEntry | None:
    session_id, first, count = row["session_id"], row["first_seq"], row["messages"]
    if not 0 < count <= _LARGEST_COMMIT:
        keys.alarm("outbox", session_id)
        return None
    stop = first + count
    said = await messages.list_messages_on(
        connection, KeyOwner(session_id, None), first=first, stop=stop, keys=keys
    )
    genuine = [message for message in said if message.message_type is not MessageType.SYSTEM]
    return message_entry(row["id"], session_id, row["version"], row["created_at"], genuine)


def _entry(row: asyncpg.Record, encryptor: Encryptor | None, keys: DataKeys) -> OutboxEntry | None:
    session_id = row["session_id"]
    bound_to = _context(session_id, row["version"], row["id"])
    events = keys.read(encryptor, row["events"], bound_to, what="outbox", where=session_id)
    if events is None:
        return None
    return OutboxEntry(
        id=row["id"],
        session_id=row["session_id"],
        version=row["version"],
        created_at=row["created_at"],
        events=[Event(*event) for event in orjson.loads(events)],
    )


def _context(session_id: UUID, version: int, entry_id: int) -> bytes:
    return context("outbox", session_id, version, entry_id)

"""The outbox: outbox entries of realtime events that Ably has not accepted yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from rdchat.events.outbox_entry import Event, OutboxEntry, message_entry
from rdchat.postgres import messages
from rdchat.postgres.pool import acquire

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    import asyncpg

    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Encryptor

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
    encrypted = encryptor.encrypt(orjson.dumps(events), entry.session_id.bytes)
    return entry.session_id, entry.version, entry.id, encrypted, entry.created_at


def message_entry_row(entry: OutboxEntry) -> tuple[Any, ...]:
    """Make the row of an outbox entry of messages alone, which are stored anyway: session id, id, instant."""
    return entry.session_id, entry.id, entry.created_at


async def insert_entries(
    connection: Connection, entries: Sequence[OutboxEntry], *, encryptor: Encryptor, lease: timedelta
) -> None:
    """Write outbox entries in a transaction. The group commit writes its own."""
    if entries:
        rows = [entry_row(entry, encryptor) for entry in entries]
        await connection.execute(_INSERT, *zip(*rows, strict=True), lease)


async def delete_entries(pool: Pool, ids: Sequence[int]) -> None:
    """Forget outbox entries that Ably has accepted."""
    async with acquire(pool) as connection:
        await connection.execute(_CONFIRM, ids)


async def extend_leases(pool: Pool, ids: Sequence[int], lease: timedelta) -> None:
    """Keep outbox entries that this process goes on trying to publish; a lease of nothing gives them away."""
    async with acquire(pool) as connection:
        await connection.execute(_EXTEND, ids, lease)


async def take_over_entries(
    pool: Pool, *, lease: timedelta, limit: int, encryptor: Encryptor
) -> list[OutboxEntry]:
    """Lease entries that their process did not get published, in the order in which they were written."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_TAKE_OVER, lease, limit)
    return await _entries(pool, rows, encryptor)


async def reclaim_entries(
    pool: Pool, ids: Sequence[int], *, lease: timedelta, encryptor: Encryptor
) -> list[OutboxEntry]:
    """Find which of this process' own entries were committed after all, and lease them to it again."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_RECLAIM, ids, lease)
    return await _entries(pool, rows, encryptor)


async def _entries(pool: Pool, rows: Sequence[asyncpg.Record], encryptor: Encryptor) -> list[OutboxEntry]:
    entries = []
    for record in rows:
        entry = (
            await _message_entry(pool, record, encryptor)
            if record["events"] is None
            else _entry(record, encryptor)
        )
        if entry is not None:
            entries.append(entry)
    return sorted(entries, key=lambda entry: (entry.created_at, entry.session_id, entry.version))


async def count_entries(pool: Pool) -> int:
    """Count the outbox entries that wait."""
    return (await measure_entries(pool))[0]


async def measure_entries(pool: Pool) -> tuple[int, datetime | None]:
    """Count the outbox entries that wait. Return also since when the oldest does."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow("SELECT count(*) AS waiting, min(created_at) AS oldest FROM outbox")
    return (row["waiting"], row["oldest"]) if row is not None else (0, None)


async def _message_entry(pool: Pool, record: asyncpg.Record, encryptor: Encryptor) -> OutboxEntry | None:
    session_id, first = record["session_id"], record["first_seq"]
    said = await messages.list_messages(
        pool, session_id, first=first, stop=first + record["messages"], encryptor=encryptor
    )
    return message_entry(record["id"], session_id, record["version"], record["created_at"], said)


def _entry(record: asyncpg.Record, encryptor: Encryptor) -> OutboxEntry:
    events = orjson.loads(encryptor.decrypt(record["events"], record["session_id"].bytes))
    return OutboxEntry(
        id=record["id"],
        session_id=record["session_id"],
        version=record["version"],
        created_at=record["created_at"],
        events=[Event(*event) for event in events],
    )

"""The outbox: parcels of realtime events that Ably has not accepted yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from rdchat.events.outbox_entry import Event, Parcel, talk_parcel
from rdchat.postgres import messages
from rdchat.postgres.pool import acquire

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    import asyncpg

    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Sealer

_INSERT = """
INSERT INTO outbox (session_id, version, id, events, created_at, lease_until)
VALUES ($1, $2, $3, $4, $5, now() + $6::interval)
"""

_CONFIRM = "DELETE FROM outbox WHERE id = ANY($1)"

# What is being deleted meanwhile needs no lease; waiting for it could end in a deadlock.
_EXTEND = """
UPDATE outbox SET lease_until = now() + $2::interval
 WHERE id = ANY(ARRAY(SELECT id FROM outbox WHERE id = ANY($1) FOR UPDATE SKIP LOCKED))
"""

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


def row(parcel: Parcel, sealer: Sealer) -> tuple[Any, ...]:
    """Make the row of a parcel: session id, version, id, sealed events, instant."""
    events = [(event.channel, event.ably_id, event.name, event.data) for event in parcel.events]
    sealed = sealer.seal(orjson.dumps(events), parcel.session_id.bytes)
    return parcel.session_id, parcel.version, parcel.id, sealed, parcel.created_at


def talk_row(parcel: Parcel) -> tuple[Any, ...]:
    """Make the row of a parcel of messages alone, which are stored anyway: session id, id, instant."""
    return parcel.session_id, parcel.id, parcel.created_at


async def insert(connection: Connection, parcel: Parcel, *, sealer: Sealer, lease: timedelta) -> None:
    """Write a parcel in a transaction of its own making. The group commit writes its own."""
    await connection.execute(_INSERT, *row(parcel, sealer), lease)


async def confirm(pool: Pool, ids: Sequence[int]) -> None:
    """Forget parcels that Ably has accepted."""
    async with acquire(pool) as connection:
        await connection.execute(_CONFIRM, ids)


async def extend(pool: Pool, ids: Sequence[int], lease: timedelta) -> None:
    """Keep parcels that this process goes on trying to publish; a lease of nothing gives them away."""
    async with acquire(pool) as connection:
        await connection.execute(_EXTEND, ids, lease)


async def take_over(pool: Pool, *, lease: timedelta, limit: int, sealer: Sealer) -> list[Parcel]:
    """Lease parcels that their process did not get published, in the order in which they were written."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_TAKE_OVER, lease, limit)
    parcels = []
    for record in rows:
        parcel = await _talk(pool, record, sealer) if record["events"] is None else _parcel(record, sealer)
        if parcel is not None:
            parcels.append(parcel)
    return sorted(parcels, key=lambda parcel: (parcel.created_at, parcel.session_id, parcel.version))


async def count(pool: Pool) -> int:
    """Count the parcels that wait."""
    async with acquire(pool) as connection:
        waiting: int = await connection.fetchval("SELECT count(*) FROM outbox")
    return waiting


async def _talk(pool: Pool, record: asyncpg.Record, sealer: Sealer) -> Parcel | None:
    session_id, first = record["session_id"], record["first_seq"]
    said = await messages.messages_between(
        pool, session_id, first=first, stop=first + record["messages"], sealer=sealer
    )
    return talk_parcel(record["id"], session_id, record["version"], record["created_at"], said)


def _parcel(record: asyncpg.Record, sealer: Sealer) -> Parcel:
    events = orjson.loads(sealer.open(record["events"], record["session_id"].bytes))
    return Parcel(
        id=record["id"],
        session_id=record["session_id"],
        version=record["version"],
        created_at=record["created_at"],
        events=[Event(*event) for event in events],
    )

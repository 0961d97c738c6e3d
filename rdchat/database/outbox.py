"""The outbox: realtime events that Ably has not accepted yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from rdchat.database.pool import acquire
from rdchat.realtime.events import Event

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    import asyncpg

    from rdchat.database.pool import Pool
    from rdchat.sealing import Sealer

_CONFIRM = """
DELETE FROM outbox o
 USING unnest($1::uuid[], $2::bigint[], $3::smallint[]) AS t (session_id, version, position)
 WHERE (o.session_id, o.version, o.position) = (t.session_id, t.version, t.position)
"""

_EXTEND = """
UPDATE outbox o SET lease_until = now() + $4::interval
  FROM unnest($1::uuid[], $2::bigint[], $3::smallint[]) AS t (session_id, version, position)
 WHERE (o.session_id, o.version, o.position) = (t.session_id, t.version, t.position)
"""

# Whole channels are taken over, never a part of one: order within a channel survives its publisher.
_TAKE_OVER = """
WITH channels AS (
    SELECT DISTINCT channel FROM (
        SELECT channel FROM outbox WHERE lease_until < now() ORDER BY lease_until LIMIT $2
    ) AS stale
),
taken AS (
    SELECT o.session_id, o.version, o.position FROM outbox o JOIN channels USING (channel)
     WHERE o.lease_until < now()
     ORDER BY o.session_id, o.version, o.position FOR UPDATE OF o SKIP LOCKED
)
UPDATE outbox o SET lease_until = now() + $1::interval
  FROM taken t
 WHERE (o.session_id, o.version, o.position) = (t.session_id, t.version, t.position)
RETURNING o.*
"""


async def confirm(pool: Pool, events: Sequence[Event]) -> None:
    """Forget events that Ably has accepted."""
    async with acquire(pool) as connection:
        await connection.execute(_CONFIRM, *_keys(events))


async def extend(pool: Pool, events: Sequence[Event], lease: timedelta) -> None:
    """Keep events that this process goes on trying to publish; a lease of nothing gives them away."""
    async with acquire(pool) as connection:
        await connection.execute(_EXTEND, *_keys(events), lease)


async def take_over(pool: Pool, *, lease: timedelta, limit: int, sealer: Sealer) -> list[Event]:
    """Lease events that their process did not get published, in the order of their channels."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_TAKE_OVER, lease, limit)
    events = [_event(row, sealer) for row in rows]
    return sorted(
        events, key=lambda event: (event.created_at, event.session_id, event.version, event.position)
    )


async def count(pool: Pool) -> int:
    """Count the events that wait."""
    async with acquire(pool) as connection:
        waiting: int = await connection.fetchval("SELECT count(*) FROM outbox")
    return waiting


def _keys(events: Sequence[Event]) -> tuple[list[object], list[int], list[int]]:
    return (
        [event.session_id for event in events],
        [event.version for event in events],
        [event.position for event in events],
    )


def _event(row: asyncpg.Record, sealer: Sealer) -> Event:
    return Event(
        session_id=row["session_id"],
        version=row["version"],
        position=row["position"],
        channel=row["channel"],
        ably_id=row["ably_id"],
        name=row["name"],
        data=orjson.loads(sealer.open(row["payload"], row["session_id"].bytes)),
        created_at=row["created_at"],
    )

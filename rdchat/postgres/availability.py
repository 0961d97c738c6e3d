"""Psychologists' working hours, and who is free in them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rdchat.domain.booking import LONGEST, clipped, max_overlap
from rdchat.domain.free_slots import at_capacity
from rdchat.postgres.people import by_name
from rdchat.postgres.pool import acquire
from rdchat.postgres.working_time import get_working_time, hours_document, hours_from_row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from rdchat.domain.availability import Availability, Range
    from rdchat.domain.booking import Limits, Slot
    from rdchat.domain.person import Psychologist
    from rdchat.postgres.pool import Connection, Pool

_BETWEEN = """
 WHERE psychologist_id = ANY($1) AND status = 'pending'
   AND starts_at < $3 AND starts_at > $4 AND ends_at > $2
"""

_BOOKED = f"""
SELECT psychologist_id, starts_at, ends_at FROM counselings {_BETWEEN} AND id IS DISTINCT FROM $5
"""  # noqa: S608 - ours

# Weeks of all psychologists are thousands of counsellings: as numbers, and a row each psychologist, they are
# read in a twentieth of the time.
_EDGES = f"""
SELECT psychologist_id, array_agg(date_part('epoch', starts_at)) AS starts,
       array_agg(date_part('epoch', ends_at)) AS ends
  FROM counselings {_BETWEEN} GROUP BY psychologist_id
"""  # noqa: S608 - ours

_ACTIVE = """
SELECT s.*, p.sealed_name FROM psychologists s JOIN people p USING (id) WHERE s.is_active
"""


async def get_availability(pool: Pool, psychologist_id: UUID) -> Availability | None:
    """Read when a psychologist works. None: there is no such psychologist."""
    async with acquire(pool) as connection:
        found = await get_working_time(connection, psychologist_id)
    return None if found is None else found.hours


async def put_availability(
    connection: Connection, psychologist_id: UUID, hours: Availability, *, at: datetime
) -> None:
    """Replace when a psychologist works, whose row is locked. What is given is in order."""
    await connection.execute(
        "UPDATE psychologists SET timezone = $2, availability = $3, updated_at = $4 WHERE id = $1",
        psychologist_id,
        hours.timezone,
        hours_document(hours),
        at,
    )


async def list_booked(
    pool: Pool,
    psychologist_ids: Sequence[UUID],
    since: datetime,
    until: datetime,
    *,
    except_counseling: UUID | None = None,
) -> dict[UUID, list[Range]]:
    """Read what psychologists have between two instants. Those who have nothing are left out."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(
            _BOOKED, list(psychologist_ids), since, until, since - LONGEST, except_counseling
        )
    found: dict[UUID, list[Range]] = {}
    for row in rows:
        found.setdefault(row["psychologist_id"], []).append((row["starts_at"], row["ends_at"]))
    return found


async def list_full(
    pool: Pool, psychologist_ids: Sequence[UUID], since: datetime, until: datetime, capacity: int
) -> dict[UUID, list[Range]]:
    """Read where psychologists have at least so many counsellings at once, between two instants."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_EDGES, list(psychologist_ids), since, until, since - LONGEST)
    return {
        row["psychologist_id"]: [
            (datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC))
            for start, end in at_capacity(row["starts"], row["ends"], capacity)
        ]
        for row in rows
    }


async def list_working(pool: Pool) -> list[tuple[Psychologist, Availability]]:
    """List the psychologists that can be booked, by name, and when they work."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_ACTIVE)
        psychologists = await by_name(connection, rows)
    hours = {row["id"]: hours_from_row(row) for row in rows}
    return [(one, hours[one.id]) for one in psychologists]


async def list_free_psychologists(
    pool: Pool, slot: Slot, limits: Limits, *, after: tuple[str, UUID] | None = None
) -> list[Psychologist]:
    """List who can be booked for a slot, by name; `after` is the (name, id) of the last one seen."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_ACTIVE)
        working = await by_name(
            connection,
            [row for row in rows if hours_from_row(row).covers(slot.starts_at, slot.ends_at)],
            after=after,
        )
    taken = await list_booked(pool, [one.id for one in working], slot.starts_at, slot.ends_at)
    return [
        one
        for one in working
        if max_overlap(clipped(taken.get(one.id, ()), slot.starts_at, slot.ends_at)) < limits.per_psychologist
    ]

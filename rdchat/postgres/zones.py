"""Counsellings whose instants are not what their wall time means, and which tz database was last held to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rdchat.postgres.pool import acquire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import date, datetime, time
    from uuid import UUID

    from rdchat.postgres.pool import Pool

_PAGE: Final = 2_000
_TZDATA: Final = "tzdata"
_NO_ID: Final = "00000000-0000-0000-0000-000000000000"

_AHEAD = """
SELECT id, starts_at, ends_at, timezone, local_date, local_start, start_fold, local_end_date, local_end,
       end_fold
  FROM counselings WHERE status = 'pending' AND starts_at > $1 AND id > $2 ORDER BY id LIMIT $3
"""

_SET_FACT = """
INSERT INTO facts (name, value) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = now()
"""


@dataclass(frozen=True, slots=True)
class Agreed:
    """What was agreed for a counselling: wall times in a zone, and the instants that they meant then.

    `start_fold`, `end_fold`: the second pass of a time that comes twice.
    """

    counseling_id: UUID
    starts_at: datetime
    ends_at: datetime
    timezone: str
    start_day: date
    start: time
    end_day: date
    end: time


async def list_agreed(pool: Pool, *, after: datetime) -> AsyncIterator[list[Agreed]]:
    """Page through what was agreed for the pending counsellings that start after an instant."""
    position: UUID | str = _NO_ID
    while True:
        async with acquire(pool) as connection:
            rows = await connection.fetch(_AHEAD, after, position, _PAGE)
        if rows:
            yield [
                Agreed(
                    row["id"],
                    row["starts_at"],
                    row["ends_at"],
                    row["timezone"],
                    row["local_date"],
                    row["local_start"].replace(fold=int(row["start_fold"])),
                    row["local_end_date"],
                    row["local_end"].replace(fold=int(row["end_fold"])),
                )
                for row in rows
            ]
        if len(rows) < _PAGE:
            return
        position = rows[-1]["id"]


async def get_tzdata_version(pool: Pool) -> str | None:
    """Return the version of the tz database that all counsellings were last held to, or None."""
    async with acquire(pool) as connection:
        version: str | None = await connection.fetchval("SELECT value FROM facts WHERE name = $1", _TZDATA)
    return version


async def set_tzdata_version(pool: Pool, version: str) -> None:
    """Note that all counsellings keep to a version of the tz database."""
    async with acquire(pool) as connection:
        await connection.execute(_SET_FACT, _TZDATA, version)

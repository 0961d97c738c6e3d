"""Links to calendars. The secret of a link is not kept, only its hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rdchat.postgres.pool import acquire, rows_changed

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.postgres.pool import Connection, Pool

_PUT = """
INSERT INTO calendar_links (person_id, secret_hash, created_at) VALUES ($1, $2, $3)
ON CONFLICT (person_id) DO UPDATE SET secret_hash = excluded.secret_hash, created_at = excluded.created_at
"""

_OWNER = """
SELECT l.person_id, p.locale
  FROM calendar_links l JOIN people p ON p.id = l.person_id
 WHERE l.secret_hash = $1
"""


async def put_link(connection: Connection, person_id: UUID, secret_hash: bytes, at: datetime) -> None:
    """Give a person a link, instead of the one that they had."""
    await connection.execute(_PUT, person_id, secret_hash, at)


async def delete_link(pool: Pool, person_id: UUID) -> bool:
    """Take a person's link away. Return whether they had one."""
    async with acquire(pool) as connection:
        tag = await connection.execute("DELETE FROM calendar_links WHERE person_id = $1", person_id)
    return rows_changed(tag) == 1


async def get_owner(pool: Pool, secret_hash: bytes) -> tuple[UUID, str | None] | None:
    """Find whose link it is, and their language; None when it is no one's."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow(_OWNER, secret_hash)
    return None if row is None else (row["person_id"], row["locale"])

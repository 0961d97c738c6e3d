"""Conversations: sessions by what people have said in them, leaving out what the service says by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rdchat.domain.message import FROM_PEOPLE, WITH_ATTACHMENT
from rdchat.postgres.data_keys import keys_of, session_owner
from rdchat.postgres.messages import MESSAGE, verified
from rdchat.postgres.names import names_in
from rdchat.postgres.pool import acquire
from rdchat.postgres.sessions import SESSION, sessions_from_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from rdchat.domain.message import Message
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool
    from statemachine import Session

_SAID: Final = sorted(FROM_PEOPLE)

# UNION: one who booked with themselves has a session once.
_OWN: Final = """
WITH own AS (
    SELECT s.id, coalesce(s.ended_at, s.updated_at) AS at FROM chat_sessions s
     WHERE s.client_id = $1 AND ($2::uuid[] IS NULL OR s.psychologist_id = ANY($2))
     UNION
    SELECT s.id, coalesce(s.ended_at, s.updated_at) AS at FROM chat_sessions s
     WHERE s.psychologist_id = $1 AND ($2::uuid[] IS NULL OR s.client_id = ANY($2))
)
"""

_OTHERS: Final = """
SELECT p.id, p.sealed_name FROM people p
 WHERE p.id IN (SELECT psychologist_id FROM chat_sessions WHERE client_id = $1
                 UNION
                SELECT client_id FROM chat_sessions WHERE psychologist_id = $1)
"""

_COUNT: Final = f"{_OWN} SELECT count(*) FROM own"  # noqa: S608 - ours

_PAGE: Final = f"""
{_OWN}, page AS (SELECT * FROM own ORDER BY at DESC, id DESC LIMIT $3 OFFSET $4)
{SESSION} JOIN page ON page.id = s.id ORDER BY page.at DESC, page.id DESC
"""  # noqa: S608 - ours

_LAST: Final = f"""
{MESSAGE} JOIN unnest($1::uuid[]) AS wanted (id) ON wanted.id = m.session_id
 WHERE m.seq = (SELECT max(l.seq) FROM messages l WHERE l.session_id = wanted.id AND l.message_type = ANY($2))
"""  # noqa: S608 - ours

_WITH_FILES: Final = (
    MESSAGE + " WHERE m.session_id = $1 AND m.message_type = ANY($2) ORDER BY m.seq DESC LIMIT $3"
)

# The other's, as in `reads.py`.
_UNREAD: Final = """
SELECT s.id, count(m.seq) AS unread
  FROM chat_sessions s
  JOIN messages m ON m.session_id = s.id AND (m.sender_id = s.client_id) <> (s.client_id = $1)
   AND m.message_type = ANY($2)
   AND m.seq > coalesce((SELECT max(r.up_to_seq) FROM reads r
                          WHERE r.session_id = s.id AND r.person_id = $1), 0)
"""
_UNREAD_IN: Final = _UNREAD + "WHERE s.id = ANY($3) GROUP BY s.id"
_UNREAD_SINCE: Final = (
    _UNREAD + "WHERE (s.client_id = $1 OR s.psychologist_id = $1) AND s.starts_at >= $3 GROUP BY s.id"
)

_CLIENTS: Final = "SELECT id, client_id FROM chat_sessions WHERE id = ANY($1)"

_READ_BY_STEP: Final = """
SELECT m.id
  FROM messages m JOIN chat_sessions s ON s.id = m.session_id
 WHERE m.session_id = $1 AND m.seq <= $3
   AND m.seq > coalesce((SELECT max(r.up_to_seq) FROM reads r
                          WHERE r.session_id = $1 AND r.person_id = $2 AND r.up_to_seq < $3), 0)
   AND (m.sender_id = s.client_id) <> (s.client_id = $2)
 ORDER BY m.seq DESC LIMIT $4
"""


async def list_conversations(
    pool: Pool, person_id: UUID, *, search: str | None, limit: int, offset: int
) -> tuple[list[Session], int]:
    """List the sessions of a participant, latest activity first, and count them.

    `search`: only those with people in whose names this is.
    """
    async with acquire(pool) as connection:
        people = None if search is None else await _find_others(connection, person_id, search)
        total: int = await connection.fetchval(_COUNT, person_id, people)
        rows = await connection.fetch(_PAGE, person_id, people, limit, offset) if offset < total else []
        return await sessions_from_rows(connection, rows), total


async def _find_others(connection: Connection, person_id: UUID, search: str) -> list[UUID]:
    """Return those with whom a person has sessions and in whose names a text is."""
    rows = await connection.fetch(_OTHERS, person_id)
    names = await names_in(connection, keys_of(connection), rows, [("id", "sealed_name")])
    return [one for one, name in names.items() if search.lower() in name.lower()]


async def list_last_said(pool: Pool, sessions: Sequence[Session], *, keys: DataKeys) -> dict[UUID, Message]:
    """Read what a person has said last in each session; those without are left out."""
    talked = [session for session in sessions if session.last_seq]
    if not talked:
        return {}
    async with acquire(pool) as connection:
        rows = await connection.fetch(_LAST, [session.id for session in talked], _SAID)
        read = await verified(connection, map(session_owner, talked), rows, keys)
    return {message.session_id: message for message in read}


async def list_with_files(pool: Pool, session: Session, *, limit: int, keys: DataKeys) -> list[Message]:
    """Read the messages of a session that have files, latest first."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_WITH_FILES, session.id, sorted(WITH_ATTACHMENT), limit)
        return await verified(connection, [session_owner(session)], rows, keys)


async def count_unread_in(pool: Pool, person_id: UUID, session_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Count what a person has not read of what others said in some sessions; those without are left out."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_UNREAD_IN, person_id, _SAID, list(session_ids))
    return {row["id"]: row["unread"] for row in rows}


async def count_unread_since(pool: Pool, person_id: UUID, since: datetime) -> dict[UUID, int]:
    """Count like `count_unread_in`, by session that started since an instant."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_UNREAD_SINCE, person_id, _SAID, since)
    return {row["id"]: row["unread"] for row in rows}


async def list_read_messages(
    pool: Pool, session_id: UUID, person_id: UUID, up_to_seq: int, *, limit: int
) -> list[UUID]:
    """List the ids of what a person has read by the step to `up_to_seq`, latest first."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_READ_BY_STEP, session_id, person_id, up_to_seq, limit)
    return [row["id"] for row in rows]


async def get_clients(pool: Pool, session_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Return the client of each session; unknown ones are left out."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_CLIENTS, session_ids)
    return {row["id"]: row["client_id"] for row in rows}

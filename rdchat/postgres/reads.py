"""How far people have read, who was there, and how much is left to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rdchat.postgres import outbox
from rdchat.postgres.pool import acquire

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from rdchat.events.outbox_entry import OutboxEntry
    from rdchat.postgres.data_keys import DataKeys, KeyOwner
    from rdchat.postgres.pool import Connection, Pool

# One statement: the step and its event are both there, or neither is. A step back is none. Nothing is done
# where the session is no longer as the caller knows it ($9).
_READ = """
WITH session AS (SELECT FROM chat_sessions WHERE id = $1 AND (version = $5 OR NOT $9)),
horizon AS (
    SELECT up_to_seq, read_at FROM reads
     WHERE session_id = $1 AND person_id = $2 ORDER BY up_to_seq DESC LIMIT 1
),
attended AS (
    INSERT INTO attendance (session_id, person_id, until) SELECT $1, $2, $4 FROM session WHERE $10
    ON CONFLICT (session_id, person_id) DO UPDATE SET until = excluded.until
     WHERE attendance.until < excluded.until
),
step AS (
    INSERT INTO reads (session_id, person_id, up_to_seq, read_at)
    SELECT $1, $2, $3, $4 FROM session
     WHERE $3::bigint > 0 AND NOT EXISTS (SELECT FROM horizon WHERE up_to_seq >= $3)
    ON CONFLICT DO NOTHING RETURNING up_to_seq, read_at
),
entry AS (
    INSERT INTO outbox (session_id, version, id, events, created_at, lease_until)
    SELECT $1, $5, $6, $7, $4, clock_timestamp() + $8::interval FROM step
)
SELECT EXISTS (SELECT FROM step) AS is_further, reached.up_to_seq, reached.read_at
  FROM session LEFT JOIN (SELECT * FROM step UNION ALL SELECT * FROM horizon) reached ON true
 ORDER BY up_to_seq DESC NULLS LAST LIMIT 1
"""

_HORIZON = """
SELECT up_to_seq, read_at FROM reads WHERE session_id = $1 AND person_id = $2 ORDER BY up_to_seq DESC LIMIT 1
"""

_ATTEND = """
INSERT INTO attendance (session_id, person_id, until)
SELECT session_id, $2, $3 FROM unnest($1::uuid[]) AS session_id ORDER BY session_id
ON CONFLICT (session_id, person_id) DO UPDATE SET until = excluded.until
 WHERE attendance.until < excluded.until
"""

#: How far the person $1 has read a session `s`, and how far the other: as the messages show it that are read
#: (see `messages.py`).
OWN: Final = """coalesce((SELECT max(r.up_to_seq) FROM reads r
                  WHERE r.session_id = s.id AND r.person_id = $1), 0) AS own"""
OTHER: Final = """coalesce((SELECT max(r.up_to_seq) FROM reads r
                  WHERE r.session_id = s.id
                    AND (r.person_id = s.client_id) <> (s.client_id = $1)), 0) AS other"""
#: What the other has sent in a session `s` that $1 has not read: of a psychologist also what the one before a
#: hand-over has sent, to the client alone. `read` has what was found of it, and OFFSET 0, which keeps it from
#: being looked for again wherever it is named.
UNREAD: Final = """FROM messages u
     WHERE u.session_id = s.id AND u.seq > read.own AND (u.sender_id = s.client_id) <> (s.client_id = $1)"""

_UNREAD_SINCE = f"""
SELECT s.id, m.unread
  FROM chat_sessions s
 CROSS JOIN LATERAL (SELECT {OWN} OFFSET 0) read
 CROSS JOIN LATERAL (SELECT count(*) AS unread, max(u.created_at) AS latest {UNREAD}) m
 WHERE (s.client_id = $1 OR s.psychologist_id = $1) AND s.starts_at >= $2
   AND s.last_seq > read.own AND m.unread > 0
 ORDER BY m.latest DESC
"""  # noqa: S608 - ours

_HORIZONS = f"SELECT s.id, {OWN}, {OTHER} FROM chat_sessions s WHERE s.id = ANY($2)"  # noqa: S608 - ours


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far a person has read, and since when: 0 and None before they have read anything."""

    up_to_seq: int
    read_at: datetime | None
    is_further: bool


async def insert_read(
    pool: Pool,
    person_id: UUID,
    up_to_seq: int,
    entry: OutboxEntry,
    *,
    owner: KeyOwner,
    keys: DataKeys,
    lease: timedelta,
    is_there: bool,
    at_version: bool,
) -> Horizon | None:
    """Note that a person has read so far, with the event that tells it. Return how far they have read now.

    `entry` is the event's, and `owner` its session; two devices of one person may both get further at once,
    and both are told. `is_there`: they have come to the session, too. `at_version`: only if the session still
    has the entry's version; None says that it has not, or that there is no such session. Raise DataKeyError.
    """
    async with acquire(pool) as connection:
        encryptor = await keys.get(connection, owner)
        session_id, version, entry_id, encrypted, at = outbox.entry_row(entry, encryptor)
        values = (session_id, person_id, up_to_seq, at, version, entry_id, encrypted, lease)
        found = await connection.fetchrow(_READ, *values, at_version, is_there)
        if found is None:
            return None
        reached, read_at = found["up_to_seq"] or 0, found["read_at"]
        # Another device has taken the same step in this very moment: a statement sees what was before it.
        again = reached < up_to_seq
        if again and (row := await connection.fetchrow(_HORIZON, session_id, person_id)) is not None:
            reached, read_at = row["up_to_seq"], row["read_at"]
    return Horizon(reached, read_at, found["is_further"])


async def list_read_horizons(
    pool: Pool, person_id: UUID, session_ids: Sequence[UUID]
) -> dict[UUID, tuple[int, int]]:
    """Return how far a participant and the other of the two have read in some sessions; 0 before anything."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_HORIZONS, person_id, list(session_ids))
    return {row["id"]: (row["own"], row["other"]) for row in rows}


async def record_attendance(
    pool: Pool, session_ids: Sequence[UUID], person_id: UUID, until: datetime
) -> None:
    """Note that a person is there until an instant; one who is after the start has come to the session."""
    if session_ids:
        async with acquire(pool) as connection:
            await record_attendance_on(connection, session_ids, person_id, until)


async def record_attendance_on(
    connection: Connection, session_ids: Sequence[UUID], person_id: UUID, until: datetime
) -> None:
    """Do what `record_attendance` does on a connection; within a transaction if there is one."""
    await connection.execute(_ATTEND, session_ids, person_id, until)


async def count_unread_since(pool: Pool, person_id: UUID, since: datetime) -> dict[UUID, int]:
    """Count what a person has not read, by session that started since an instant, latest message first."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_UNREAD_SINCE, person_id, since)
    return {row["id"]: row["unread"] for row in rows}

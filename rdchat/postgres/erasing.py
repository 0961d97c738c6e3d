"""What is erased of a person, statement by statement: rows stay, what is personal in them goes.

Everything here runs in a transaction of the caller's, and can be run again: it then finds less to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rdchat.postgres import idempotency, webhooks
from rdchat.postgres.key_destruction import OwnerKind
from rdchat.postgres.pool import acquire, rows_changed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime
    from uuid import UUID

    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool

_LOCK_PERSON: Final = "SELECT role FROM people WHERE id = $1 FOR NO KEY UPDATE"
_LOCK_PSYCHOLOGIST: Final = "SELECT FROM psychologists WHERE id = $1 FOR NO KEY UPDATE"

# Not over, whether it is open or yet to begin.
_NOT_OVER: Final = """
SELECT id, status, starts_at, ends_at FROM chat_sessions
 WHERE (client_id = $1 OR psychologist_id = $1) AND ended_at IS NULL ORDER BY starts_at, id
"""

# Of those that have a key left, the earliest.
_WITH_KEYS: Final = """
SELECT c.id AS counseling_id, s.id AS session_id, coalesce(s.last_seq, 0) AS messages
  FROM counselings c LEFT JOIN chat_sessions s ON s.counseling_id = c.id
 WHERE c.client_id = $1
   AND (EXISTS (SELECT FROM data_keys k WHERE k.owner = c.id)
        OR EXISTS (SELECT FROM data_keys k WHERE k.owner = s.id))
 ORDER BY c.starts_at, c.id LIMIT $2
"""

_DROP_OUTBOX: Final = "DELETE FROM outbox WHERE session_id = ANY($1)"

_WAITING: Final = """
SELECT EXISTS (SELECT FROM outbox o WHERE o.session_id = $1 OR o.session_id IN (
    SELECT id FROM counselings WHERE client_id = $1 OR psychologist_id = $1
    UNION ALL SELECT id FROM chat_sessions WHERE client_id = $1 OR psychologist_id = $1))
"""

# The one statement that blanks who a person is.
_BLANK_PERSON: Final = """
UPDATE people SET sealed_name = NULL, sealed_email = NULL, locale = NULL,
                  organization_id = NULL
 WHERE id = $1
"""

#: What a person has, and no one else needs.
_DROP: Final = {
    "idempotencyAnswers": "DELETE FROM idempotency WHERE person_id = $1",
    "quickReplies": "DELETE FROM quick_replies WHERE person_id = $1",
    # Also those about them: what is noted of a client is of the client.
    "notes": "DELETE FROM client_notes WHERE psychologist_id = $1 OR client_id = $1",
    "calendarLinks": "DELETE FROM calendar_links WHERE person_id = $1",
    "outboxEntries": "DELETE FROM outbox WHERE session_id = $1",
}

# Their texts have places for names, which are those of now; reasons are quoted. Of a client all of them go; a
# psychologist's clients keep why they were told that something was cancelled.
_BLANK_NOTIFICATIONS: Final = """
WITH theirs AS (
    SELECT id FROM counselings WHERE client_id = $1
)
UPDATE notifications n SET reason = NULL FROM theirs t WHERE n.counseling_id = t.id AND n.reason IS NOT NULL
"""

_BLANK_OWN_NOTIFICATIONS: Final = """
UPDATE notifications SET reason = NULL WHERE person_id = $1 AND reason IS NOT NULL
"""

#: Who was told of what a person had: an answer to them, or a webhook under way, may say something of it.
_OTHERS: Final = """
SELECT DISTINCT n.person_id FROM notifications n
 WHERE n.person_id <> $1
   AND n.counseling_id IN (SELECT id FROM counselings WHERE client_id = $1 OR psychologist_id = $1)
"""

_IDS: Final = """
SELECT id FROM counselings WHERE client_id = $1 OR psychologist_id = $1
UNION ALL SELECT id FROM chat_sessions WHERE client_id = $1 OR psychologist_id = $1
"""

_CANCELLED: Final = """
SELECT count(*) FROM counselings
 WHERE (client_id = $1 OR psychologist_id = $1) AND status = 'cancelled' AND updated_at >= $2
"""

_FILES: Final = """
SELECT a.session_id, a.id FROM destroyed_keys d JOIN attachments a ON a.session_id = d.owner
 WHERE d.erasure_id = $1 AND a.erased_at IS NULL LIMIT $2
"""

_FILE_ERASED: Final = """
UPDATE attachments SET erased_at = $3 WHERE session_id = $1 AND id = $2 AND erased_at IS NULL
"""

_WITHDRAW: Final = """
UPDATE psychologists SET is_active = false, updated_at = $2 WHERE id = $1 AND is_active
"""

# In a database that was restored from before: keys that were destroyed since, and are there again.
_KEYS_AGAIN: Final = """
DELETE FROM data_keys k USING destroyed_keys d WHERE d.owner = k.owner AND k.created_at < d.destroyed_at
"""

_ERASED_COUNSELINGS: Final = "SELECT owner FROM destroyed_keys WHERE kind = 'counseling' OR kind = 'session'"

_BLANK_TOLD: Final = """
UPDATE notifications SET reason = NULL
 WHERE (counseling_id = ANY($1) OR session_id = ANY($1)) AND reason IS NOT NULL
"""

_CAME_BACK: Final = "SELECT EXISTS (SELECT FROM people WHERE id = $1 AND token_at > $2)"

_ERASED_SESSIONS: Final = """
SELECT owner FROM destroyed_keys WHERE erasure_id = $1 AND kind = 'session'
"""


@dataclass(frozen=True, slots=True)
class NotOver:
    """A session that is not over. `is_open`: people are in it, or can be."""

    id: UUID
    is_open: bool
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class OwnedPart:
    """Some counsellings, as (id, session, messages)."""

    counselings: Sequence[tuple[UUID, UUID | None, int]]

    @property
    def counseling_ids(self) -> list[UUID]:
        """The ids of the counsellings."""
        return [counseling_id for counseling_id, _, _ in self.counselings]

    @property
    def session_ids(self) -> list[UUID]:
        """The ids of those of their sessions that there are."""
        return [session_id for _, session_id, _ in self.counselings if session_id is not None]

    @property
    def owners(self) -> dict[UUID, OwnerKind]:
        """Whatever of them can have a data key."""
        return dict.fromkeys(self.counseling_ids, OwnerKind.COUNSELING) | dict.fromkeys(
            self.session_ids, OwnerKind.SESSION
        )

    def counts(self, gone: AbstractSet[UUID]) -> dict[str, int]:
        """Count what went with the keys of some owners, by what it was."""
        ended = [one for one in self.counselings if one[0] in gone or one[1] in gone]
        return {
            "dataKeys": len(gone),
            "counselings": len(ended),
            "sessions": sum(session_id in gone for _, session_id, _ in ended),
            "messages": sum(said for _, session_id, said in ended if session_id in gone),
        }


async def lock_person(connection: Connection, person_id: UUID) -> str | None:
    """Lock a person, as bookings do: none with them is under way. Return their role; None: never seen."""
    role: str | None = await connection.fetchval(_LOCK_PERSON, person_id)
    await connection.execute(_LOCK_PSYCHOLOGIST, person_id)
    return role


async def list_not_over(connection: Connection, person_id: UUID) -> list[NotOver]:
    """List the sessions of a person that are not over, earliest first."""
    rows = await connection.fetch(_NOT_OVER, person_id)
    return [NotOver(row["id"], row["status"] != "pending", row["ends_at"]) for row in rows]


async def list_with_keys(connection: Connection, client_id: UUID, limit: int) -> OwnedPart:
    """List a part of a client's counsellings that can still be read."""
    rows = await connection.fetch(_WITH_KEYS, client_id, limit)
    return OwnedPart([(row["counseling_id"], row["session_id"], row["messages"]) for row in rows])


async def drop_events(connection: Connection, owners: Iterable[UUID]) -> int:
    """Drop what has yet to be published of sessions and counsellings. Return how many entries."""
    return rows_changed(await connection.execute(_DROP_OUTBOX, list(owners)))


async def clear_client_message_ids(connection: Connection, session_ids: Iterable[UUID]) -> int:
    """Clear what apps have named the messages of sessions whose keys were destroyed. Return how many.

    As long as a replica has the key in memory, the message would seem to be altered.
    """
    cleared = 0
    for session_id in session_ids:
        cleared += await connection.fetchval("SELECT erase_client_message_ids($1)", session_id)
    return cleared


async def clear_person(connection: Connection, person_id: UUID, keys: DataKeys) -> dict[str, int]:
    """Clear what is personal in rows, a person's own and others' about them. Return how much was cleared."""
    counts = {}
    for name, statement in _DROP.items():
        counts[name] = rows_changed(await connection.execute(statement, person_id))
    counts["webhooks"] = await webhooks.delete_bodies(connection, person_id)
    others = [row["person_id"] for row in await connection.fetch(_OTHERS, person_id)]
    mentions = [str(row["id"]).encode() for row in await connection.fetch(_IDS, person_id)]
    mentions.append(str(person_id).encode())
    counts["idempotencyAnswers"] += await idempotency.delete_mentioning(
        connection, others, mentions, keys=keys
    )
    counts["webhooks"] += await webhooks.clear_mentioning(connection, others, mentions, keys=keys)
    counts["notifications"] = rows_changed(await connection.execute(_BLANK_NOTIFICATIONS, person_id))
    counts["notifications"] += rows_changed(await connection.execute(_BLANK_OWN_NOTIFICATIONS, person_id))
    await connection.execute(_BLANK_PERSON, person_id)
    return counts


async def count_cancelled(connection: Connection, person_id: UUID, since: datetime) -> int:
    """Count the counsellings of a person that were cancelled since an instant."""
    count: int = await connection.fetchval(_CANCELLED, person_id, since)
    return count


async def is_anything_to_publish(pool: Pool, person_id: UUID) -> bool:
    """Tell whether events of a person's counsellings have yet to leave."""
    async with acquire(pool) as connection:
        waiting: bool = await connection.fetchval(_WAITING, person_id)
    return waiting


async def list_files(pool: Pool, erasure_id: UUID, limit: int) -> list[tuple[UUID, UUID]]:
    """List files that are still in their storage, of sessions that an erasure has ended."""
    async with acquire(pool) as connection:
        return [(row["session_id"], row["id"]) for row in await connection.fetch(_FILES, erasure_id, limit)]


async def mark_file_erased(connection: Connection, session_id: UUID, file_id: UUID, at: datetime) -> int:
    """Note that a file is not in its storage any more. Return 0 where that was noted before, else 1."""
    return rows_changed(await connection.execute(_FILE_ERASED, session_id, file_id, at))


async def withdraw_psychologist(connection: Connection, person_id: UUID, at: datetime) -> None:
    """Let a person not be booked any more, if they are a psychologist, within a transaction."""
    await connection.execute(_WITHDRAW, person_id, at)


async def destroy_again(connection: Connection) -> dict[str, int]:
    """Destroy keys that have come back with a backup, and clear what stands beside what they were for."""
    keys = rows_changed(await connection.execute(_KEYS_AGAIN))
    owners = [row["owner"] for row in await connection.fetch(_ERASED_COUNSELINGS)]
    told = await blank_reasons(connection, owners)
    named = await clear_client_message_ids(connection, owners)
    return {"dataKeys": keys, "notifications": told, "clientMessageIds": named}


async def blank_reasons(connection: Connection, owners: Iterable[UUID]) -> int:
    """Take reasons out of what was told of sessions and counsellings. Return how many were changed."""
    return rows_changed(await connection.execute(_BLANK_TOLD, list(owners)))


async def has_come_back(connection: Connection, person_id: UUID, since: datetime) -> bool:
    """Tell whether a person has called with a token that was issued after an instant."""
    found: bool = await connection.fetchval(_CAME_BACK, person_id, since)
    return found


async def list_erased_sessions(pool: Pool, erasure_id: UUID) -> Sequence[UUID]:
    """List the sessions whose keys an erasure has destroyed."""
    async with acquire(pool) as connection:
        return [row["owner"] for row in await connection.fetch(_ERASED_SESSIONS, erasure_id)]

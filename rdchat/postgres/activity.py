"""Lists of sessions by what happened last in each, and the last message of each.

A session's activity is the instant of its last change: a message, its opening, a warning, a move, its end.
Every commit writes `updated_at`, so it stands in no index: that would cost each message one more write. But
that of a session that is over is `ended_at`, for ever, and of those that are not over a person has few: an
index each finds both kinds, and what has to be sorted stays small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rdchat.domain.message import MessagePreview, preview
from rdchat.postgres.messages import WRITTEN, verified_of
from rdchat.postgres.pool import acquire
from rdchat.postgres.reads import OTHER, OWN, UNREAD
from rdchat.postgres.sessions import SESSION, list_page

if TYPE_CHECKING:
    from collections.abc import Container, Sequence
    from datetime import datetime
    from uuid import UUID

    from rdchat.domain.message import Message
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Pool
    from statemachine import Session, Status

_OVER: Final = """
(SELECT id, ended_at AS at FROM chat_sessions
  WHERE {person} = $1 AND ended_at IS NOT NULL AND ($2::text[] IS NULL OR status = ANY($2))
    AND (ended_at, id) < (coalesce($3, 'infinity'::timestamptz), coalesce($4, $1))
  ORDER BY ended_at DESC, id DESC LIMIT $5)
"""

_NOT_OVER: Final = """
(SELECT id, updated_at AS at FROM chat_sessions
  WHERE {person} = $1 AND ended_at IS NULL AND ($2::text[] IS NULL OR status = ANY($2))
    AND (updated_at, id) < (coalesce($3, 'infinity'::timestamptz), coalesce($4, $1)))
"""

# UNION: one who booked with themselves has a session once.
_LATEST: Final = " UNION ".join(
    part.format(person=person) for part in (_OVER, _NOT_OVER) for person in ("client_id", "psychologist_id")
)

_BY_ACTIVITY: Final = (
    f"WITH latest AS (SELECT * FROM ({_LATEST}) found ORDER BY at DESC, id DESC LIMIT $5)"  # noqa: S608 - ours
    + SESSION
    + """
  JOIN latest l ON l.id = s.id
 ORDER BY l.at DESC, l.id DESC
"""
)

# How far the two have read, what the caller has not, and the last message. `seq` is dense: that is the one
# that has the session's `last_seq`.
_ENTRIES: Final = f"""
SELECT {WRITTEN}, s.id AS of, read.own, read.other,
       CASE WHEN read.own >= s.last_seq THEN 0 ELSE (SELECT count(*) {UNREAD}) END AS unread
  FROM unnest($2::uuid[], $3::bigint[]) AS wanted (session_id, seq)
  JOIN chat_sessions s ON s.id = wanted.session_id
 CROSS JOIN LATERAL (SELECT {OWN}, {OTHER} OFFSET 0) read
  LEFT JOIN messages m ON m.session_id = wanted.session_id AND m.seq = wanted.seq
"""  # noqa: S608 - ours


@dataclass(frozen=True, slots=True)
class Marks:
    """What a list shows of a session to one of its two; `read`: how far they have read, and the other."""

    unread: int
    read: tuple[int, int]
    last_message: MessagePreview | None


def activity(session: Session) -> datetime:
    """Return when something happened last in a session, as the list is ordered."""
    return session.ended_at or session.updated_at


async def list_sessions_by_activity(
    pool: Pool,
    person_id: UUID,
    *,
    statuses: Sequence[Status] | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Session]:
    """List the sessions of a participant, latest activity first.

    `before` is the (activity, id) of the last one that the caller has seen.
    """
    return await list_page(pool, _BY_ACTIVITY, person_id, statuses=statuses, before=before, limit=limit)


async def list_marks(
    pool: Pool,
    person_id: UUID,
    sessions: Sequence[Session],
    readable: Container[UUID],
    *,
    keys: DataKeys,
) -> dict[UUID, Marks]:
    """Read what a list shows of sessions; the last message only of those of which the person may read any."""
    by_id = {session.id: session for session in sessions}
    last = {one.id: one.last_seq if one.id in readable else 0 for one in sessions}
    async with acquire(pool) as connection:
        rows = await connection.fetch(_ENTRIES, person_id, list(last), list(last.values()))
        written = [row for row in rows if row["id"] is not None]
        read = await verified_of(connection, by_id, written, keys)
    found = {message.session_id: _preview(message) for message in read}
    for session_id, seq in last.items():
        if seq and session_id not in found:
            keys.alarm("message", session_id)
    return {row["of"]: Marks(row["unread"], (row["own"], row["other"]), found.get(row["of"])) for row in rows}


def _preview(message: Message) -> MessagePreview:
    file_name = message.attachment.file_name if message.attachment is not None else None
    return MessagePreview(
        id=message.id,
        seq=message.seq,
        sender_id=message.sender_id,
        message_type=message.message_type,
        text=preview(message.text, file_name),
        created_at=message.created_at,
    )

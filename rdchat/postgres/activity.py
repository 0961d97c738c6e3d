"""Lists of sessions by what happened last in each, and the last message of each.

A session's activity is the instant of its last change: a message, its opening, a warning, a move, its end.
Every commit writes `updated_at`, so it stands in no index: that would cost each message one more write. But
that of a session that is over is `ended_at`, for ever, and of those that are not over a person has few: an
index each finds both kinds, and what has to be sorted stays small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rdchat.domain.message import MessagePreview, preview
from rdchat.postgres.data_keys import session_owner
from rdchat.postgres.messages import MESSAGE, verified
from rdchat.postgres.pool import acquire
from rdchat.postgres.sessions import SESSION, list_page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

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

# `seq` is dense, so the last message is the one that has the session's `last_seq`.
_LAST_MESSAGES: Final = (
    MESSAGE + " JOIN unnest($1::uuid[], $2::bigint[]) AS wanted (session_id, seq) "
    "ON wanted.session_id = m.session_id AND wanted.seq = m.seq"
)


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


async def list_last_messages(
    pool: Pool, sessions: Sequence[Session], *, keys: DataKeys
) -> dict[UUID, MessagePreview]:
    """Read the last message of each session; those without are left out."""
    talked = {session.id: session for session in sessions if session.last_seq}
    if not talked:
        return {}
    async with acquire(pool) as connection:
        rows = await connection.fetch(
            _LAST_MESSAGES, list(talked), [session.last_seq for session in talked.values()]
        )
        read = await verified(connection, map(session_owner, talked.values()), rows, keys)
    for session_id in talked.keys() - {message.session_id for message in read}:
        keys.alarm("message", session_id)
    found = {}
    for message in read:
        file_name = message.attachment.file_name if message.attachment is not None else None
        found[message.session_id] = MessagePreview(
            id=message.id,
            seq=message.seq,
            sender_id=message.sender_id,
            message_type=message.message_type,
            text=preview(message.text, file_name),
            created_at=message.created_at,
        )
    return found

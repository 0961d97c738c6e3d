"""Reading messages: a page of history, and a message by the id that its sender gave it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rdchat.domain.message import Message, MessageType
from rdchat.postgres import attachments
from rdchat.postgres.pool import acquire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    import asyncpg

    from rdchat.postgres.pool import Pool
    from rdchat.security.encryption import Encryptor
    from statemachine import Attachment

#: When the other participant has read a message: the first of their steps that covers it. One who is not
#: the client is the psychologist, or was before a hand-over: what these read of each other is not read by
#: the client.
_READ_AT = """
(SELECT r.read_at FROM reads r
  WHERE r.session_id = m.session_id AND r.up_to_seq >= m.seq
    AND (r.person_id = s.client_id) <> (m.sender_id = s.client_id)
  ORDER BY r.up_to_seq LIMIT 1) AS read_at
"""

_MESSAGE = f"""
SELECT m.*, p.full_name AS sender_name, {_READ_AT}
  FROM messages m
  JOIN people p ON p.id = m.sender_id
  JOIN chat_sessions s ON s.id = m.session_id
"""  # noqa: S608 - ours

_RANGE = (
    _MESSAGE
    + """
 WHERE m.session_id = $1 AND m.seq >= $2 AND m.seq < $3 ORDER BY m.seq
"""
)

_BY_ID = (
    _MESSAGE
    + """
 WHERE m.session_id = $1 AND m.id = $2
"""
)

_NAMED = """
 WHERE m.session_id = $1
   AND (m.sender_id, m.client_message_id) IN (SELECT * FROM unnest($2::uuid[], $3::text[]))
"""
_BY_CLIENT_ID = _MESSAGE + _NAMED


async def list_messages(
    pool: Pool, session_id: UUID, *, first: int, stop: int, encryptor: Encryptor
) -> list[Message]:
    """Read the messages with `first` <= seq < `stop`, in order. `seq` is dense, so a page is a range."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_RANGE, session_id, first, stop)
        attached = await attachments.list_attachments(connection, session_id, rows, encryptor=encryptor)
    return [_message(row, encryptor, attached) for row in rows]


async def get_message(
    pool: Pool, session_id: UUID, message_id: UUID, *, encryptor: Encryptor
) -> Message | None:
    """Read one message of a session."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow(_BY_ID, session_id, message_id)
        if row is None:
            return None
        attached = await attachments.list_attachments(connection, session_id, [row], encryptor=encryptor)
    return _message(row, encryptor, attached)


async def list_messages_by_client_id(
    pool: Pool, session_id: UUID, keys: Sequence[tuple[UUID, str]], *, encryptor: Encryptor
) -> dict[tuple[UUID, str], Message]:
    """Find messages by (sender, clientMessageId); unknown ones are left out."""
    senders, client_ids = [key[0] for key in keys], [key[1] for key in keys]
    async with acquire(pool) as connection:
        rows = await connection.fetch(_BY_CLIENT_ID, session_id, senders, client_ids)
        attached = await attachments.list_attachments(connection, session_id, rows, encryptor=encryptor)
    return {(row["sender_id"], row["client_message_id"]): _message(row, encryptor, attached) for row in rows}


def _message(row: asyncpg.Record, encryptor: Encryptor, attached: Mapping[UUID, Attachment]) -> Message:
    return Message(
        id=row["id"],
        session_id=row["session_id"],
        seq=row["seq"],
        sender_id=row["sender_id"],
        sender_name=row["sender_name"],
        text=encryptor.decrypt(row["body"], row["session_id"].bytes).decode(),
        message_type=MessageType(row["message_type"]),
        client_message_id=row["client_message_id"],
        created_at=row["created_at"],
        read_at=row["read_at"],
        attachment=attached.get(row["id"]),
    )

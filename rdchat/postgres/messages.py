"""Reading messages: a page of history, and a message by the id that its sender gave it.

What is read is verified: that the message is as it was written, in its session, from its sender, and in its
place. One that is not, and one that is gone from between others, is shown as a placeholder that says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import uuid5

from rdchat.common.clock import to_us
from rdchat.domain.message import Message, MessageType
from rdchat.postgres import attachments
from rdchat.postgres.data_keys import KeyOwner
from rdchat.postgres.pool import acquire
from rdchat.security.encryption import DecryptionError
from rdchat.texts.wording import UNVERIFIED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Encryptor
    from statemachine import Attachment, Session

#: When the other participant has read a message: the first of their steps that covers it. One who is not
#: the client is the psychologist, or was before a hand-over: what these read of each other is not read by
#: the client.
_READ_AT = """
(SELECT r.read_at FROM reads r
  WHERE r.session_id = m.session_id AND r.up_to_seq >= m.seq
    AND (r.person_id = s.client_id) <> (m.sender_id = s.client_id)
  ORDER BY r.up_to_seq LIMIT 1) AS read_at
"""

MESSAGE: Final = f"""
SELECT m.*, p.full_name AS sender_name, s.client_id, s.psychologist_id, s.language,
       psychologist.full_name AS psychologist_name, {_READ_AT}
  FROM messages m
  JOIN people p ON p.id = m.sender_id
  JOIN chat_sessions s ON s.id = m.session_id
  JOIN people psychologist ON psychologist.id = s.psychologist_id
"""  # noqa: S608 - ours

_RANGE = (
    MESSAGE
    + """
 WHERE m.session_id = $1 AND m.seq >= $2 AND m.seq < $3 ORDER BY m.seq
"""
)

_BY_ID = (
    MESSAGE
    + """
 WHERE m.session_id = $1 AND m.id = $2
"""
)

_NAMED = """
 WHERE m.session_id = $1
   AND (m.sender_id, m.client_message_id) IN (SELECT * FROM unnest($2::uuid[], $3::text[]))
"""
_BY_CLIENT_ID = MESSAGE + _NAMED


#: Before the id of an attachment, where there is none.
_NO_ID: Final = bytes(16)


def message_context(message: Message) -> bytes:
    """Return what a message's text is bound to: all that is stored beside it, but for its place."""
    return _context(
        message.session_id,
        message.id,
        message.sender_id,
        message_type=message.message_type,
        created_at=message.created_at,
        client_message_id=message.client_message_id,
        attachment_id=message.attachment.id if message.attachment is not None else None,
    )


def _context(
    session_id: UUID,
    message_id: UUID,
    sender_id: UUID,
    *,
    message_type: str,
    created_at: datetime,
    client_message_id: str | None,
    attachment_id: UUID | None,
) -> bytes:
    # By hand, since each message needs it: first what is always as long, then what is not.
    return b"".join(
        (
            b"message\0",
            session_id.bytes,
            message_id.bytes,
            sender_id.bytes,
            attachment_id.bytes if attachment_id is not None else _NO_ID,
            to_us(created_at).to_bytes(8, signed=True),
            message_type.encode(),
            b"\0" if client_message_id is None else b"\1" + client_message_id.encode(),
        )
    )


def place_context(session_id: UUID, seq: int, message_id: UUID) -> bytes:
    """Return what says in which place of its session a message stands."""
    return b"".join((b"place\0", session_id.bytes, message_id.bytes, seq.to_bytes(8)))


async def list_messages(
    pool: Pool, session: Session, *, first: int, stop: int, keys: DataKeys
) -> list[Message]:
    """Read the messages with `first` <= seq < `stop`, in order. `seq` is dense, so a page is a range.

    All of them were written, so one that is not there was taken away: a placeholder stands for it.
    """
    async with acquire(pool) as connection:
        return await list_messages_on(
            connection, KeyOwner(session.id, session.participants), first=first, stop=stop, keys=keys
        )


async def list_messages_on(
    connection: Connection, owner: KeyOwner, *, first: int, stop: int, keys: DataKeys
) -> list[Message]:
    """Do what `list_messages` does on a connection, for the session that owns the data key."""
    rows = await connection.fetch(_RANGE, owner.id, first, stop)
    read = {message.seq: message for message in await verified(connection, [owner], rows, keys)}
    missing = [seq for seq in range(first, stop) if seq not in read] if len(read) < stop - first else []
    if missing:
        row = (await connection.fetch(_SESSION, owner.id))[0]
        for seq in missing:
            keys.alarm("message", owner.id)
            message_id = uuid5(owner.id, f"missing:{seq}")
            read[seq] = _placeholder(row, owner.id, seq, message_id, row["created_at"])
    return [read[seq] for seq in sorted(read)]


async def get_message(pool: Pool, session_id: UUID, message_id: UUID, *, keys: DataKeys) -> Message | None:
    """Read one message of a session."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_BY_ID, session_id, message_id)
        return next(iter(await verified(connection, _owners(rows), rows, keys)), None)


async def list_messages_by_client_id(
    pool: Pool, session_id: UUID, named: Sequence[tuple[UUID, str]], *, keys: DataKeys
) -> dict[tuple[UUID, str], Message]:
    """Find messages by (sender, clientMessageId); unknown ones are left out."""
    senders, client_ids = [key[0] for key in named], [key[1] for key in named]
    async with acquire(pool) as connection:
        rows = await connection.fetch(_BY_CLIENT_ID, session_id, senders, client_ids)
        read = await verified(connection, _owners(rows), rows, keys)
    return {
        (row["sender_id"], row["client_message_id"]): message for row, message in zip(rows, read, strict=True)
    }


async def verified(
    connection: Connection, owners: Iterable[KeyOwner], rows: Sequence[asyncpg.Record], keys: DataKeys
) -> list[Message]:
    """Read messages off rows of `MESSAGE`, of sessions that own data keys; placeholders for those altered."""
    if not rows:
        return []
    encryptors = await keys.find(connection, owners)
    attached = await attachments.list_attachments(connection, rows, encryptors=encryptors, keys=keys)
    messages = []
    for row in rows:
        encryptor = encryptors.get(row["session_id"])
        message = _message(row, encryptor, attached) if encryptor is not None else None
        if message is None:
            keys.alarm("message", row["session_id"])
            message = _placeholder(row, row["session_id"], row["seq"], row["id"], row["created_at"])
        messages.append(message)
    return messages


def _owners(rows: Sequence[asyncpg.Record]) -> set[KeyOwner]:
    return {KeyOwner(row["session_id"], (row["client_id"], row["psychologist_id"])) for row in rows}


def _message(
    row: asyncpg.Record, encryptor: Encryptor, attached: Mapping[UUID, Attachment]
) -> Message | None:
    """Return a message that is as it was written, and where it was; else None."""
    message_id, session_id, seq = row["id"], row["session_id"], row["seq"]
    attachment = attached.get(message_id)
    if seq < 0 or not encryptor.has_mac(row["mac"], place_context(session_id, seq, message_id)):
        return None
    bound_to = _context(
        session_id,
        message_id,
        row["sender_id"],
        message_type=row["message_type"],
        created_at=row["created_at"],
        client_message_id=row["client_message_id"],
        attachment_id=attachment.id if attachment is not None else None,
    )
    try:
        text = encryptor.decrypt(row["body"], bound_to).decode()
    except DecryptionError:
        return None
    return Message(
        id=message_id,
        session_id=session_id,
        seq=seq,
        sender_id=row["sender_id"],
        sender_name=row["sender_name"],
        text=text,
        message_type=MessageType(row["message_type"]),
        client_message_id=row["client_message_id"],
        created_at=row["created_at"],
        read_at=row["read_at"],
        attachment=attachment,
    )


_SESSION: Final = """
SELECT s.psychologist_id, p.full_name AS psychologist_name, s.language, s.created_at
  FROM chat_sessions s JOIN people p ON p.id = s.psychologist_id WHERE s.id = $1
"""


def _placeholder(row: Any, session_id: UUID, seq: int, message_id: UUID, created_at: datetime) -> Message:  # noqa: ANN401 - a row
    """Return what stands for a message that cannot be shown. No one has said it, so the service has."""
    return Message(
        id=message_id,
        session_id=session_id,
        seq=seq,
        sender_id=row["psychologist_id"],
        sender_name=row.get("psychologist_name") or "",
        text=UNVERIFIED[row["language"]],
        message_type=MessageType.SYSTEM,
        client_message_id=None,
        created_at=created_at,
    )

"""Reading messages: a page of history, and a message by the id that its sender gave it.

Longer than most: what a page is read by and what a single message is read by are the same, but for what is
known of the session already, and verify the same.

What is read is verified: that the message is as it was written, in its session, from its sender, and in its
place. One that is not, and one that is gone from between others, is shown as a placeholder that says so, as
is what was erased.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid5

from rdchat.common.clock import to_us
from rdchat.domain.message import Message, MessageType
from rdchat.postgres import attachments
from rdchat.postgres.data_keys import KeyOwner, session_owner
from rdchat.postgres.names import names_in, shown_name
from rdchat.postgres.pool import acquire
from rdchat.security.encryption import DecryptionError
from rdchat.texts.wording import ERASED, UNVERIFIED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Encryptor
    from statemachine import Attachment, Session

    #: What placeholders need of a session.
    _About = Mapping[str, Any]

#: When the other participant has read a message: the first of their steps that covers it. One who is not
#: the client is the psychologist, or was before a hand-over: what these read of each other is not read by
#: the client.
_READ_AT = """
(SELECT r.read_at FROM reads r
  WHERE r.session_id = m.session_id AND r.up_to_seq >= m.seq
    AND (r.person_id = s.client_id) <> (m.sender_id = s.client_id)
  ORDER BY r.up_to_seq LIMIT 1) AS read_at
"""

#: A message as it was written, in this order: see `_message`.
WRITTEN: Final = (
    "m.session_id, m.seq, m.id, m.sender_id, m.message_type, m.body, m.client_message_id, m.created_at, m.mac"
)
_COLUMNS: Final = WRITTEN.count(",") + 1

MESSAGE: Final = f"""
SELECT {WRITTEN}, p.sealed_name AS sender_sealed, s.client_id, s.psychologist_id, s.language,
       psychologist.sealed_name AS psychologist_sealed, {_READ_AT}
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

# A page of a session that is known, and the steps of reading that cover it: those within it, and of each
# person the first one behind it. In one statement, which looks nothing up for each message.
_PAGE: Final = f"""
SELECT {WRITTEN} FROM messages m WHERE m.session_id = $1 AND m.seq >= $2 AND m.seq < $3
UNION ALL
SELECT session_id, up_to_seq, NULL, person_id, NULL, NULL, NULL, read_at, NULL
  FROM reads WHERE session_id = $1 AND up_to_seq >= $2 AND up_to_seq < $3
UNION ALL
SELECT session_id, up_to_seq, NULL, person_id, NULL, NULL, NULL, read_at, NULL FROM (
    SELECT DISTINCT ON (person_id) session_id, up_to_seq, person_id, read_at
      FROM reads WHERE session_id = $1 AND up_to_seq >= $3 ORDER BY person_id, up_to_seq
) behind
"""  # noqa: S608 - ours

_NAMES: Final = "SELECT id, sealed_name FROM people WHERE id = ANY($1)"

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

_NAMED_IN: Final = (("sender_id", "sender_sealed"), ("psychologist_id", "psychologist_sealed"))


#: Before the id of an attachment, where there is none.
_NO_ID: Final = bytes(16)
_TYPES: Final = {one.value: one for one in MessageType}


def message_context(message: Message) -> bytes:
    """Return what a message's text is bound to: all that is stored beside it, but for its place."""
    return _context(
        message.session_id,
        message.id,
        message.sender_id,
        message.message_type,
        message.created_at,
        message.client_message_id,
        message.attachment,
    )


def _context(  # noqa: PLR0917 - by position, since each message of a page needs it
    session_id: UUID,
    message_id: UUID,
    sender_id: UUID,
    message_type: str,
    created_at: datetime,
    client_message_id: str | None,
    attachment: Attachment | None,
) -> bytes:
    # By hand, since each message needs it: first what is always as long, then what is not.
    return b"".join(
        (
            b"message\0",
            session_id.bytes,
            message_id.bytes,
            sender_id.bytes,
            attachment.id.bytes if attachment is not None else _NO_ID,
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
        rows = await connection.fetch(_PAGE, session.id, first, stop)
        written = [row for row in rows if row["id"] is not None]
        read_at = _ReadAt(session.client_id, (row for row in rows if row["id"] is None))
        found = await verified_of(connection, {session.id: session}, written, keys, read_at.of)
    return _complete(
        {message.seq: message for message in found}, range(first, stop), session.id, _about(session), keys
    )


class _ReadAt:
    """When messages were read: the first step of the other that covers each, see `_READ_AT`."""

    def __init__(self, client_id: UUID, rows: Iterable[asyncpg.Record]) -> None:
        self._client_id = client_id
        steps = sorted((row["seq"], row["created_at"], row["sender_id"] == client_id) for row in rows)
        self._seqs = {one: [seq for seq, _, by_client in steps if by_client is one] for one in (True, False)}
        self._ats = {one: [at for _, at, by_client in steps if by_client is one] for one in (True, False)}

    def of(self, sender_id: UUID, seq: int) -> datetime | None:
        """Return when the message of a sender was read, None if it was not."""
        by_client = sender_id != self._client_id
        place = bisect_left(self._seqs[by_client], seq)
        ats = self._ats[by_client]
        return ats[place] if place < len(ats) else None


async def list_messages_on(
    connection: Connection, owner: KeyOwner, *, first: int, stop: int, keys: DataKeys
) -> list[Message]:
    """Do what `list_messages` does on a connection, for the session that owns the data key."""
    rows = await connection.fetch(_RANGE, owner.id, first, stop)
    read = {message.seq: message for message in await verified(connection, [owner], rows, keys)}
    about = await _find_about(connection, owner.id, keys) if len(read) < stop - first else None
    return _complete(read, range(first, stop), owner.id, about, keys)


async def _find_about(connection: Connection, session_id: UUID, keys: DataKeys) -> _About | None:
    row = await connection.fetchrow(_SESSION, session_id)
    if row is None:
        return None
    return _about_row(row, await names_in(connection, keys, [row], _NAMED_IN[1:]))


def _complete(
    read: dict[int, Message], wanted: range, session_id: UUID, about: _About | None, keys: DataKeys
) -> list[Message]:
    """Return what was read in order, with a placeholder for each that is missing; `about` its session."""
    if about is not None:
        for seq in wanted:
            if seq not in read:
                keys.alarm("message", session_id)
                message_id = uuid5(session_id, f"missing:{seq}")
                read[seq] = _placeholder(about, session_id, seq, message_id, about["created_at"], keys)
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
    names = await names_in(connection, keys, rows, _NAMED_IN)
    messages = []
    for row in rows:
        encryptor = encryptors.get(row["session_id"])
        sender_name = shown_name(names, row["sender_id"], row["language"])
        message = _message(row[:_COLUMNS], sender_name, row["read_at"], encryptor, attached)
        messages.append(message or _altered(row, _about_row(row, names), keys))
    return messages


async def verified_of(
    connection: Connection,
    sessions: Mapping[UUID, Session],
    rows: Sequence[asyncpg.Record],
    keys: DataKeys,
    read_at: Callable[[UUID, int], datetime | None] = lambda _sender_id, _seq: None,
) -> list[Message]:
    """Do what `verified` does for rows of `WRITTEN`, of sessions that are known.

    `read_at` says when a message was read, by its sender and `seq`. One whose sender is no one is left out.
    """
    if not rows:
        return []
    encryptors = await keys.find(connection, map(session_owner, sessions.values()))
    attached = await attachments.list_attachments(connection, rows, encryptors=encryptors, keys=keys)
    names: dict[UUID, str] = {}
    for session in sessions.values():
        names[session.client_id] = session.client_name
        names[session.psychologist_id] = session.psychologist_name
    if others := {row["sender_id"] for row in rows} - names.keys():
        # Of psychologists before a hand-over.
        found = await connection.fetch(_NAMES, list(others))
        opened = await names_in(connection, keys, found, [("id", "sealed_name")])
        language = next(iter(sessions.values())).language
        names |= {row["id"]: shown_name(opened, row["id"], language) for row in found}
    messages = []
    for row in rows:
        sender_id, session_id = row["sender_id"], row["session_id"]
        if sender_id in names:
            encryptor = encryptors.get(session_id)
            message = _message(
                row[:_COLUMNS], names[sender_id], read_at(sender_id, row["seq"]), encryptor, attached
            )
            messages.append(message or _altered(row, _about(sessions[session_id]), keys))
    return messages


def _about(session: Session) -> _About:
    return {
        "psychologist_id": session.psychologist_id,
        "psychologist_name": session.psychologist_name,
        "language": session.language,
        "created_at": session.created_at,
    }


def _about_row(row: asyncpg.Record, names: Mapping[UUID, str]) -> _About:
    return {
        "psychologist_id": row["psychologist_id"],
        "psychologist_name": shown_name(names, row["psychologist_id"], row["language"]),
        "language": row["language"],
        "created_at": row["created_at"],
    }


def _owners(rows: Sequence[asyncpg.Record]) -> set[KeyOwner]:
    return {KeyOwner(row["session_id"], (row["client_id"], row["psychologist_id"])) for row in rows}


def _message(
    written: Iterable[Any],
    sender_name: str,
    read_at: datetime | None,
    encryptor: Encryptor | None,
    attached: Mapping[UUID, Attachment],
) -> Message | None:
    """Return a message that is as it was written, and where it was; else None."""
    session_id, seq, message_id, sender_id, message_type, body, client_message_id, created_at, mac = written
    attachment = attached.get(message_id)
    if encryptor is None or seq < 0 or not encryptor.has_mac(mac, place_context(session_id, seq, message_id)):
        return None
    bound_to = _context(
        session_id, message_id, sender_id, message_type, created_at, client_message_id, attachment
    )
    try:
        text = encryptor.decrypt(body, bound_to).decode()
    except DecryptionError:
        return None
    return Message(
        message_id,
        session_id,
        seq,
        sender_id,
        sender_name,
        text,
        _TYPES[message_type],
        client_message_id,
        created_at,
        read_at,
        attachment,
    )


_SESSION: Final = """
SELECT s.psychologist_id, p.sealed_name AS psychologist_sealed, s.language, s.created_at
  FROM chat_sessions s JOIN people p ON p.id = s.psychologist_id WHERE s.id = $1
"""


def _altered(row: asyncpg.Record, about: _About, keys: DataKeys) -> Message:
    """Say that a message is not as it was written, and return what stands for it."""
    keys.alarm("message", row["session_id"])
    return _placeholder(about, row["session_id"], row["seq"], row["id"], row["created_at"], keys)


def _placeholder(  # noqa: PLR0917 - as it is given where messages are read
    about: _About, session_id: UUID, seq: int, message_id: UUID, created_at: datetime, keys: DataKeys
) -> Message:
    """Return what stands for a message that cannot be shown. No one has said it, so the service has."""
    return Message(
        id=message_id,
        session_id=session_id,
        seq=seq,
        sender_id=about["psychologist_id"],
        sender_name=about["psychologist_name"],
        text=(ERASED if keys.is_destroyed(session_id) else UNVERIFIED)[about["language"]],
        message_type=MessageType.SYSTEM,
        client_message_id=None,
        created_at=created_at,
    )

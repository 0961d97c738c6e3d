"""Attachments: the row before the object, the object's owner later, and what was left behind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rdchat.domain.message import WITH_ATTACHMENT
from rdchat.postgres.data_keys import KeyOwner
from rdchat.postgres.pool import acquire
from rdchat.security.encryption import context
from statemachine import Attachment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Encryptor

_ANNOUNCE = """
INSERT INTO attachments (session_id, id, person_id, file_name, content_type, size, width, height, duration_ms,
                         created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""

_OF_MESSAGES = "SELECT * FROM attachments WHERE session_id = ANY($1) AND message_id = ANY($2)"

_BY_ID = """
SELECT a.*, s.client_id, s.psychologist_id
  FROM attachments a JOIN chat_sessions s ON s.id = a.session_id
 WHERE a.id = $1 AND a.message_id IS NOT NULL
"""

_LEFT_BEHIND = """
SELECT session_id, id FROM attachments
 WHERE message_id IS NULL AND created_at < $1 ORDER BY created_at LIMIT $2
"""

_FORGET = "DELETE FROM attachments WHERE session_id = $1 AND id = $2 AND message_id IS NULL"


@dataclass(frozen=True, slots=True)
class SentAttachment:
    """An attachment that was sent, with its session and the two who may see it."""

    session_id: UUID
    participants: tuple[UUID, UUID]
    attachment: Attachment


async def insert_pending(
    connection: Connection,
    session_id: UUID,
    person_id: UUID,
    attachment: Attachment,
    *,
    at: datetime,
    encryptor: Encryptor,
) -> None:
    """Note that an object is about to be stored, so that it is found if nothing comes of it."""
    one = attachment
    bound_to = _context(session_id, person_id, one)
    name = encryptor.encrypt(one.file_name.encode(), bound_to)
    await connection.execute(
        _ANNOUNCE,
        session_id,
        one.id,
        person_id,
        name,
        one.content_type,
        one.size,
        one.width,
        one.height,
        one.duration_ms,
        at,
    )


async def list_attachments(
    connection: Connection,
    messages: Sequence[asyncpg.Record],
    *,
    encryptors: Mapping[UUID, Encryptor],
    keys: DataKeys,
) -> dict[UUID, Attachment]:
    """Read the attachments of messages, by message. Asks nothing when none can have any.

    One that is not as it was written is left out.
    """
    wanted = [row for row in messages if row["message_type"] in WITH_ATTACHMENT]
    if not wanted:
        return {}
    rows = await connection.fetch(
        _OF_MESSAGES, list({row["session_id"] for row in wanted}), [row["id"] for row in wanted]
    )
    read = {row["message_id"]: _attachment(row, encryptors.get(row["session_id"]), keys) for row in rows}
    return {message_id: one for message_id, one in read.items() if one is not None}


async def get_attachment(pool: Pool, attachment_id: UUID, *, keys: DataKeys) -> SentAttachment | None:
    """Find an attachment that was sent, and is as it was written."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow(_BY_ID, attachment_id)
        if row is None:
            return None
        people = row["client_id"], row["psychologist_id"]
        found = await keys.find(connection, [KeyOwner(row["session_id"], people)])
    attachment = _attachment(row, found.get(row["session_id"]), keys)
    return SentAttachment(row["session_id"], people, attachment) if attachment is not None else None


async def list_orphans(pool: Pool, *, before: datetime, limit: int) -> list[tuple[UUID, UUID]]:
    """List what was announced before an instant and never sent: session and attachment ids, oldest first."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_LEFT_BEHIND, before, limit)
    return [(row["session_id"], row["id"]) for row in rows]


async def delete_orphan(pool: Pool, session_id: UUID, attachment_id: UUID) -> None:
    """Forget an attachment, unless it was sent."""
    async with acquire(pool) as connection:
        await connection.execute(_FORGET, session_id, attachment_id)


def _attachment(row: asyncpg.Record, encryptor: Encryptor | None, keys: DataKeys) -> Attachment | None:
    attachment = Attachment(
        id=row["id"],
        file_name="",
        content_type=row["content_type"],
        size=row["size"],
        width=row["width"],
        height=row["height"],
        duration_ms=row["duration_ms"],
    )
    bound_to = _context(row["session_id"], row["person_id"], attachment)
    name = keys.read(encryptor, row["file_name"], bound_to, what="attachment", where=row["session_id"])
    return replace(attachment, file_name=name.decode()) if name is not None else None


def _context(session_id: UUID, person_id: UUID, one: Attachment) -> bytes:
    """Return what the name of a file is bound to: all else that is known of it."""
    return context(
        "file name",
        session_id,
        one.id,
        person_id,
        one.content_type,
        one.size,
        one.width,
        one.height,
        one.duration_ms,
    )

"""Attachments: the row before the object, the object's owner later, and what was left behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rdchat.domain.message import WITH_ATTACHMENT
from rdchat.postgres.pool import acquire
from statemachine import Attachment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Encryptor

_ANNOUNCE = """
INSERT INTO attachments (session_id, id, person_id, file_name, content_type, size, width, height, duration_ms,
                         created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""

_OF_MESSAGES = "SELECT * FROM attachments WHERE session_id = $1 AND message_id = ANY($2)"

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
    pool: Pool,
    session_id: UUID,
    person_id: UUID,
    attachment: Attachment,
    *,
    at: datetime,
    encryptor: Encryptor,
) -> None:
    """Note that an object is about to be stored, so that it is found if nothing comes of it."""
    one = attachment
    name = encryptor.encrypt(one.file_name.encode(), session_id.bytes)
    async with acquire(pool) as connection:
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
    connection: Connection, session_id: UUID, messages: Sequence[asyncpg.Record], *, encryptor: Encryptor
) -> dict[UUID, Attachment]:
    """Read the attachments of messages of one session, by message. Asks nothing when none can have any."""
    ids = [row["id"] for row in messages if row["message_type"] in WITH_ATTACHMENT]
    if not ids:
        return {}
    rows = await connection.fetch(_OF_MESSAGES, session_id, ids)
    return {row["message_id"]: _attachment(row, encryptor) for row in rows}


async def get_attachment(pool: Pool, attachment_id: UUID, *, encryptor: Encryptor) -> SentAttachment | None:
    """Find an attachment that was sent."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow(_BY_ID, attachment_id)
    if row is None:
        return None
    people = row["client_id"], row["psychologist_id"]
    return SentAttachment(row["session_id"], people, _attachment(row, encryptor))


async def list_orphans(pool: Pool, *, before: datetime, limit: int) -> list[tuple[UUID, UUID]]:
    """List what was announced before an instant and never sent: session and attachment ids, oldest first."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_LEFT_BEHIND, before, limit)
    return [(row["session_id"], row["id"]) for row in rows]


async def delete_orphan(pool: Pool, session_id: UUID, attachment_id: UUID) -> None:
    """Forget an attachment, unless it was sent."""
    async with acquire(pool) as connection:
        await connection.execute(_FORGET, session_id, attachment_id)


def _attachment(row: asyncpg.Record, encryptor: Encryptor) -> Attachment:
    return Attachment(
        id=row["id"],
        file_name=encryptor.decrypt(row["file_name"], row["session_id"].bytes).decode(),
        content_type=row["content_type"],
        size=row["size"],
        width=row["width"],
        height=row["height"],
        duration_ms=row["duration_ms"],
    )

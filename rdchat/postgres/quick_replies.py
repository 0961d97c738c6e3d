"""Quick replies, encrypted: each for its owner, its row and its column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rdchat.domain.quick_reply import QuickReply
from rdchat.postgres.data_keys import person_owner
from rdchat.postgres.pool import rows_changed
from rdchat.security.encryption import context

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    import asyncpg

    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection
    from rdchat.security.encryption import Encryptor

_LIST: Final = "SELECT * FROM quick_replies WHERE person_id = $1 ORDER BY position, id"

_INSERT: Final = """
INSERT INTO quick_replies (person_id, id, position, title, text, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""

_UPDATE: Final = """
UPDATE quick_replies SET title = $3, text = $4, updated_at = $5 WHERE person_id = $1 AND id = $2
"""

#: What stands for a text that is not as it was written.
_ALTERED: Final = "[…]"

_REORDER: Final = """
UPDATE quick_replies q SET position = w.position
  FROM unnest($2::uuid[]) WITH ORDINALITY AS w (id, position)
 WHERE q.person_id = $1 AND q.id = w.id AND q.position <> w.position
"""


async def list_quick_replies(connection: Connection, person_id: UUID, *, keys: DataKeys) -> list[QuickReply]:
    """List what a person keeps, in their order. Raise DataKeyError."""
    rows = await connection.fetch(_LIST, person_id)
    if not rows:
        return []
    encryptor = await keys.get(connection, person_owner(person_id))
    return [
        QuickReply(
            id=row["id"],
            title=_text(row, "title", encryptor, keys),
            text=_text(row, "text", encryptor, keys),
            position=row["position"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
        )
        for row in rows
    ]


def _text(row: asyncpg.Record, column: str, encryptor: Encryptor, keys: DataKeys) -> str:
    """Read a column; one that is not as it was written says nothing."""
    person_id = row["person_id"]
    bound_to = _context(column, person_id, row["id"])
    text = keys.read(encryptor, row[column], bound_to, what="quick_reply", where=person_id)
    return text.decode() if text is not None else _ALTERED


async def insert_quick_reply(
    connection: Connection, person_id: UUID, one: QuickReply, *, keys: DataKeys
) -> None:
    """Keep a new one. Whose row in `people` is locked. Raise DataKeyError."""
    encryptor = await keys.get_or_create(connection, person_owner(person_id))
    await connection.execute(
        _INSERT,
        person_id,
        one.id,
        one.position,
        *_encrypted(person_id, one, encryptor),
        one.created_at,
        one.updated_at,
    )


async def update_quick_reply(
    connection: Connection, person_id: UUID, one: QuickReply, *, keys: DataKeys
) -> None:
    """Replace what one says; its place is written by `reorder`. Raise DataKeyError."""
    encryptor = await keys.get_or_create(connection, person_owner(person_id))
    await connection.execute(
        _UPDATE, person_id, one.id, *_encrypted(person_id, one, encryptor), one.updated_at
    )


async def delete_quick_reply(connection: Connection, person_id: UUID, reply_id: UUID) -> bool:
    """Delete one. Return whether the person had it."""
    tag = await connection.execute(
        "DELETE FROM quick_replies WHERE person_id = $1 AND id = $2", person_id, reply_id
    )
    return rows_changed(tag) == 1


async def reorder(connection: Connection, person_id: UUID, order: Sequence[UUID]) -> None:
    """Give all that a person keeps their places, from 1."""
    await connection.execute(_REORDER, person_id, list(order))


def _encrypted(person_id: UUID, one: QuickReply, encryptor: Encryptor) -> tuple[bytes, bytes]:
    return (
        encryptor.encrypt(one.title.encode(), _context("title", person_id, one.id)),
        encryptor.encrypt(one.text.encode(), _context("text", person_id, one.id)),
    )


def _context(column: str, person_id: UUID, reply_id: UUID) -> bytes:
    return context("quick reply", column, person_id, reply_id)

"""Psychologists' notes about their clients, encrypted: each for the two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rdchat.domain.client_notes import ClientNotes

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.postgres.pool import Connection
    from rdchat.security.encryption import Encryptor

_GET: Final = "SELECT text, updated_at FROM client_notes WHERE psychologist_id = $1 AND client_id = $2"

_PUT: Final = """
INSERT INTO client_notes (psychologist_id, client_id, text, updated_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (psychologist_id, client_id) DO UPDATE SET text = excluded.text, updated_at = excluded.updated_at
"""

_DELETE: Final = "DELETE FROM client_notes WHERE psychologist_id = $1 AND client_id = $2"

_COUNSELS: Final = """
SELECT EXISTS (SELECT FROM counselings WHERE client_id = $2 AND psychologist_id = $1)
"""


async def get_client_notes(
    connection: Connection, psychologist_id: UUID, client_id: UUID, *, encryptor: Encryptor
) -> ClientNotes | None:
    """Read what a psychologist has noted about a client. None: nothing."""
    row = await connection.fetchrow(_GET, psychologist_id, client_id)
    if row is None:
        return None
    text = encryptor.decrypt(row["text"], _context(psychologist_id, client_id)).decode()
    return ClientNotes(text, row["updated_at"])


async def put_client_notes(
    connection: Connection,
    psychologist_id: UUID,
    client_id: UUID,
    text: str,
    at: datetime,
    *,
    encryptor: Encryptor,
) -> None:
    """Replace them. The psychologist's row in `people` is locked."""
    encrypted = encryptor.encrypt(text.encode(), _context(psychologist_id, client_id))
    await connection.execute(_PUT, psychologist_id, client_id, encrypted, at)


async def delete_client_notes(connection: Connection, psychologist_id: UUID, client_id: UUID) -> None:
    """Delete them, if there are any."""
    await connection.execute(_DELETE, psychologist_id, client_id)


async def has_counseled(connection: Connection, psychologist_id: UUID, client_id: UUID) -> bool:
    """Tell whether a psychologist has a counselling with a client, whatever became of it."""
    found: bool = await connection.fetchval(_COUNSELS, psychologist_id, client_id)
    return found


def _context(psychologist_id: UUID, client_id: UUID) -> bytes:
    return b"client_notes.text" + psychologist_id.bytes + client_id.bytes

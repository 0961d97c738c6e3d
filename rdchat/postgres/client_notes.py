"""Psychologists' notes about their clients, encrypted: each for the two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rdchat.common.clock import to_us
from rdchat.domain.client_notes import ClientNotes
from rdchat.postgres.data_keys import DataKeyError, person_owner
from rdchat.security.encryption import context

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection

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
    connection: Connection, psychologist_id: UUID, client_id: UUID, *, keys: DataKeys
) -> ClientNotes | None:
    """Read what a psychologist has noted about a client. None: nothing.

    Raise DataKeyError, also for notes that are not as they were written: what stood in their place would be
    saved again.
    """
    row = await connection.fetchrow(_GET, psychologist_id, client_id)
    if row is None:
        return None
    encryptor = await keys.get(connection, person_owner(psychologist_id))
    bound_to = _context(psychologist_id, client_id, row["updated_at"])
    text = keys.read(encryptor, row["text"], bound_to, what="client_notes", where=psychologist_id)
    if text is None:
        raise DataKeyError(psychologist_id)
    return ClientNotes(text.decode(), row["updated_at"])


async def put_client_notes(
    connection: Connection,
    psychologist_id: UUID,
    client_id: UUID,
    text: str,
    at: datetime,
    *,
    keys: DataKeys,
) -> None:
    """Replace them. The psychologist's row in `people` is locked. Raise DataKeyError."""
    encryptor = await keys.get_or_create(connection, person_owner(psychologist_id))
    encrypted = encryptor.encrypt(text.encode(), _context(psychologist_id, client_id, at))
    await connection.execute(_PUT, psychologist_id, client_id, encrypted, at)


async def delete_client_notes(connection: Connection, psychologist_id: UUID, client_id: UUID) -> None:
    """Delete them, if there are any."""
    await connection.execute(_DELETE, psychologist_id, client_id)


async def has_counseled(connection: Connection, psychologist_id: UUID, client_id: UUID) -> bool:
    """Tell whether a psychologist has a counselling with a client, whatever became of it."""
    found: bool = await connection.fetchval(_COUNSELS, psychologist_id, client_id)
    return found


def _context(psychologist_id: UUID, client_id: UUID, updated_at: datetime) -> bytes:
    # With the instant, so that an earlier text that is put back does not pass for the latest.
    return context("client notes", psychologist_id, client_id, to_us(updated_at))

"""What is kept of a person beside their counsellings, as they may have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rdchat.common.clock import iso
from rdchat.postgres import client_notes, quick_replies
from rdchat.postgres.data_keys import DataKeyError, keys_of, person_owner
from rdchat.postgres.names import open_email, open_name

if TYPE_CHECKING:
    from uuid import UUID

    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection

# Who a person is.
_PERSON: Final = """
SELECT p.id, p.role, p.sealed_name, p.sealed_email, p.organization_id, p.locale, p.seen_at, s.timezone
  FROM people p LEFT JOIN psychologists s ON s.id = p.id WHERE p.id = $1
"""

_CALENDAR: Final = "SELECT created_at FROM calendar_links WHERE person_id = $1"

_NOTED: Final = "SELECT client_id FROM client_notes WHERE psychologist_id = $1 ORDER BY client_id"


async def get_facts(connection: Connection, person_id: UUID) -> dict[str, Any] | None:
    """Read who a person is, as JSON; None for one who was never seen."""
    row = await connection.fetchrow(_PERSON, person_id)
    if row is None:
        return None
    keys = keys_of(connection)
    encryptor = (await keys.find(connection, [person_owner(person_id)])).get(person_id)
    sealed_name = row["sealed_name"]
    name = open_name(keys, encryptor, person_id, sealed_name) if sealed_name is not None else None
    calendar = await connection.fetchval(_CALENDAR, person_id)
    return {
        "id": row["id"],
        "role": row["role"],
        "fullName": name,
        "email": open_email(keys, encryptor, person_id, row["sealed_email"]),
        "organizationId": row["organization_id"],
        "locale": row["locale"],
        "timezone": row["timezone"],
        "seenAt": iso(row["seen_at"]),
        # Of the link itself, only a hash is kept.
        "calendarLinkSince": iso(calendar) if calendar is not None else None,
    }


async def list_own(connection: Connection, person_id: UUID, keys: DataKeys) -> dict[str, Any]:
    """Read what a person keeps for themselves, as JSON. What does not open is null."""
    notes = []
    for row in await connection.fetch(_NOTED, person_id):
        client_id = row["client_id"]
        try:
            found = await client_notes.get_client_notes(connection, person_id, client_id, keys=keys)
        except DataKeyError:
            found = None
        notes.append({"clientId": client_id, "text": found.text if found is not None else None})
    try:
        replies = await quick_replies.list_quick_replies(connection, person_id, keys=keys)
    except DataKeyError:
        replies = []
    return {
        "clientNotes": notes,
        "quickReplies": [{"title": one.title, "text": one.text} for one in replies],
    }

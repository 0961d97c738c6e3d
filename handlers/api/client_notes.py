"""/clients/{id}/notes: what a psychologist notes about a client, for themselves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from handlers import schemas
from handlers.api.entity_tags import entity_tag, names, not_modified
from handlers.api.presenters import maybe_iso
from handlers.http.routing import Answer, Call, Route
from rdchat.domain import permissions
from rdchat.domain.client_notes import LONGEST_NOTES

if TYPE_CHECKING:
    from uuid import UUID

    from rdchat.domain.client_notes import ClientNotes

#: Notes of characters that are escaped in the longest way, `\\ud83d\\ude0a`, and what is around them.
_LARGEST_BODY: Final = 12 * LONGEST_NOTES + 1024


async def get_client_notes(call: Call) -> Answer:
    """Read what one has noted about a client: one's own notes alone, and no one else's.

    The client is one with whom one has a counselling, whatever became of it. After a hand-over, those who
    wrote keep what they wrote, and those who have the counselling now begin with nothing.
    """
    client_id = call.path["id"]
    shown = _notes_json(client_id, await call.runtime.client_notes.get_client_notes(call.caller, client_id))
    tag = entity_tag(shown)
    if names(call.headers.get("If-None-Match"), tag):
        return not_modified(tag)
    return Answer(shown, "Notes retrieved successfully", headers={"ETag": tag})


async def put_client_notes(call: Call) -> Answer:
    """Replace what one has noted about a client; an empty text deletes it.

    With `If-Match`, nothing is replaced that was changed in the meantime, as in another window: send it with
    each change. The same again changes nothing.
    """
    client_id, expected = call.path["id"], call.headers.get("If-Match")
    saved = await call.runtime.client_notes.save_client_notes(
        call.caller,
        client_id,
        call.body["text"],
        is_expected=lambda notes: (
            expected is None or names(expected, entity_tag(_notes_json(client_id, notes)))
        ),
    )
    shown = _notes_json(client_id, saved)
    return Answer(shown, "Notes saved successfully", headers={"ETag": entity_tag(shown)})


def _notes_json(client_id: UUID, notes: ClientNotes) -> dict[str, Any]:
    return {"clientId": str(client_id), "text": notes.text, "updatedAt": maybe_iso(notes.updated_at)}


ROUTES = (
    Route(
        method="GET",
        path="/clients/{id}/notes",
        handler=get_client_notes,
        summary="Read one's notes about a client",
        tag="Desk",
        done="The notes, perhaps empty.",
        message="Notes retrieved successfully",
        roles=permissions.PSYCHOLOGISTS,
        data=schemas.ClientNotesAnswer,
        tagged=True,
    ),
    Route(
        method="PUT",
        path="/clients/{id}/notes",
        handler=put_client_notes,
        summary="Replace one's notes about a client",
        tag="Desk",
        done="The notes, as they are now.",
        message="Notes saved successfully",
        roles=permissions.PSYCHOLOGISTS,
        body=schemas.ClientNotesRequest,
        data=schemas.ClientNotesAnswer,
        tagged=True,
        largest_body=_LARGEST_BODY,
    ),
)

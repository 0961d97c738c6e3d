"""The shapes of what a psychologist notes about a client."""

from __future__ import annotations

from typing import Final

from marshmallow import Schema, fields, validate

from handlers.schemas.answers import AnswerSchema
from handlers.schemas.parts import CLIENT_ID, SAID_AT, about, identity, instant, text
from rdchat.domain.client_notes import LONGEST_NOTES

_NOTED: Final = "Tidur membaik. Lain kali: menanyakan pekerjaan."


class ClientNotesRequest(Schema):
    """Replace what one has noted about a client."""

    text = fields.String(
        required=True,
        validate=validate.Length(max=LONGEST_NOTES),
        metadata=about("All of it, as it is to be; an empty one deletes it.", _NOTED),
    )


class ClientNotesAnswer(AnswerSchema):
    """What one has noted about a client."""

    client_id = identity("clientId", "The client.", CLIENT_ID)
    text = text("text", "All of it; empty where nothing is noted.", _NOTED)
    updated_at = instant(
        "updatedAt", "When it was last changed; null where nothing is noted.", SAID_AT, allow_none=True
    )

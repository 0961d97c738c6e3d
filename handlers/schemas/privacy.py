"""The shapes of exporting, erasing and holding what is personal."""

from __future__ import annotations

from typing import Final

from marshmallow import Schema, fields, validate

from handlers.schemas.answers import AnswerSchema
from handlers.schemas.parts import (
    CLIENT_ID,
    PERSON_ID,
    TrueOrFalse,
    about,
    choice,
    identity,
    instant,
    not_blank,
)
from rdchat.domain.erasure import ErasureStatus

_LONGEST_REASON: Final = 500
_AT: Final = "2030-02-01T03:00:00.000Z"
_ERASURE_ID: Final = "4f2a9c70-6d1b-4e83-b5a8-0c7d2e9f1b36"


def _reason() -> fields.String:
    return fields.String(
        required=True,
        validate=[validate.Length(min=1, max=_LONGEST_REASON), not_blank],
        metadata=about("Why. It is kept encrypted.", "Asked for in writing, 2030-01-31"),
    )


class ExportQuery(Schema):
    """Choose the form of the export."""

    format = fields.String(
        load_default="json",
        validate=validate.OneOf(("json", "txt")),
        metadata=about("The form: JSON, or a text to read."),
    )


class ExportAnswer(AnswerSchema):
    """All that is kept of a person and that they may see."""

    exported_at = instant("exportedAt", "When it was exported.", _AT)
    person = fields.Dict(
        required=True,
        metadata=about(
            "Who they are, and what they keep for themselves: notes about clients, quick replies.",
            {"id": CLIENT_ID, "fullName": "Budi Santoso", "clientNotes": [], "quickReplies": []},
        ),
    )
    counselings = fields.List(
        fields.Dict(),
        metadata=about("Their counsellings, with what was said; left out where there are none.", []),
    )
    notifications = fields.List(
        fields.Dict(), metadata=about("What they were told; left out where there is nothing.", [])
    )


class EraseRequest(Schema):
    """Erase a person."""

    reason = _reason()


class ErasureAnswer(AnswerSchema):
    """An erasure that is done."""

    id = identity("id", "Its id.", _ERASURE_ID)
    person_id = identity("personId", "Whose it was.", PERSON_ID)
    status = choice("status", "How far it is.", ErasureStatus, ErasureStatus.DONE)
    begun_at = instant("begunAt", "When it was begun.", _AT)
    finished_at = instant("finishedAt", "When it was done.", _AT, allow_none=True)
    counts = fields.Dict(
        required=True,
        keys=fields.String(),
        values=fields.Integer(),
        metadata=about("How much was erased, by what it was.", {"sessions": 3, "messages": 120, "files": 2}),
    )
    receipt = fields.Dict(
        required=True,
        metadata=about(
            "What was done, signed (Ed25519), without personal data. Keep it as it is.",
            {"receipt": {"erasureId": _ERASURE_ID}, "signature": "c2ln", "publicKey": "a2V5"},
        ),
    )


class HoldRequest(Schema):
    """Set or lift a legal hold."""

    is_held = TrueOrFalse(
        required=True, data_key="isHeld", metadata=about("Whether it must not be erased.", example=True)
    )
    reason = _reason()


class HoldAnswer(AnswerSchema):
    """Whether a legal hold is in force."""

    subject_id = identity("subjectId", "What it is on.", PERSON_ID)
    held_since = instant("heldSince", "Since when it is in force; null: it is not.", _AT, allow_none=True)

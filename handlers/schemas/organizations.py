"""The shape of what people are told of their organisation."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from config import LANGUAGES
from handlers.schemas.answers import AnswerSchema
from handlers.schemas.parts import DATE, ORGANIZATION_ID, about, choice, identity, text


class Wording(AnswerSchema):
    """The same in every language."""

    id = text("id", "In Indonesian.", "Bicara dengan konselor, gratis.")
    en = text("en", "In English.", "Talk to a counsellor, free of charge.")


class CrisisContactAnswer(AnswerSchema):
    """Someone to turn to at once. `phone`, `url` or both are there."""

    name = text("name", "What it is called.", "Layanan SEJIWA")
    phone = text("phone", "The number to dial; null without one.", "119 ext 8", allow_none=True)
    url = text("url", "Where it is found; null without one.", None, allow_none=True)
    hours = fields.Nested(
        Wording,
        required=True,
        allow_none=True,
        metadata=about("When someone is there; null where it is not said.", {"id": "24/7", "en": "24/7"}),
    )
    text = fields.Nested(
        Wording, required=True, allow_none=True, metadata=about("What to expect; null where it is not said.")
    )
    reviewed_at = fields.Date(
        required=True,
        allow_none=True,
        data_key="reviewedAt",
        metadata=about(
            "The day on which it was last tried whether someone answers; null where it is not said.", DATE
        ),
    )


def _crisis_contacts() -> fields.List[Any]:
    return fields.List(
        fields.Nested(CrisisContactAnswer),
        required=True,
        data_key="crisisContacts",
        metadata=about("Whom people can turn to at any time, in the order in which to show them."),
    )


class CrisisContactsAnswer(AnswerSchema):
    """Whom people can turn to at once."""

    crisis_contacts = _crisis_contacts()


class OrganizationAnswer(AnswerSchema):
    """The caller's organisation."""

    organization_id = identity(
        "organizationId",
        "Its id, as in the caller's token; null without one.",
        ORGANIZATION_ID,
        allow_none=True,
    )
    language = choice("language", "The language of its sessions, unless a booking names another.", LANGUAGES)
    crisis_contacts = _crisis_contacts()

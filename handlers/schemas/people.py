"""The shapes of what is said of people's access."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from handlers.schemas.answers import AnswerSchema, affected
from handlers.schemas.parts import PERSON_ID, TrueOrFalse, about, choice, identity, instant, yes_no
from rdchat.domain.permissions import EVERYONE_SIGNED_IN
from rdchat.domain.person import Role

_ROLES = sorted(role.value for role in EVERYONE_SIGNED_IN)
_REVOKED_AT = "2030-01-15T06:12:09.418Z"


class PersonRequest(Schema):
    """Change who a person may call as. What is left out stays as it is."""

    is_active = TrueOrFalse(
        data_key="isActive",
        metadata=about("Whether they may call, whatever their tokens say.", example=False),
    )
    role = fields.String(
        allow_none=True,
        validate=validate.OneOf(_ROLES),
        metadata=about("The role that their tokens have to say; null: any one.", Role.CLIENT.value),
    )


class PersonAccess(AnswerSchema):
    """What holds of a person, whatever their tokens say."""

    id = identity("id", "Their id: the `sub` of their tokens.", PERSON_ID)
    is_active = yes_no("isActive", "Whether they may call at all.", example=False)
    role = choice(
        "role",
        "The role that their tokens have to say; null: any one.",
        _ROLES,
        Role.CLIENT,
        allow_none=True,
    )
    revoked_at = instant(
        "revokedAt",
        "Tokens that were issued until then are refused; null if none were revoked.",
        _REVOKED_AT,
        allow_none=True,
    )


class SavedPerson(PersonAccess):
    """What holds of a person, as it was saved."""

    affected = affected()

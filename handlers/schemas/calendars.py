"""The shapes of calendars: the link to one, and what opens it."""

from __future__ import annotations

from typing import Final

from marshmallow import EXCLUDE, Schema, fields, validate

from handlers.schemas.answers import AnswerSchema
from handlers.schemas.parts import about, text, yes_no

_SECRET: Final = "q3VnN1l0b3c2b1Zs6X4jQ0b1yq0m2m1bqJwTt8b8rTq"  # noqa: S105 - an example


class CalendarQuery(Schema):
    """Name a calendar by what its link contains. Programs add parameters of their own: they mean nothing."""

    class Meta:
        """What is not named here is passed over."""

        unknown = EXCLUDE

    token = fields.String(
        required=True,
        validate=validate.Length(min=1, max=200),
        metadata=about("What the link contains.", _SECRET, pattern="^[!-~]+$"),
    )


class CalendarLinkAnswer(AnswerSchema):
    """A link to the caller's calendar."""

    url = text(
        "url",
        "The link, for a calendar program to subscribe to. It is not shown again, and serves until it is "
        "replaced or revoked.",
        f"/api/v1/calendar.ics?token={_SECRET}",
    )


class CalendarLinkRevokedAnswer(AnswerSchema):
    """What became of the link."""

    revoked = yes_no("revoked", "Whether there was one.", example=True)

"""The shapes of quick replies."""

from __future__ import annotations

from typing import Final

from marshmallow import Schema, fields, validate

from handlers.schemas.answers import AnswerSchema
from handlers.schemas.parts import (
    BOOKED_AT,
    QUICK_REPLY_ID,
    WholeNumber,
    about,
    identity,
    instant,
    not_blank,
    number,
    text,
    yes_no,
)
from rdchat.domain.quick_reply import LONGEST_TEXT, LONGEST_TITLE, MOST_QUICK_REPLIES

_TITLE: Final = "Salam pembuka"
_TEXT: Final = "Halo, terima kasih sudah datang. Bagaimana kabar Anda hari ini?"


def _title(description: str, *, required: bool) -> fields.String:
    return fields.String(
        required=required,
        validate=[validate.Length(min=1, max=LONGEST_TITLE), not_blank],
        metadata=about(description, _TITLE),
    )


def _text(description: str, *, required: bool) -> fields.String:
    return fields.String(
        required=required,
        validate=[validate.Length(min=1, max=LONGEST_TEXT), not_blank],
        metadata=about(description, _TEXT),
    )


class QuickReplyRequest(Schema):
    """Keep a quick reply."""

    title = _title("What it is found by; not only white space.", required=True)
    text = _text("What is to be said; not only white space.", required=True)


class QuickReplyChangeRequest(Schema):
    """Change a quick reply. What is left out stays as it is."""

    title = _title("What it is found by; not only white space.", required=False)
    text = _text("What is to be said; not only white space.", required=False)
    position = WholeNumber(
        validate=validate.Range(min=1, max=MOST_QUICK_REPLIES),
        metadata=about(
            "Its place in the list, from 1: the others make room. Beyond the end, it is the last.", 1
        ),
    )


class QuickReplyAnswer(AnswerSchema):
    """A quick reply."""

    id = identity("id", "The quick reply's id.", QUICK_REPLY_ID)
    title = text("title", "What it is found by.", _TITLE)
    text = text("text", "What is to be said.", _TEXT)
    position = number("position", "Its place in the list, from 1, without gaps.", 1)
    created_at = instant("createdAt", "When it was kept.", BOOKED_AT)
    updated_at = instant("updatedAt", "When it was last changed; not when others made room.", BOOKED_AT)


class QuickReplyDeletedAnswer(AnswerSchema):
    """What became of a quick reply."""

    deleted = yes_no("deleted", "Whether the caller had it until now.", example=True)

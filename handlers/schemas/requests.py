"""The shapes of what comes in. Requests are loaded by them; what they do not name is refused."""

from __future__ import annotations

from typing import Final

from marshmallow import Schema, fields, validate

from handlers.schemas.parts import (
    CLIENT_ID,
    COUNSELING_STATUSES,
    DATE,
    END,
    LONGEST_ZONE,
    ORGANIZATION_ID,
    PSYCHOLOGIST_ID,
    SARI,
    ZONE,
    Moment,
    TrueOrFalse,
    a_name,
    about,
    page_cursor,
    page_size,
    time_zone,
)
from rdchat.domain.person import LONGEST_NAME
from statemachine import Status

_DRAWN_AS: Final = ("mermaid", "dot", "svg", "png", "json")


# ---- people -----------------------------------------------------------------------------------------------


class PsychologistRequest(Schema):
    """Create or change a psychologist. What is left out stays as it is."""

    full_name = fields.String(
        data_key="fullName",
        validate=[validate.Length(min=1, max=LONGEST_NAME), a_name],
        metadata=about("The name that clients see. A new one needs it.", SARI["fullName"]),
    )
    timezone = fields.String(
        validate=validate.Length(max=LONGEST_ZONE),
        metadata=about(
            "The time zone they work in, by its IANA name. That of a new one is `Asia/Jakarta` unless said.",
            ZONE,
        ),
    )
    is_active = TrueOrFalse(
        data_key="isActive",
        metadata=about("Whether clients can book them. A new one can be booked unless said.", example=True),
    )


# ---- lists ------------------------------------------------------------------------------------------------


class PartQuery(Schema):
    """Choose counsellings by who and when."""

    psychologist_id = fields.UUID(
        load_default=None,
        data_key="psychologistId",
        metadata=about("Only those with this psychologist.", PSYCHOLOGIST_ID),
    )
    client_id = fields.UUID(
        load_default=None, data_key="clientId", metadata=about("Only those of this client.", CLIENT_ID)
    )
    organization_id = fields.UUID(
        load_default=None,
        data_key="organizationId",
        metadata=about("Only those of clients who were members of this organisation.", ORGANIZATION_ID),
    )
    since = Moment(
        load_default=None,
        data_key="from",
        metadata=about("Only those that start then or later: an instant, or a day in `timezone`.", DATE),
    )
    until = Moment(
        load_default=None,
        data_key="to",
        metadata=about("Only those that start before an instant, or on a day in `timezone` or before.", END),
    )
    timezone = time_zone("The time zone of days")


class SessionsQuery(PartQuery):
    """Choose sessions. By who and when, only those who oversee them do."""

    status = fields.String(
        load_default=None,
        validate=validate.OneOf([status.value for status in Status]),
        metadata=about("Only sessions in this state. Without it, all."),
    )
    order = fields.String(
        load_default="start",
        validate=validate.OneOf(("start", "activity")),
        metadata=about(
            "What comes first: the latest `start`, or the latest `activity`: a message, an opening, a "
            "warning, a move, an end."
        ),
    )
    cursor = page_cursor()
    limit = page_size()


class ActiveSessionsQuery(Schema):
    """Choose a page of open sessions."""

    cursor = page_cursor()
    limit = page_size(100)


class PageQuery(Schema):
    """Choose a page."""

    cursor = page_cursor()
    limit = page_size()


class CounselingsQuery(PartQuery):
    """Choose counsellings, by where they stand, by who and when."""

    status = fields.String(
        load_default=None,
        validate=validate.OneOf(COUNSELING_STATUSES),
        metadata=about("Only counsellings that stand here. Without it, all."),
    )
    cursor = page_cursor()
    limit = page_size()


class DiagramQuery(Schema):
    """Choose the form of the diagram."""

    format = fields.String(
        load_default="mermaid",
        validate=validate.OneOf(_DRAWN_AS),
        metadata=about("The form: Mermaid or Graphviz source, a picture, or the machine as JSON."),
    )


class TranscriptQuery(Schema):
    """Choose the form of the transcript."""

    format = fields.String(
        load_default="json",
        validate=validate.OneOf(("json", "txt", "html")),
        metadata=about("The form: JSON, plain text, or a page to read, keep and print."),
    )

"""The shapes of reports."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from handlers.schemas.answers import AnswerSchema, person
from handlers.schemas.parts import (
    DATE,
    NEXT_DATE,
    ORGANIZATION_ID,
    SARI,
    Moment,
    about,
    identity,
    instant,
    number,
    time_zone,
)
from rdchat.domain.report import LONGEST_SPAN


class ReportQuery(Schema):
    """Choose what is counted: the counsellings that start within a span."""

    since = Moment(
        required=True,
        data_key="from",
        metadata=about("From when on: an instant, or a day in `timezone`.", DATE),
    )
    until = Moment(
        required=True,
        data_key="to",
        metadata=about(
            "Until when: an instant, which is not part of it, or a day in `timezone`, which is. At most "
            f"{LONGEST_SPAN.days} days after `from`.",
            NEXT_DATE,
        ),
    )
    timezone = time_zone("The time zone of days")
    organization_id = fields.UUID(
        load_default=None,
        data_key="organizationId",
        metadata=about(
            "Whose members the clients were when they booked. Without it, all for an administrator, for a "
            "supervisor those of their own.",
            ORGANIZATION_ID,
        ),
    )
    format = fields.String(
        load_default=None,
        validate=validate.OneOf(("json", "csv")),
        metadata=about("The form. Without it, what the header `Accept` prefers of the two."),
    )


class AbsenceNumbers(AnswerSchema):
    """How many chats were completed without one of the two, or both."""

    client_absent = number("clientAbsent", "The client did not come.", 2)
    psychologist_absent = number("psychologistAbsent", "The psychologist did not come.", 0)
    nobody_came = number("nobodyCame", "Neither came.", 1)


class CancellationNumbers(AnswerSchema):
    """How many were cancelled, by whom."""

    by_client = number("byClient", "By the client.", 4)
    by_psychologist = number("byPsychologist", "By the psychologist.", 1)
    by_administrator = number("byAdministrator", "By an administrator.", 0)
    by_unknown = number("byUnknown", "Before it was kept by whom.", 0)


class ReportNumbers(AnswerSchema):
    """What became of counsellings.

    `booked` is the sum of `held`, `noShows`, `missed`, `cancelled`, `ahead` and `underWay`.
    """

    booked = number("booked", "How many were booked.", 40)
    held = number("held", "How many took place.", 25)
    presumed = number(
        "presumed",
        "Of `held`, those without chat, of which no more is known than that their time is over.",
        3,
    )
    no_shows = fields.Nested(
        AbsenceNumbers, required=True, data_key="noShows", metadata=about("Who did not come.")
    )
    missed = number("missed", "How many the service could not open in time.", 0)
    cancelled = fields.Nested(
        CancellationNumbers, required=True, metadata=about("How many were cancelled, by whom.")
    )
    ahead = number("ahead", "How many have not begun.", 6)
    under_way = number("underWay", "How many are going on.", 1)
    minutes = number("minutes", "How long all take that were not cancelled or missed, in minutes.", 2100)
    median_wait_minutes = fields.Float(
        required=True,
        allow_none=True,
        data_key="medianWaitMinutes",
        metadata=about("How long before its start the median one was booked; null if there is none.", 2880.5),
    )


class PsychologistNumbers(ReportNumbers):
    """What became of the counsellings of one psychologist: those that they have now, or had."""

    psychologist = person("The psychologist.", SARI)


class ReportAnswer(ReportNumbers):
    """What became of the counsellings that start within a span, in all and by psychologist."""

    since = instant("from", "The first instant of the span.", "2030-01-14T17:00:00.000Z")
    until = instant("to", "The first instant after it.", "2030-01-16T17:00:00.000Z")
    organization_id = identity(
        "organizationId", "Whose members the clients were; null: of all.", ORGANIZATION_ID, allow_none=True
    )
    psychologists = fields.List(
        fields.Nested(PsychologistNumbers),
        required=True,
        metadata=about("The load of each psychologist who has any, by name."),
    )

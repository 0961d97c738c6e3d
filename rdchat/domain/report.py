"""What a report counts: what became of counsellings, each of which is counted once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

#: A leap year and a day: a calendar year fits in every time zone.
LONGEST_SPAN: Final = timedelta(days=367)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What became of the counsellings that start within a span: all but the last three add up to `booked`.

    Of `held`, `presumed` are those without chat, of which only the time is known to be over. `missed`: the
    service could not open the chat. `minutes` are those of all that were not cancelled or missed, and
    `median_wait` is how long before their start half of all were booked at most; None of none.
    """

    booked: int = 0
    held: int = 0
    client_absent: int = 0
    psychologist_absent: int = 0
    nobody_came: int = 0
    missed: int = 0
    cancelled_by_client: int = 0
    cancelled_by_psychologist: int = 0
    cancelled_by_administrator: int = 0
    cancelled_by_unknown: int = 0
    ahead: int = 0
    under_way: int = 0
    presumed: int = 0
    minutes: int = 0
    median_wait: timedelta | None = None


@dataclass(frozen=True, slots=True)
class PsychologistTally:
    """What became of the counsellings of one psychologist."""

    psychologist_id: UUID
    full_name: str
    tally: Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationReport:
    """The numbers of the counsellings that start from `since` on and before `until`.

    `organization_id` None: of all clients. `psychologists` are in the order of their names.
    """

    since: datetime
    until: datetime
    organization_id: UUID | None
    total: Tally
    psychologists: tuple[PsychologistTally, ...]

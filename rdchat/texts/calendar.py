"""Calendars (RFC 5545): when a person has counsellings, and nothing that others should not see."""

from __future__ import annotations

from datetime import UTC, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

from icalendar import Calendar
from icalendar.prop import vDuration

from statemachine import Status

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from rdchat.domain.counseling import Counseling

#: Calendars are shared, and shown on screens that others see: no word of what it is, nor with whom.
_SUMMARIES: Final = {"id": "Janji temu", "en": "Appointment"}
#: How often programs should look again.
_REFRESH: Final = timedelta(hours=1)


def calendar_text(counselings: Iterable[Counseling], language: str) -> bytes:
    """Write counsellings as a calendar: the same for the same, byte for byte.

    Times are instants, so that no calendar has to know a zone. An event keeps its UID for ever; its SEQUENCE
    grows when it is moved, handed over or cancelled.
    """
    begin, end = _frame(language)
    return b"".join([begin, *(_event(one, language) for one in counselings), end])


@cache
def _frame(language: str) -> tuple[bytes, bytes]:
    """Return what stands around events."""
    made = Calendar()
    made.add("VERSION", "2.0")
    made.add("PRODID", "-//rd//appointments//EN")
    made.add("METHOD", "PUBLISH")
    made.add("X-WR-CALNAME", _SUMMARIES[language])
    made.add("REFRESH-INTERVAL", vDuration(_REFRESH), parameters={"VALUE": "DURATION"})
    made.add("X-PUBLISHED-TTL", vDuration(_REFRESH))
    begin, mark, end = made.to_ical().partition(b"END:VCALENDAR")
    return begin, mark + end


def _event(one: Counseling, language: str) -> bytes:
    # By hand: all of it is short, and nothing in it has to be escaped. A booking answers with one, and
    # icalendar would take a sixth of its time.
    changed = _instant(one.updated_at)
    lines = (
        "BEGIN:VEVENT",
        f"SUMMARY:{_SUMMARIES[language]}",
        f"DTSTART:{_instant(one.slot.starts_at)}",
        f"DTEND:{_instant(one.slot.ends_at)}",
        f"DTSTAMP:{changed}",
        f"UID:{one.id}",
        f"SEQUENCE:{one.revision}",
        "CLASS:PRIVATE",
        f"LAST-MODIFIED:{changed}",
        f"STATUS:{'CANCELLED' if one.status == Status.CANCELLED else 'CONFIRMED'}",
        "END:VEVENT\r\n",
    )
    return "\r\n".join(lines).encode()


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"

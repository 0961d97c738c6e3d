"""Calendars (RFC 5545): when a person has counsellings, and nothing that others should not see."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from icalendar import Calendar, Event
from icalendar.prop import vDuration

from statemachine import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    made = Calendar()
    made.add("VERSION", "2.0")
    made.add("PRODID", "-//rd//appointments//EN")
    made.add("METHOD", "PUBLISH")
    made.add("X-WR-CALNAME", _SUMMARIES[language])
    made.add("REFRESH-INTERVAL", vDuration(_REFRESH), parameters={"VALUE": "DURATION"})
    made.add("X-PUBLISHED-TTL", vDuration(_REFRESH))
    for one in counselings:
        made.add_component(_event(one, language))
    text: bytes = made.to_ical()
    return text


def _event(one: Counseling, language: str) -> Event:
    event = Event()
    event.add("UID", str(one.id))
    event.add("SEQUENCE", one.revision)
    event.add("DTSTAMP", one.updated_at)
    event.add("LAST-MODIFIED", one.updated_at)
    event.add("DTSTART", one.slot.starts_at)
    event.add("DTEND", one.slot.ends_at)
    event.add("SUMMARY", _SUMMARIES[language])
    event.add("CLASS", "PRIVATE")
    event.add("STATUS", "CANCELLED" if one.status == Status.CANCELLED else "CONFIRMED")
    return event

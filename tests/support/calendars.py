"""Calendars as programs see them: opened by a link, without a token, and read as they are."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from icalendar import Calendar, Event

from tests.support.service import Reply

if TYPE_CHECKING:
    from tests.support.service import Person, Service


def without_calendar(booked: dict[str, Any]) -> dict[str, Any]:
    """What a booking is answered with, as the counselling is shown elsewhere."""
    return {name: value for name, value in booked.items() if name != "ics"}


async def calendar_link(person: Person) -> str:
    """Give a person a link to their calendar."""
    reply = await person.put("/calendar")
    assert reply.status == 200, reply.json
    url: str = reply.data["url"]
    return url


async def open_calendar(service: Service, url: str, **headers: str) -> Reply:
    """Open a calendar by its link."""
    async with service.client.get(url, headers=headers) as answer:
        body = await answer.text()
        is_json = answer.content_type == "application/json"
        return Reply(answer.status, await answer.json() if is_json else body, answer.headers)


def events_in(text: str) -> list[dict[str, Any]]:
    """Read the events of a calendar."""
    return [
        {name: str(event[name]) for name in ("UID", "SEQUENCE", "STATUS", "SUMMARY", "CLASS")}
        | {"starts": event.start, "ends": event.end}
        for event in Calendar.from_ical(text).walk("VEVENT")
        if isinstance(event, Event)
    ]


def event_of(
    booked: dict[str, Any], sequence: int, *, summary: str = "Janji temu", **times: datetime
) -> dict[str, Any]:
    """Make the event that a booking must have become, of what has changed since."""
    return {
        "UID": booked["id"],
        "SEQUENCE": str(sequence),
        "STATUS": "CONFIRMED",
        "SUMMARY": summary,
        "CLASS": "PRIVATE",
        "starts": times.get("starts", datetime.fromisoformat(booked["scheduledAt"])),
        "ends": times.get("ends", datetime.fromisoformat(booked["endsAt"])),
    }

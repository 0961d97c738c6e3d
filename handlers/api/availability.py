"""/psychologists/{id}/availability: when they work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handlers import schemas
from handlers.api.entity_tags import entity_tag, names, not_modified
from handlers.api.presenters import clock_time
from handlers.api.psychologists import show_affected
from handlers.http.routing import Answer, Call, Route
from rdchat.domain import permissions
from rdchat.domain.availability import DayException, Hours, WeeklyHours
from rdchat.domain.operator_action import ActionKind, SubjectType

if TYPE_CHECKING:
    from rdchat.domain.availability import Availability


async def get_availability(call: Call) -> Answer:
    """Look at a psychologist's working hours."""
    found = await call.runtime.psychologists.get_availability(call.path["id"])
    shown = _availability_json(found)
    tag = entity_tag(shown)
    if names(call.headers.get("If-None-Match"), tag):
        return not_modified(tag)
    return Answer(shown, "Availability retrieved successfully", headers={"ETag": tag})


async def put_availability(call: Call) -> Answer:
    """Replace working hours: psychologists their own, administrators anyone's.

    What is left out stays, an empty list empties its part, and the same again changes nothing. What is booked
    stays as well: what does not fit any more is `affected`, and those who were to meet are told once. With
    `If-Match`, nothing is replaced that someone else has changed in the meantime.
    """
    said = call.body
    expected = call.headers.get("If-Match")
    saved, affected = await call.runtime.psychologists.save_availability(
        call.caller,
        call.path["id"],
        weekly=_weekly(said.get("weekly")),
        exceptions=_exceptions(said.get("exceptions")),
        timezone=said.get("timezone"),
        is_expected=lambda hours: expected is None or names(expected, entity_tag(_availability_json(hours))),
    )
    shown = _availability_json(saved)
    return Answer(
        shown | {"affected": show_affected(call, affected)},
        "Availability saved successfully",
        headers={"ETag": entity_tag(shown)},
    )


def _weekly(said: list[dict[str, Any]] | None) -> list[WeeklyHours] | None:
    if said is None:
        return None
    return [WeeklyHours(one["weekday"], Hours(one["start_time"], one["end_time"])) for one in said]


def _exceptions(said: list[dict[str, Any]] | None) -> list[DayException] | None:
    if said is None:
        return None
    return [
        DayException(one["date"], one["is_available"], Hours(one["start_time"], one["end_time"]))
        for one in said
    ]


def _availability_json(said: Availability) -> dict[str, Any]:
    return {
        "timezone": said.timezone,
        "weekly": [{"weekday": one.weekday} | _hours(one.hours) for one in said.weekly],
        "exceptions": [
            {"date": one.date.isoformat(), "isAvailable": one.is_available} | _hours(one.hours)
            for one in said.exceptions
        ],
    }


def _hours(hours: Hours) -> dict[str, Any]:
    return {"startTime": clock_time(hours.start), "endTime": clock_time(hours.end)}


ROUTES = (
    Route(
        method="GET",
        path="/psychologists/{id}/availability",
        handler=get_availability,
        summary="Look at working hours",
        tag="Psychologists",
        done="The working hours.",
        message="Availability retrieved successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        data=schemas.AvailabilityAnswer,
        tagged=True,
    ),
    Route(
        method="PUT",
        path="/psychologists/{id}/availability",
        handler=put_availability,
        summary="Replace working hours",
        tag="Psychologists",
        recorded=(ActionKind.SAVE_AVAILABILITY, SubjectType.PSYCHOLOGIST),
        done="The working hours, as they are now.",
        message="Availability saved successfully",
        roles=permissions.KEEPERS_OF_HOURS,
        body=schemas.AvailabilityRequest,
        data=schemas.SavedAvailability,
        tagged=True,
    ),
)

"""/psychologists/{id}/availability and /slots: when psychologists work, and can still be booked."""

from __future__ import annotations

from datetime import timedelta

from handlers import schemas
from handlers.api.presenters import availability_json, slot_json
from handlers.http.routing import Answer, Call, Route
from rdchat.domain import permissions
from rdchat.domain.availability import DayException, Hours, WeeklyHours
from rdchat.domain.free_slots import Wish


async def get_availability(call: Call) -> Answer:
    """Look at a psychologist's working hours."""
    found = await call.runtime.psychologists.get_availability(call.path["id"])
    return Answer(availability_json(found), "Availability retrieved successfully")


async def put_availability(call: Call) -> Answer:
    """Replace working hours: psychologists their own, administrators anyone's. What is booked stays."""
    said = call.body
    saved = await call.runtime.psychologists.save_availability(
        call.caller,
        call.path["id"],
        [WeeklyHours(one["weekday"], Hours(one["start_time"], one["end_time"])) for one in said["weekly"]],
        [
            DayException(one["date"], one["is_available"], Hours(one["start_time"], one["end_time"]))
            for one in said["exceptions"]
        ],
        timezone=said["timezone"],
    )
    return Answer(availability_json(saved), "Availability saved successfully")


async def list_slots(call: Call) -> Answer:
    """List the times of a day that can be booked with a psychologist, earliest first."""
    asked = call.query
    wish = Wish(
        day=asked["date"],
        timezone=asked["timezone"],
        length=timedelta(minutes=asked["duration"]),
        step=timedelta(minutes=asked["step"]),
    )
    found = await call.runtime.psychologists.list_free_slots(call.path["id"], wish)
    return Answer([slot_json(one) for one in found], "Slots retrieved successfully")


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
    ),
    Route(
        method="PUT",
        path="/psychologists/{id}/availability",
        handler=put_availability,
        summary="Replace working hours",
        tag="Psychologists",
        done="The working hours, as they are now.",
        message="Availability saved successfully",
        roles=permissions.KEEPERS_OF_HOURS,
        body=schemas.AvailabilityRequest,
        data=schemas.AvailabilityAnswer,
    ),
    Route(
        method="GET",
        path="/psychologists/{id}/slots",
        handler=list_slots,
        summary="List times that can be booked",
        tag="Psychologists",
        done="The times that can be booked; none, if it is too late or too early for that day.",
        message="Slots retrieved successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        query=schemas.SlotsQuery,
        data=schemas.SlotAnswer,
        many=True,
    ),
)

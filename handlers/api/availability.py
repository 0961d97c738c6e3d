"""/psychologists/{id}/availability and /slots: when somebody works, and when they can still be booked."""

from __future__ import annotations

from datetime import timedelta

from handlers import schemas
from handlers.api.presenters import availability_json, slot_json
from handlers.http.routing import Answer, Call, Route
from rdchat.common.errors import ErrorCode, RdchatError, invalid
from rdchat.domain import free_slots, permissions
from rdchat.domain.availability import DayException, Hours, WeeklyHours, checked
from rdchat.domain.booking import zone
from rdchat.postgres import availability, people


async def get_availability(call: Call) -> Answer:
    """Look at a psychologist's working hours."""
    found = await availability.get_availability(call.runtime.pool, call.path["id"])
    if found is None:
        raise _unknown()
    return Answer(availability_json(found), "Availability retrieved successfully")


async def put_availability(call: Call) -> Answer:
    """Replace working hours: psychologists their own, administrators anybody's. What is booked stays."""
    if not permissions.may_change_hours(call.caller, call.path["id"]):
        raise RdchatError(ErrorCode.FORBIDDEN)
    said = call.body
    if said["timezone"] is not None:
        zone(said["timezone"])
    weekly, exceptions = checked(
        [WeeklyHours(one["weekday"], Hours(one["start_time"], one["end_time"])) for one in said["weekly"]],
        [
            DayException(one["date"], one["is_available"], Hours(one["start_time"], one["end_time"]))
            for one in said["exceptions"]
        ],
    )
    saved = await availability.put_availability(
        call.runtime.pool,
        call.path["id"],
        weekly,
        exceptions,
        timezone=said["timezone"],
        at=call.runtime.clock.now(),
    )
    if saved is None:
        raise _unknown()
    return Answer(availability_json(saved), "Availability saved successfully")


async def list_slots(call: Call) -> Answer:
    """List the times of a day that can be booked with a psychologist, earliest first."""
    asked, limits, now = call.query, call.runtime.limits, call.runtime.clock.now()
    length = timedelta(minutes=asked["duration"])
    if not limits.shortest <= length <= limits.longest:
        raise invalid("duration", "No session can be so short or so long.")
    wish = free_slots.Wish(
        day=asked["date"], timezone=asked["timezone"], length=length, step=timedelta(minutes=asked["step"])
    )
    bounds = wish.bounds(limits=limits, now=now)
    pool, psychologist_id = call.runtime.pool, call.path["id"]
    who = await people.get_psychologist(pool, psychologist_id)
    hours = await availability.get_availability(pool, psychologist_id)
    if who is None or hours is None:
        raise _unknown()
    found: list[free_slots.FreeSlot] = []
    if who.is_active and bounds is not None:
        booked = await availability.list_booked(pool, [psychologist_id], *bounds)
        found = list(
            free_slots.free_slots(wish, hours, booked.get(psychologist_id, []), limits=limits, now=now)
        )
    return Answer([slot_json(one) for one in found], "Slots retrieved successfully")


def _unknown() -> RdchatError:
    return RdchatError(ErrorCode.NOT_FOUND, "Psychologist not found")


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

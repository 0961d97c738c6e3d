"""/psychologists/{id}/availability, their /slots, and /slots of all: when they work, and can be booked."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from handlers import schemas
from handlers.api.entity_tags import entity_tag, names, not_modified
from handlers.api.presenters import availability_json, shared_slots_json, slot_json
from handlers.api.psychologists import show_affected
from handlers.http.routing import Answer, Call, Route
from rdchat.common.errors import ErrorCode
from rdchat.domain import permissions
from rdchat.domain.availability import DayException, Hours, WeeklyHours
from rdchat.domain.free_slots import Wish

if TYPE_CHECKING:
    from aiohttp import web


async def get_availability(call: Call) -> Answer | web.Response:
    """Look at a psychologist's working hours."""
    found = await call.runtime.psychologists.get_availability(call.path["id"])
    shown = availability_json(found)
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
        is_expected=lambda hours: expected is None or names(expected, entity_tag(availability_json(hours))),
    )
    shown = availability_json(saved)
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


async def list_slots(call: Call) -> Answer:
    """List the times of a day that can be booked with a psychologist, earliest first."""
    asked = call.query
    wish = Wish(
        day=asked["date"],
        timezone=asked["timezone"],
        length=timedelta(minutes=asked["duration"]),
        step=timedelta(minutes=asked["step"]),
    )
    moved = asked["moved"]
    if moved is not None:
        # Only one's own: whether someone else has a counselling then is not to be found out.
        await call.runtime.counselings.get_counseling(call.caller, moved)
    found = await call.runtime.psychologists.list_free_slots(
        call.caller, call.path["id"], wish, except_counseling=moved
    )
    return Answer([slot_json(one) for one in found], "Slots retrieved successfully")


async def list_all_slots(call: Call) -> Answer:
    """List the times of up to 35 days that can be booked, earliest first, each with whom.

    Each lies on a day of `timezone`; who is named for it is in the order of names.
    """
    asked = call.query
    first, last = asked["first"], asked["last"]
    wishes = [
        Wish(
            day=first + timedelta(days=number),
            timezone=asked["timezone"],
            length=timedelta(minutes=asked["duration"]),
            step=timedelta(minutes=asked["step"]),
        )
        for number in range((last - first).days + 1)
    ]
    found = await call.runtime.psychologists.list_shared_slots(call.caller, wishes)
    # Weeks of many psychologists are a large answer: it is written beside the event loop as well.
    written = await asyncio.to_thread(shared_slots_json, found)
    return Answer(written, "Slots retrieved successfully")


ROUTES = (
    Route(
        method="GET",
        path="/slots",
        handler=list_all_slots,
        summary="List times that can be booked with anyone",
        tag="Psychologists",
        done="The times that can be booked, and with whom.",
        message="Slots retrieved successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        query=schemas.AllSlotsQuery,
        data=schemas.SharedSlotAnswer,
        many=True,
    ),
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
        done="The working hours, as they are now.",
        message="Availability saved successfully",
        roles=permissions.KEEPERS_OF_HOURS,
        body=schemas.AvailabilityRequest,
        data=schemas.SavedAvailability,
        tagged=True,
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
        errors=(ErrorCode.FORBIDDEN,),
    ),
)

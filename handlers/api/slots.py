"""/psychologists/{id}/slots, and /slots of all: the times that can be booked."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from handlers import schemas
from handlers.api.presenters import clock_time
from handlers.http.routing import Answer, Call, Route
from rdchat.common.clock import iso
from rdchat.common.errors import ErrorCode
from rdchat.domain import permissions
from rdchat.domain.free_slots import Wish

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from rdchat.domain.booking import Slot
    from rdchat.domain.free_slots import FreeSlot, SharedSlot


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
    found = await call.runtime.slots.list_free_slots(
        call.caller, call.path["id"], wish, except_counseling=moved
    )
    return Answer([_slot_json(one) for one in found], "Slots retrieved successfully")


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
    found = await call.runtime.slots.list_shared_slots(call.caller, wishes)
    # Weeks of many psychologists are a large answer: it is written beside the event loop as well.
    written = await asyncio.to_thread(shared_slots_json, found)
    return Answer(written, "Slots retrieved successfully")


def _slot_json(found: FreeSlot) -> dict[str, Any]:
    slot, wall = found.slot, found.slot.wall_times()
    return {
        "startTime": clock_time(wall.start),
        "endDate": wall.end_day.isoformat(),
        "endTime": clock_time(wall.end),
        "startsAt": iso(slot.starts_at),
        "endsAt": iso(slot.ends_at),
        "free": found.free,
    }


def shared_slots_json(found: Iterable[SharedSlot]) -> orjson.Fragment:
    """Write times that can be booked with some; who they are is written once for all of them."""
    known: dict[UUID, bytes] = {}
    written = []
    for one in found:
        for who in one.psychologists:
            if who.id not in known:
                known[who.id] = orjson.dumps({"id": str(who.id), "fullName": who.full_name})
        who_are_free = b",".join([known[who.id] for who in one.psychologists])
        written.append(b'%b,"psychologists":[%b]}' % (_times_json(one.slot), who_are_free))
    return orjson.Fragment(b"[%b]" % b",".join(written))


@lru_cache(maxsize=2048)
def _times_json(slot: Slot) -> bytes:
    """Write an object with the times of a slot, without its end. Remembered: they are asked for again."""
    wall = slot.wall_times()
    shown = {
        "date": wall.day.isoformat(),
        "startTime": clock_time(wall.start),
        "endDate": wall.end_day.isoformat(),
        "endTime": clock_time(wall.end),
        "startsAt": iso(slot.starts_at),
        "endsAt": iso(slot.ends_at),
    }
    return orjson.dumps(shown)[:-1]


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

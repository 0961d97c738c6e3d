"""/psychologists, as the web app looks for someone and for a time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from handlers.api import psychologists
from handlers.dialects.ruangdiri.shapes import clock_with_seconds
from handlers.http.routing import Answer
from rdchat.domain.booking import DEFAULT_TIMEZONE, zone
from rdchat.domain.free_slots import Wish

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime
    from uuid import UUID

    from handlers.http.routing import Call
    from rdchat.domain.booking import Slot
    from rdchat.domain.free_slots import SharedSlot

_DAYS: Final = 30
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_AT_ONCE: Final = 1_000

_TRUE: Final = frozenset({"true", "1", "yes"})


async def list_psychologists(call: Call) -> Answer:
    """List as ever; with `available`, all that can be booked, as a plain list."""
    available = call.query.pop("available")
    if available is None or available.lower() not in _TRUE:
        return await psychologists.list_psychologists(call)
    found = await call.runtime.psychologists.list_psychologists(after=None, limit=_AT_ONCE)
    shown = [{"id": str(one.id), "fullName": one.full_name, "available": True} for one in found]
    return Answer(shown, "Psychologists retrieved successfully")


async def get_availability(call: Call) -> Answer:
    """Show the hours of the next thirty days at which psychologists work, and which of them have room."""
    timezone = call.query["timezone"] or call.caller.timezone or DEFAULT_TIMEZONE
    first = call.runtime.clock.now().astimezone(zone(timezone)).date()
    hours = await _hours(call, first, _DAYS, timezone)
    days: dict[date, list[dict[str, Any]]] = {}
    for slot, working, free in hours:
        days.setdefault(slot.wall_times().day, []).append(_time_slot(slot, working, free))
    shown = [
        {
            "date": day.isoformat(),
            # As JavaScript counts them: 0 is Sunday.
            "dayOfWeek": day.isoweekday() % 7,
            "timezone": timezone,
            "timeSlots": slots,
        }
        for day, slots in days.items()
    ]
    return Answer({"availability": shown}, "Availability retrieved successfully")


def _time_slot(slot: Slot, working: list[UUID], free: list[UUID]) -> dict[str, Any]:
    booked = [one for one in working if one not in free]
    return {
        **_hours_json(slot),
        "availablePsychologists": len(free),
        "totalPsychologists": len(working),
        "bookedPsychologists": len(booked),
        "isBooked": not free,
        "availablePsychologistIds": [str(one) for one in free],
        "bookedPsychologistIds": [str(one) for one in booked],
    }


async def list_booked_slots(call: Call) -> Answer:
    """Show a psychologist's hours of a day: those that are taken, and those that can be booked."""
    who = await call.runtime.psychologists.get_psychologist(call.path["id"])
    hours = await _hours(call, call.query["date"], 1, call.query["timezone"])
    theirs = [(slot, who.id in free) for slot, working, free in hours if who.id in working]
    shown = {
        "psychologistId": str(who.id),
        "bookedSlots": [_hours_json(slot) for slot, is_free in theirs if not is_free],
        "availableSlots": [_hours_json(slot) for slot, is_free in theirs if is_free],
    }
    return Answer(shown, "Slots retrieved successfully")


async def _hours(
    call: Call, first: date, days: int, timezone: str
) -> list[tuple[Slot, list[UUID], list[UUID]]]:
    """List the whole hours of some days with those who work then, and those of them who have room."""
    wishes = [
        Wish(day=first + number * _DAY, timezone=timezone, length=_HOUR, step=_HOUR) for number in range(days)
    ]
    working = await call.runtime.slots.list_shared_slots(call.caller, wishes, taken_too=True)
    free = _by_start(await call.runtime.slots.list_shared_slots(call.caller, wishes))
    return [
        (one.slot, [who.id for who in one.psychologists], free.get(one.slot.starts_at, [])) for one in working
    ]


def _by_start(slots: Iterable[SharedSlot]) -> dict[datetime, list[UUID]]:
    return {one.slot.starts_at: [who.id for who in one.psychologists] for one in slots}


def _hours_json(slot: Slot) -> dict[str, str]:
    wall = slot.wall_times()
    return {"startTime": clock_with_seconds(wall.start), "endTime": clock_with_seconds(wall.end)}

"""/counselings: book, cancel, look."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from handlers import cursors, schemas
from handlers.presenters import counseling_json
from handlers.routing import Answer, Call, Route
from rdchat import booking
from rdchat.availability import edge
from rdchat.booking import Booking
from rdchat.database.counseling_lists import Part, counselings_of
from rdchat.errors import ErrorCode, invalid
from rdchat.tokens import CLIENT_ROLES, Role

if TYPE_CHECKING:
    from datetime import date
    from zoneinfo import ZoneInfo


async def book_counseling(call: Call) -> Answer:
    """Book a counselling; with method chat, its session is created as pending and its timers are set."""
    wanted = call.body
    slot = booking.slot(
        wanted["date"],
        wanted["start_time"],
        wanted["end_time"],
        wanted["timezone"],
        limits=call.runtime.limits,
        now=call.runtime.clock.now(),
    )
    counseling, _ = await call.runtime.counselings.book(
        call.caller,
        Booking(call.caller.id, wanted["method"], slot, wanted["notes"], wanted["psychologist_id"]),
    )
    return Answer(counseling_json(counseling), "Counseling booked successfully", 201)


async def list_counselings(call: Call) -> Answer:
    """List one's own counsellings, latest start first."""
    asked = call.query
    there = booking.zone(asked["timezone"])
    part = Part(
        status=asked["status"],
        since=_moment(asked["since"], there, "from"),
        until=_moment(asked["until"], there, "to", days=1),
        before=cursors.read(asked["cursor"]),
        limit=asked["limit"] + 1,
    )
    found = await counselings_of(call.runtime.pool, call.caller.id, part, at=call.runtime.clock.now())
    shown, more = found[: asked["limit"]], len(found) > asked["limit"]
    return Answer(
        {
            "data": [counseling_json(one) for one in shown],
            "nextCursor": cursors.write(shown[-1].slot.starts_at, shown[-1].id) if more else None,
        },
        "Counselings retrieved successfully",
    )


def _moment(asked: date | None, there: ZoneInfo, field: str, *, days: int = 0) -> datetime | None:
    """Give the instant that was asked for, or the one at which the day of it, or a later one, begins."""
    if asked is None or isinstance(asked, datetime):
        return asked
    try:
        return edge(asked + timedelta(days=days), time(0), there)
    except OverflowError as error:
        raise invalid(field, "Too far from now.") from error


async def get_counseling(call: Call) -> Answer:
    """Look at one counselling."""
    found = await call.runtime.counselings.read(call.caller, call.path["id"])
    return Answer(counseling_json(found), "Counseling retrieved successfully")


async def cancel_counseling(call: Call) -> Answer:
    """Cancel a counselling that is not over; its session ends with it, and its timers are removed."""
    cancelled = await call.runtime.counselings.cancel(call.caller, call.path["id"], call.body["reason"])
    return Answer(counseling_json(cancelled), "Counseling cancelled successfully")


ROUTES = (
    Route(
        method="POST",
        path="/counselings/book",
        handler=book_counseling,
        summary="Book a counselling",
        tag="Counselling",
        done="The counselling, booked; with method `chat`, it has a pending session.",
        message="Counseling booked successfully",
        roles=CLIENT_ROLES | {Role.SUPER_ADMIN},
        body=schemas.BookRequest,
        data=schemas.CounselingAnswer,
        status=201,
        errors=(ErrorCode.CLIENT_LIMIT, ErrorCode.PSYCHOLOGIST_LIMIT, ErrorCode.NO_PSYCHOLOGIST),
    ),
    Route(
        method="GET",
        path="/counselings",
        handler=list_counselings,
        summary="List own counsellings",
        tag="Counselling",
        done="The counsellings of the page.",
        message="Counselings retrieved successfully",
        query=schemas.CounselingsQuery,
        data=schemas.CounselingsAnswer,
    ),
    Route(
        method="GET",
        path="/counselings/{id}",
        handler=get_counseling,
        summary="Look at a counselling",
        tag="Counselling",
        done="The counselling.",
        message="Counseling retrieved successfully",
        data=schemas.CounselingAnswer,
        errors=(ErrorCode.FORBIDDEN,),
    ),
    Route(
        method="PUT",
        path="/counselings/{id}/cancel",
        handler=cancel_counseling,
        summary="Cancel a counselling",
        tag="Counselling",
        done="The counselling, now cancelled.",
        message="Counseling cancelled successfully",
        body=schemas.CancelRequest,
        data=schemas.CounselingAnswer,
        errors=(ErrorCode.FORBIDDEN, ErrorCode.ILLEGAL_TRANSITION),
    ),
)

"""/counselings: book, cancel, look."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from handlers import schemas
from handlers.api import cursors
from handlers.api.idempotency import once
from handlers.api.presenters import counseling_json, listed_counseling_json
from handlers.api.selection import read_part
from handlers.http.routing import Answer, Call, Route
from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain import permissions
from rdchat.domain.booking import DEFAULT_TIMEZONE, ByInstants
from rdchat.domain.counseling import Booking
from rdchat.domain.operator_action import ActionKind, SubjectType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rdchat.domain.counseling import Counseling


async def book_counseling(call: Call) -> Answer:
    """Book a counselling; with method chat, its session is created as pending and its timers are set."""

    async def book(counseling_id: UUID, again: bool) -> Answer:  # noqa: FBT001 - as `once` calls it
        find = partial(call.runtime.counselings.find_booked, call.caller, counseling_id)
        counseling = await find() if again else None
        if counseling is None:
            try:
                counseling = await _book(call, counseling_id)
            except RdchatError:
                # On a connection that was lost, it may have been booked at this very moment.
                counseling = await find() if again else None
                if counseling is None:
                    raise
        return Answer(_booked(call, counseling), "Counseling booked successfully", 201)

    async def present(answered: Any) -> Any:  # noqa: ANN401 - JSON
        counseling = await call.runtime.counselings.find_booked(call.caller, UUID(answered["id"]))
        return answered if counseling is None else _booked(call, counseling)

    return await once(call, book, present)


def _booked(call: Call, counseling: Counseling) -> dict[str, Any]:
    ics = call.runtime.calendars.write_one(call.caller, counseling)
    return counseling_json(counseling, call.caller.id) | {"ics": ics}


async def _book(call: Call, counseling_id: UUID) -> Counseling:
    wanted = dict(call.body)
    times, timezone = wanted.pop("times"), wanted.pop("timezone")
    # Wall times without a zone are those of the default one, and are read in the client's own if it is known.
    own = timezone if timezone is not None else call.caller.timezone or DEFAULT_TIMEZONE
    agreed = own if timezone is not None or isinstance(times, ByInstants) else DEFAULT_TIMEZONE
    # What is left of the request has the names of the booking's own fields.
    booking = Booking(
        client_id=call.caller.id,
        slot=call.runtime.counselings.make_slot(times, agreed),
        client_timezone=own,
        organization_id=call.caller.organization_id,
        **wanted,
    )
    return await call.runtime.counselings.book(call.caller, booking, counseling_id=counseling_id)


async def reschedule_counseling(call: Call) -> Answer:
    """Move a counselling that has not begun; its session and its timers move with it.

    To the time that it has, nothing happens, and no one is told.
    """

    async def reschedule(command_id: UUID, again: bool) -> Answer:  # noqa: FBT001 - as `once` calls it
        runtime = call.runtime
        booked = await runtime.counselings.get_counseling(call.caller, call.path["id"], to_change=True)
        session_id = booked.session_id
        if (
            again
            and session_id is not None
            and await runtime.rescheduling.find_committed(session_id, command_id)
        ):
            moved = await runtime.counselings.get_counseling(call.caller, booked.id)
        else:
            said = call.body["timezone"]
            timezone = said if said is not None else booked.timezone_of(call.caller.id)
            slot = runtime.counselings.make_slot(call.body["times"], timezone)
            moved = await runtime.rescheduling.reschedule(call.caller, booked, slot, command_id=command_id)
        return Answer(counseling_json(moved, call.caller.id), "Counseling rescheduled successfully")

    async def present(_answered: Any) -> Any:  # noqa: ANN401 - JSON
        moved = await call.runtime.counselings.get_counseling(call.caller, call.path["id"])
        return counseling_json(moved, call.caller.id)

    return await once(call, reschedule, present)


async def list_counselings(call: Call) -> Answer:
    """List counsellings, latest start first: one's own, or as one who oversees them those of others.

    Administrators see all, supervisors those of their organisation: how they stand, never what was written.
    """
    asked = call.query
    runtime = call.runtime
    service = runtime.oversight if permissions.is_overseer(call.caller) else runtime.counselings
    found = await service.list_counselings(call.caller, read_part(asked, cursors.COUNSELINGS))
    shown, following = cursors.cut(
        found, asked["limit"], cursors.COUNSELINGS, lambda one: (one.slot.starts_at, one.id)
    )
    reasons = await runtime.counselings.get_cancel_reasons(call.caller, shown)
    return Answer(
        {
            "data": [_listed(call, one, reasons) for one in shown],
            "nextCursor": following,
        },
        "Counselings retrieved successfully",
    )


async def get_counseling(call: Call) -> Answer:
    """Look at one counselling."""
    found = await call.runtime.counselings.get_counseling(call.caller, call.path["id"])
    notes = await call.runtime.counselings.get_notes(call.caller, found)
    reasons = await call.runtime.counselings.get_cancel_reasons(call.caller, [found])
    ics = call.runtime.calendars.write_one(call.caller, found)
    shown = _listed(call, found, reasons) | {"notes": notes, "ics": ics}
    return Answer(shown, "Counseling retrieved successfully")


def _listed(call: Call, counseling: Counseling, reasons: Mapping[UUID, str]) -> dict[str, Any]:
    return listed_counseling_json(counseling, call.caller.id, reasons.get(counseling.id))


async def cancel_counseling(call: Call) -> Answer:
    """Cancel a counselling that is not over; its session ends with it, and its timers are removed.

    One that was cancelled by a person may be cancelled again: nothing happens, and the first reason stays.
    """
    cancelled = await call.runtime.counselings.cancel(call.caller, call.path["id"], call.body["reason"])
    return Answer(counseling_json(cancelled, call.caller.id), "Counseling cancelled successfully")


ROUTES = (
    Route(
        method="POST",
        path="/counselings/book",
        handler=book_counseling,
        summary="Book a counselling",
        tag="Counselling",
        done="The counselling, booked; with method `chat`, it has a pending session.",
        message="Counseling booked successfully",
        roles=permissions.BOOKERS,
        body=schemas.BookRequest,
        data=schemas.BookedCounseling,
        rate="booking",
        idempotent=True,
        status=201,
        errors=(
            ErrorCode.TOO_LATE,
            ErrorCode.PENDING_LIMIT,
            ErrorCode.CLIENT_LIMIT,
            ErrorCode.PSYCHOLOGIST_LIMIT,
            ErrorCode.NO_PSYCHOLOGIST,
        ),
    ),
    Route(
        method="GET",
        path="/counselings",
        handler=list_counselings,
        summary="List counsellings",
        tag="Counselling",
        done="The counsellings of the page.",
        message="Counselings retrieved successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
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
        roles=permissions.EVERYONE_SIGNED_IN,
        data=schemas.CounselingWithNotes,
        errors=(ErrorCode.FORBIDDEN,),
    ),
    Route(
        method="PUT",
        path="/counselings/{id}/reschedule",
        handler=reschedule_counseling,
        summary="Move a counselling",
        tag="Counselling",
        recorded=(ActionKind.RESCHEDULE_COUNSELING, SubjectType.COUNSELING),
        done="The counselling, at its new time.",
        message="Counseling rescheduled successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        body=schemas.RescheduleRequest,
        data=schemas.CounselingAnswer,
        rate="booking",
        idempotent=True,
        errors=(
            ErrorCode.FORBIDDEN,
            ErrorCode.ILLEGAL_TRANSITION,
            ErrorCode.TOO_LATE,
            ErrorCode.CLIENT_LIMIT,
            ErrorCode.PSYCHOLOGIST_LIMIT,
            ErrorCode.NO_PSYCHOLOGIST,
        ),
    ),
    Route(
        method="PUT",
        path="/counselings/{id}/cancel",
        handler=cancel_counseling,
        summary="Cancel a counselling",
        tag="Counselling",
        recorded=(ActionKind.CANCEL_COUNSELING, SubjectType.COUNSELING),
        done="The counselling, now cancelled.",
        message="Counseling cancelled successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        body=schemas.CancelRequest,
        data=schemas.CounselingAnswer,
        errors=(ErrorCode.FORBIDDEN, ErrorCode.ILLEGAL_TRANSITION, ErrorCode.TOO_LATE),
    ),
)

"""/psychologists: who can be booked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handlers import schemas
from handlers.api import cursors
from handlers.api.presenters import affected_json
from handlers.http.routing import Answer, Call, Route
from rdchat.common.errors import ErrorCode
from rdchat.domain import permissions
from rdchat.domain.booking import ByClock
from rdchat.domain.operator_action import ActionKind, SubjectType

if TYPE_CHECKING:
    from rdchat.domain.counseling import Counseling
    from rdchat.domain.person import Psychologist


async def list_psychologists(call: Call) -> Answer:
    """List the psychologists that can be booked, by name; with date and times, those who can be then."""
    wanted, service = call.query, call.runtime.psychologists
    limit, of = wanted["limit"], cursors.PSYCHOLOGISTS
    after = cursors.read_name(wanted["cursor"], of)
    if wanted["date"] is None:
        found = await service.list_psychologists(after=after, limit=limit + 1)
    else:
        times = ByClock(wanted["date"], wanted["start_time"], wanted["end_time"])
        slot = call.runtime.counselings.make_slot(times, wanted["timezone"])
        found = await call.runtime.slots.list_free_psychologists(
            call.caller, slot, after=after, limit=limit + 1
        )
    shown, following = cursors.cut(found, limit, of, lambda one: (one.full_name, one.id))
    return Answer(
        {"data": [_psychologist_json(one) for one in shown], "nextCursor": following},
        "Psychologists retrieved successfully",
    )


async def get_psychologist(call: Call) -> Answer:
    """Look at one psychologist."""
    found = await call.runtime.psychologists.get_psychologist(call.path["id"])
    return Answer(_psychologist_json(found), "Psychologist retrieved successfully")


async def put_psychologist(call: Call) -> Answer:
    """Create or change a psychologist. What is left out stays, and the same again changes nothing.

    What they have ahead and cannot keep stays booked, and is `affected`: hand it over, move or cancel it.
    Those who were to meet are told once, when it ceases to fit. A person who is known as a client cannot
    become a psychologist.
    """
    saved, created, affected = await call.runtime.psychologists.save_psychologist(
        call.caller,
        call.path["id"],
        full_name=call.body.get("full_name"),
        timezone=call.body.get("timezone"),
        is_active=call.body.get("is_active"),
    )
    shown = _psychologist_json(saved) | {"affected": show_affected(call, affected)}
    return Answer(shown, "Psychologist saved successfully", 201 if created else 200)


def show_affected(call: Call, affected: list[Counseling]) -> list[dict[str, Any]]:
    """Show the counsellings that no longer fit, as far as the caller may see them."""
    return [affected_json(one, with_client=permissions.may_see_state(call.caller, one)) for one in affected]


def _psychologist_json(psychologist: Psychologist) -> dict[str, Any]:
    return {
        "id": str(psychologist.id),
        "fullName": psychologist.full_name,
        "timezone": psychologist.timezone,
        "isActive": psychologist.is_active,
    }


ROUTES = (
    Route(
        method="GET",
        path="/psychologists",
        handler=list_psychologists,
        summary="List psychologists",
        tag="Psychologists",
        done="The psychologists of the page.",
        message="Psychologists retrieved successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        query=schemas.PsychologistsQuery,
        data=schemas.PsychologistsAnswer,
    ),
    Route(
        method="GET",
        path="/psychologists/{id}",
        handler=get_psychologist,
        summary="Look at a psychologist",
        tag="Psychologists",
        done="The psychologist.",
        message="Psychologist retrieved successfully",
        roles=permissions.EVERYONE_SIGNED_IN,
        data=schemas.PsychologistAnswer,
    ),
    Route(
        method="PUT",
        path="/psychologists/{id}",
        handler=put_psychologist,
        summary="Create or change a psychologist",
        tag="Psychologists",
        recorded=(ActionKind.SAVE_PSYCHOLOGIST, SubjectType.PSYCHOLOGIST),
        done="The psychologist, changed.",
        message="Psychologist saved successfully",
        roles=permissions.ADMINISTRATORS,
        body=schemas.PsychologistRequest,
        data=schemas.SavedPsychologist,
        also=((201, "The psychologist, created."),),
        errors=(ErrorCode.ILLEGAL_TRANSITION,),
    ),
)

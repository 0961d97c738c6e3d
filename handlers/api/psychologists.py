"""/psychologists: who can be booked."""

from __future__ import annotations

from handlers import schemas
from handlers.api.presenters import psychologist_json
from handlers.http.routing import Answer, Call, Route
from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain import booking
from rdchat.domain.person import Role, clean_name
from rdchat.postgres import availability, people


async def list_psychologists(call: Call) -> Answer:
    """List the psychologists that can be booked; with a date and times, those who can be booked then."""
    wanted = call.query
    if wanted["date"] is None:
        found = await people.list_psychologists(call.runtime.pool)
    else:
        limits = call.runtime.limits
        slot = booking.slot(
            wanted["date"],
            wanted["start_time"],
            wanted["end_time"],
            wanted["timezone"],
            limits=limits,
            now=call.runtime.clock.now(),
        )
        found = await availability.list_free_psychologists(call.runtime.pool, slot, limits)
    return Answer([psychologist_json(one) for one in found], "Psychologists retrieved successfully")


async def get_psychologist(call: Call) -> Answer:
    """Look at one psychologist."""
    found = await people.get_psychologist(call.runtime.pool, call.path["id"])
    if found is None:
        raise RdchatError(ErrorCode.NOT_FOUND, "Psychologist not found")
    return Answer(psychologist_json(found), "Psychologist retrieved successfully")


async def put_psychologist(call: Call) -> Answer:
    """Create or change a psychologist."""
    booking.zone(call.body["timezone"])
    saved, created = await people.put_psychologist(
        call.runtime.pool,
        call.path["id"],
        full_name=clean_name(call.body["full_name"]),
        timezone=call.body["timezone"],
        is_active=call.body["is_active"],
        at=call.runtime.clock.now(),
    )
    return Answer(psychologist_json(saved), "Psychologist saved successfully", 201 if created else 200)


ROUTES = (
    Route(
        method="GET",
        path="/psychologists",
        handler=list_psychologists,
        summary="List psychologists",
        tag="Psychologists",
        done="The psychologists, by name.",
        message="Psychologists retrieved successfully",
        query=schemas.PsychologistsQuery,
        data=schemas.PsychologistAnswer,
        many=True,
    ),
    Route(
        method="GET",
        path="/psychologists/{id}",
        handler=get_psychologist,
        summary="Look at a psychologist",
        tag="Psychologists",
        done="The psychologist.",
        message="Psychologist retrieved successfully",
        data=schemas.PsychologistAnswer,
    ),
    Route(
        method="PUT",
        path="/psychologists/{id}",
        handler=put_psychologist,
        summary="Create or change a psychologist",
        tag="Psychologists",
        done="The psychologist, changed.",
        message="Psychologist saved successfully",
        roles=frozenset({Role.SUPER_ADMIN}),
        body=schemas.PsychologistRequest,
        data=schemas.PsychologistAnswer,
        also=((201, "The psychologist, created."),),
    ),
)

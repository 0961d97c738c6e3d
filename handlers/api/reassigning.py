"""/counselings/{id}/reassign: give a counselling to another psychologist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handlers import schemas
from handlers.api.idempotency import once
from handlers.api.presenters import counseling_json
from handlers.http.routing import Answer, Call, Route
from rdchat.common.errors import ErrorCode
from rdchat.domain import permissions
from rdchat.domain.operator_action import ActionKind, SubjectType

if TYPE_CHECKING:
    from uuid import UUID


async def reassign_counseling(call: Call) -> Answer:
    """Hand a counselling that has not begun over to another psychologist, at the time that it has.

    Psychologists hand over their own, supervisors those of their organisation, administrators any. The client
    and both psychologists are told, but not the one who does it. The one who had it takes no part any more.
    To the one who has it, nothing happens.
    """
    service, counseling_id = call.runtime.reassigning, call.path["id"]

    async def reassign(command_id: UUID, again: bool) -> Answer:  # noqa: FBT001 - as `once` calls it
        done = await service.find_reassigned(counseling_id, command_id) if again else None
        if done is None:
            done = await service.reassign(
                call.caller, counseling_id, call.body["psychologist_id"], command_id=command_id
            )
        return Answer(counseling_json(done, call.caller.id), "Counseling reassigned successfully")

    async def present(answered: Any) -> Any:  # noqa: ANN401 - JSON
        # Who has handed it over is not shown what becomes of it.
        counseling = await call.runtime.counselings.find_visible(call.caller, counseling_id)
        return answered if counseling is None else counseling_json(counseling, call.caller.id)

    return await once(call, reassign, present)


ROUTES = (
    Route(
        method="PUT",
        path="/counselings/{id}/reassign",
        handler=reassign_counseling,
        summary="Hand a counselling over",
        tag="Counselling",
        recorded=(ActionKind.REASSIGN_COUNSELING, SubjectType.COUNSELING),
        done="The counselling, with its new psychologist.",
        message="Counseling reassigned successfully",
        roles=permissions.REASSIGNERS,
        body=schemas.ReassignRequest,
        data=schemas.CounselingAnswer,
        rate="booking",
        idempotent=True,
        errors=(
            ErrorCode.NOT_PARTICIPANT,
            ErrorCode.ILLEGAL_TRANSITION,
            ErrorCode.PSYCHOLOGIST_LIMIT,
            ErrorCode.NO_PSYCHOLOGIST,
        ),
    ),
)

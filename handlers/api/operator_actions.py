"""/operations/actions: what those have changed who run the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handlers import schemas
from handlers.api import cursors
from handlers.http.routing import Answer, Call, Route
from rdchat.common.clock import iso
from rdchat.domain import permissions

if TYPE_CHECKING:
    from rdchat.domain.operator_action import OperatorAction


async def list_operator_actions(call: Call) -> Answer:
    """List what administrators and supervisors have changed, latest first: over HTTP, or by commands."""
    limit, of = call.query["limit"], cursors.OPERATOR_ACTIONS
    found = await call.runtime.operator_log.list_actions(
        before=cursors.read(call.query["cursor"], of), limit=limit + 1
    )
    shown, following = cursors.cut(found, limit, of, lambda one: (one.at, one.id))
    return Answer(
        {"data": [_action_json(one) for one in shown], "nextCursor": following},
        "Actions retrieved successfully",
    )


def _action_json(action: OperatorAction) -> dict[str, Any]:
    return {
        "id": str(action.id),
        "at": iso(action.at),
        "actor": (
            {"id": str(action.actor_id), "fullName": action.actor_name or ""}
            if action.actor_id is not None
            else None
        ),
        "action": action.action,
        "subject": {"type": action.subject.type.value, "id": str(action.subject.id)},
        "detail": action.detail,
        "outcome": action.outcome,
        "requestId": action.request_id,
    }


ROUTES = (
    Route(
        method="GET",
        path="/operations/actions",
        handler=list_operator_actions,
        summary="List what operators have changed",
        tag="Operations",
        done="The actions of the page.",
        message="Actions retrieved successfully",
        roles=permissions.ADMINISTRATORS,
        query=schemas.PageQuery,
        data=schemas.OperatorActionsAnswer,
    ),
)

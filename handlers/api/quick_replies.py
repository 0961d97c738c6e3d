"""/quick-replies: what psychologists say again and again, each their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handlers import schemas
from handlers.api.idempotency import once
from handlers.http.routing import Answer, Call, Route
from rdchat.common.clock import iso
from rdchat.common.errors import ErrorCode
from rdchat.domain import permissions

if TYPE_CHECKING:
    from uuid import UUID

    from rdchat.domain.quick_reply import QuickReply


async def list_quick_replies(call: Call) -> Answer:
    """List one's own quick replies, in one's own order."""
    found = await call.runtime.quick_replies.list_quick_replies(call.caller)
    return Answer([_quick_reply_json(one) for one in found], "Quick replies retrieved successfully")


async def create_quick_reply(call: Call) -> Answer:
    """Keep a quick reply, as the last of at most fifty."""

    async def create(reply_id: UUID, _again: bool) -> Answer:  # noqa: FBT001 - as `once` calls it
        added = await call.runtime.quick_replies.add_quick_reply(call.caller, reply_id=reply_id, **call.body)
        return Answer(_quick_reply_json(added), "Quick reply created successfully", 201)

    return await once(call, create)


async def put_quick_reply(call: Call) -> Answer:
    """Change a quick reply, or its place. What is left out stays, and the same again changes nothing."""
    changed = await call.runtime.quick_replies.change_quick_reply(
        call.caller,
        call.path["id"],
        title=call.body.get("title"),
        text=call.body.get("text"),
        position=call.body.get("position"),
    )
    return Answer(_quick_reply_json(changed), "Quick reply saved successfully")


async def delete_quick_reply(call: Call) -> Answer:
    """Delete a quick reply. Again, and of one that is not the caller's, nothing happens."""
    deleted = await call.runtime.quick_replies.delete_quick_reply(call.caller, call.path["id"])
    return Answer({"deleted": deleted}, "Quick reply deleted successfully")


def _quick_reply_json(one: QuickReply) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "title": one.title,
        "text": one.text,
        "position": one.position,
        "createdAt": iso(one.created_at),
        "updatedAt": iso(one.updated_at),
    }


ROUTES = (
    Route(
        method="GET",
        path="/quick-replies",
        handler=list_quick_replies,
        summary="List quick replies",
        tag="Desk",
        done="All of them, in order.",
        message="Quick replies retrieved successfully",
        roles=permissions.PSYCHOLOGISTS,
        data=schemas.QuickReplyAnswer,
        many=True,
    ),
    Route(
        method="POST",
        path="/quick-replies",
        handler=create_quick_reply,
        summary="Keep a quick reply",
        tag="Desk",
        done="The quick reply.",
        message="Quick reply created successfully",
        roles=permissions.PSYCHOLOGISTS,
        body=schemas.QuickReplyRequest,
        data=schemas.QuickReplyAnswer,
        idempotent=True,
        status=201,
        errors=(ErrorCode.QUICK_REPLY_LIMIT,),
    ),
    Route(
        method="PUT",
        path="/quick-replies/{id}",
        handler=put_quick_reply,
        summary="Change a quick reply",
        tag="Desk",
        done="The quick reply, changed.",
        message="Quick reply saved successfully",
        roles=permissions.PSYCHOLOGISTS,
        body=schemas.QuickReplyChangeRequest,
        data=schemas.QuickReplyAnswer,
    ),
    Route(
        method="DELETE",
        path="/quick-replies/{id}",
        handler=delete_quick_reply,
        summary="Delete a quick reply",
        tag="Desk",
        done="It is not there any more.",
        message="Quick reply deleted successfully",
        roles=permissions.PSYCHOLOGISTS,
        data=schemas.QuickReplyDeletedAnswer,
    ),
)

"""/people: who may call at all, whatever their tokens say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handlers import schemas
from handlers.api.psychologists import show_affected
from handlers.http.routing import Answer, Call, Route
from rdchat.common.clock import iso
from rdchat.common.errors import ErrorCode
from rdchat.domain import permissions
from rdchat.domain.operator_action import ActionKind, SubjectType
from rdchat.domain.person import Role
from rdchat.services.access_control import RoleChange

if TYPE_CHECKING:
    from rdchat.domain.access_rule import AccessRule


async def put_person(call: Call) -> Answer:
    """Deactivate a person, let them in again, or fix their role. What is left out stays.

    It holds within a second on all replicas, whatever their tokens say, and cuts their connections to Ably.
    One who is deactivated is answered 403; tokens that say another role than a fixed one are as well.
    Whether they were ever seen does not matter. A psychologist is not booked any more either: what they have
    ahead stays booked, and is `affected`. Activated again, they are booked once that is said of them as a
    psychologist.
    """
    body = call.body
    rule, affected = await call.runtime.access_control.save_person(
        call.caller,
        call.path["id"],
        is_active=body.get("is_active"),
        role=_role_change(body["role"]) if "role" in body else None,
    )
    shown = _person_json(rule) | {"affected": show_affected(call, affected)}
    return Answer(shown, "Person saved successfully")


async def revoke_tokens(call: Call) -> Answer:
    """Refuse all tokens of a person that were issued until now, within a second on all replicas.

    Their connections to Ably are cut, and their calendar link opens nothing any more. With a token that was
    issued later, they are let in: by the identity provider's clock, it may have to be of the next second.
    """
    rule = await call.runtime.access_control.revoke_tokens(call.caller, call.path["id"])
    return Answer(_person_json(rule), "Tokens revoked successfully")


def _role_change(text: str | None) -> RoleChange:
    return RoleChange(Role(text) if text is not None else None)


def _person_json(rule: AccessRule) -> dict[str, Any]:
    return {
        "id": str(rule.person_id),
        "isActive": rule.is_active,
        "role": rule.role if rule.role_is_fixed else None,
        "revokedAt": iso(rule.revoked_at) if rule.revoked_at is not None else None,
    }


ROUTES = (
    Route(
        method="PUT",
        path="/people/{id}",
        handler=put_person,
        summary="Deactivate a person, or fix their role",
        tag="Operations",
        recorded=(ActionKind.SAVE_PERSON, SubjectType.PERSON),
        done="What holds of the person.",
        message="Person saved successfully",
        roles=permissions.ADMINISTRATORS,
        body=schemas.PersonRequest,
        data=schemas.SavedPerson,
        errors=(ErrorCode.ILLEGAL_TRANSITION,),
    ),
    Route(
        method="POST",
        path="/people/{id}/revoke",
        handler=revoke_tokens,
        summary="Revoke a person's tokens",
        tag="Operations",
        recorded=(ActionKind.REVOKE_TOKENS, SubjectType.PERSON),
        done="What holds of the person.",
        message="Tokens revoked successfully",
        roles=permissions.ADMINISTRATORS,
        data=schemas.PersonAccess,
    ),
)

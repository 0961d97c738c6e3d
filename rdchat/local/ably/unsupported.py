"""What Ably's clients may ask for and this endpoint does not have: edits, annotations and LiveObjects.

It is refused as Ably refuses it where no rule of the channel's namespace allows it: 93002, with the texts of
<https://ably.com/docs/platform/errors/codes/93002-message-updates-not-enabled> and
<https://ably.com/docs/ai-transport/setup/channel-rules>. A capability that is missing comes first: 40160, or
40166 for anonymous clients, who own no messages (<https://ably.com/docs/platform/errors/codes>). LiveObjects
need no rule, so Ably has no code for their absence; 40021 is that of a feature that a platform does not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import AblyError, ErrorCode
from .grants import ANY_CLIENT
from .protocol import ANNOTATION_MODES, Flag, MessageAction

if TYPE_CHECKING:
    from .grants import Grant

# Appending is updating: https://ably.com/docs/messages/updates-deletes#append
_EDITS = {
    MessageAction.UPDATE: "message-update",
    MessageAction.APPEND: "message-update",
    MessageAction.DELETE: "message-delete",
}


def refuse_edits(body: object, grant: Grant, channel: str) -> None:
    """Raise AblyError when one of the messages published is to change another: 40160, 40166, 93002.

    Raise AblyError 40001 for an action that no client may ask for.
    """
    for item in body if isinstance(body, list) else [body]:
        action = item.get("action") if isinstance(item, dict) else None
        if action is not None and (type(action) is not int or action != MessageAction.CREATE):
            raise edit_refusal(action, grant, channel)


def edit_refusal(action: object, grant: Grant, channel: str) -> AblyError:
    """Return why a message may not be changed by that action."""
    operation = _EDITS.get(MessageAction(action)) if type(action) is int and action in _EDITS else None
    if operation is None:
        return AblyError(ErrorCode.INVALID_BODY, "invalid message action")
    if not grant.capability.permits(channel, f"{operation}-any"):
        if not grant.capability.permits(channel, f"{operation}-own"):
            return _not_permitted(f"{operation}-own or {operation}-any", channel)
        if grant.client_id in (None, ANY_CLIENT):
            return AblyError(
                ErrorCode.OWNS_NO_MESSAGES,
                f"anonymous clients require the '{operation}-any' capability (they cannot have own messages)",
                status=401,
            )
    return immutable_refusal()


def immutable_refusal() -> AblyError:
    """Return why messages have neither versions nor anything else that comes with edits."""
    return AblyError(
        ErrorCode.IMMUTABLE_MESSAGES,
        "can only update/delete/append messages on channels with mutableMessages enabled",
    )


def annotation_refusal(operation: str, grant: Grant, channel: str) -> AblyError:
    """Return why annotations may not be published, deleted, or read (`operation`: a capability)."""
    if not grant.capability.permits(channel, operation):
        return _not_permitted(operation, channel)
    return _no_annotations()


def objects_refusal(operation: str, grant: Grant, channel: str) -> AblyError:
    """Return why objects may not be changed, or read (`operation`: a capability)."""
    if not grant.capability.permits(channel, operation):
        return _not_permitted(operation, channel)
    return _no_objects()


def modes_refusal(modes: Flag) -> AblyError:
    """Return why a channel cannot be attached to in none but these modes."""
    return _no_annotations() if modes & ANNOTATION_MODES else _no_objects()


def _no_annotations() -> AblyError:
    return AblyError(
        ErrorCode.IMMUTABLE_MESSAGES,
        "annotations are only supported on channels with mutable messages enabled in channel namespace "
        "settings",
    )


def _no_objects() -> AblyError:
    return AblyError(
        ErrorCode.NOT_AVAILABLE, "LiveObjects are not available on the local endpoint", status=400
    )


def _not_permitted(operation: str, channel: str) -> AblyError:
    return AblyError(
        ErrorCode.NOT_PERMITTED, f"operation not permitted: {operation} on channel {channel}", status=401
    )

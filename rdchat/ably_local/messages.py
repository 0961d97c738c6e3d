"""Reading the messages that clients publish."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, cast

from .encoding import require_writable
from .errors import AblyError, ErrorCode
from .protocol import Message, PresenceAction

if TYPE_CHECKING:
    from .grants import Grant
    from .limits import Limits

_TEXT_FIELDS = ("id", "name", "clientId", "encoding")
_SERIES_ID = re.compile(r"(.+):(\d+)")


def read_messages(body: object, grant: Grant, limits: Limits, *, most: int | None = None) -> list[Message]:
    """Check one message or a list of them, as published in one call, and normalise them.

    `data` that is an object or a list becomes its JSON text; `clientId` becomes what `grant` allows.
    Raises AblyError 40001 (shape), 40009 (size), 40012 (clientId), 40013 (data), 40031 (ids).
    """
    items = body if isinstance(body, list) else [body]
    if not items or (most is not None and len(items) > most):
        raise AblyError(ErrorCode.INVALID_BODY, "no messages, or too many")
    messages = [_read(item, grant) for item in items]
    if sum(map(payload_size, messages)) > limits.message_size:
        raise AblyError(
            ErrorCode.MESSAGE_TOO_LARGE,
            f"maximum size of one publish exceeded (limit {limits.message_size} bytes)",
        )
    _check_ids(messages)
    return messages


def read_presence(body: object, grant: Grant, client_id: str | None, limits: Limits) -> list[Message]:
    """Check the members of a PRESENCE frame; each gets an `action` and a `clientId`.

    Raises AblyError 40012 for a member without a clientId, else as `read_messages`.
    """
    if not isinstance(body, list) or not body:
        raise AblyError(ErrorCode.INVALID_BODY, "presence must be a list")
    messages = []
    for item in body:
        message = _read(item, grant)
        action = item.get("action")
        if action not in (PresenceAction.ENTER, PresenceAction.UPDATE, PresenceAction.LEAVE):
            raise AblyError(ErrorCode.INVALID_BODY, "invalid presence action")
        message["action"] = int(action)
        member = message.get("clientId") or client_id
        if member is None:
            raise AblyError(ErrorCode.INVALID_CLIENT_ID, "presence needs a clientId")
        message["clientId"] = member
        messages.append(message)
    if sum(map(payload_size, messages)) > limits.message_size:
        raise AblyError(ErrorCode.MESSAGE_TOO_LARGE, "maximum size of one publish exceeded")
    return messages


def series_base(message_id: str) -> str:
    """Return the part that the ids of one publish share: `base` of `base:0`, or the whole of any other id."""
    match = _SERIES_ID.fullmatch(message_id)
    return match[1] if match else message_id


def _read(item: object, grant: Grant) -> Message:
    if not isinstance(item, dict):
        raise AblyError(ErrorCode.INVALID_BODY, "a message must be an object")
    message = cast("Message", {field: item[field] for field in _TEXT_FIELDS if item.get(field) is not None})
    if not all(isinstance(value, str) for value in message.values()):
        raise AblyError(ErrorCode.INVALID_BODY, "id, name, clientId and encoding must be text")
    if message.get("id") == "":
        del message["id"]
    _read_data(message, item.get("data"))
    extras = item.get("extras")
    if extras is not None:
        if not isinstance(extras, dict):
            raise AblyError(ErrorCode.INVALID_BODY, "extras must be an object")
        require_writable(extras)
        message["extras"] = extras
    client_id = grant.speak_for(message.get("clientId"))
    if client_id is not None:
        message["clientId"] = client_id
    return message


def _read_data(message: Message, data: object) -> None:
    if data is None:
        return
    if isinstance(data, str | bytes):
        message["data"] = data
    elif isinstance(data, dict | list):
        try:
            message["data"] = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise _invalid_data() from error
        message["encoding"] = "/".join(filter(None, [message.get("encoding"), "json"]))
    else:
        raise _invalid_data()


def payload_size(message: Message) -> int:
    """Count the bytes that matter against the limit of a publish: name, clientId, data and extras."""
    data = message.get("data", "")
    size = len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode())
    size += len(message.get("name", "")) + len(message.get("clientId", ""))
    if "extras" in message:
        size += len(json.dumps(message["extras"]))
    return size


def _check_ids(messages: list[Message]) -> None:
    """Several messages with ids of the client's must be `base:0`, `base:1`, ...: the real service insists."""
    ids = [message.get("id") for message in messages]
    if len(ids) == 1 or not any(ids):
        return
    bases = set()
    for index, message_id in enumerate(ids):
        match = _SERIES_ID.fullmatch(message_id or "")
        if match is None or int(match[2]) != index:
            raise AblyError(ErrorCode.INVALID_MESSAGE_ID, "ids of one publish must be base:0, base:1, ...")
        bases.add(match[1])
    if len(bases) > 1:
        raise AblyError(ErrorCode.INVALID_MESSAGE_ID, "ids of one publish must share their base")


def _invalid_data() -> AblyError:
    return AblyError(ErrorCode.INVALID_DATA, "data must be text, bytes, an object or a list")

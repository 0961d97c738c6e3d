"""Reading the messages that clients publish."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, cast

from .encoding import encode, require_writable
from .errors import AblyError, ErrorCode
from .protocol import Format, Message, PresenceAction

if TYPE_CHECKING:
    from .grants import Grant
    from .limits import Limits

# What must be text, and the code with which Ably refuses what is not.
_TEXT_FIELDS = {
    "id": ErrorCode.INVALID_MESSAGE_ID,
    "name": ErrorCode.INVALID_NAME,
    "clientId": ErrorCode.INVALID_CLIENT_ID,
    "encoding": ErrorCode.INVALID_DATA,
}
_EXTRAS = frozenset({"headers", "push", "ref", "ephemeral", "privileged", "echo", "delta"})
_SERIES_ID = re.compile(r"(.+):(\d{1,9})", re.ASCII | re.DOTALL)


def read_messages(body: object, grant: Grant, limits: Limits) -> list[Message]:
    """Check one message or a list of them, as published in one call, and normalise them.

    `data` that is an object or a list becomes its JSON text; `clientId` becomes what `grant` allows.
    Raise AblyError 40001 (shape), 40009 (size), 40012 (clientId), 40013 (data), 40016 (name), 40031 (ids),
    40032 (extras), 40034 (too many).
    """
    items = body if isinstance(body, list) else [body]
    if not items:
        raise AblyError(ErrorCode.INVALID_BODY, "no messages")
    if len(items) > limits.publish_messages:
        raise AblyError(
            ErrorCode.TOO_MANY_MESSAGES, f"more than {limits.publish_messages} messages in one publish"
        )
    messages = [_read(item, grant) for item in items]
    _check_size(messages, limits)
    _check_ids(messages)
    return messages


def read_presence(body: object, grant: Grant, client_id: str | None, limits: Limits) -> list[Message]:
    """Check the members of a PRESENCE frame; each gets an `action` and a `clientId`.

    Raise AblyError 91000 for a member without a clientId, else as `read_messages`.
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
            raise AblyError(ErrorCode.NO_CLIENT_ID, "unable to enter presence channel (no clientId)")
        message["clientId"] = member
        messages.append(message)
    _check_size(messages, limits)
    return messages


def _read(item: object, grant: Grant) -> Message:
    if not isinstance(item, dict):
        raise AblyError(ErrorCode.INVALID_BODY, "a message must be an object")
    message = cast("Message", {})
    for field, code in _TEXT_FIELDS.items():
        value = item.get(field)
        if value is None:
            continue
        if not isinstance(value, str):
            raise AblyError(code, f"{field} must be text")
        message[field] = value  # type: ignore[literal-required]
    if message.get("id") == "":
        raise AblyError(ErrorCode.INVALID_MESSAGE_ID, "an id given by the client must not be empty")
    _read_data(message, item.get("data"))
    if item.get("extras") is not None:
        message["extras"] = _read_extras(item["extras"])
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


def _read_extras(extras: object) -> dict[str, object]:
    if not isinstance(extras, dict):
        raise AblyError(ErrorCode.INVALID_EXTRAS, "extras must be an object")
    unknown = sorted(map(str, extras.keys() - _EXTRAS))
    if unknown:
        raise AblyError(
            ErrorCode.INVALID_EXTRAS, f"message has impermissible extras fields: {', '.join(unknown)}"
        )
    headers = extras.get("headers", {})
    flat = isinstance(headers, dict) and not any(isinstance(one, dict | list) for one in headers.values())
    if not flat:
        raise AblyError(ErrorCode.INVALID_EXTRAS, "extras.headers must be a flat object")
    try:
        require_writable(extras)
    except AblyError as error:
        raise AblyError(ErrorCode.INVALID_EXTRAS, "extras are no JSON, or nested too deeply") from error
    return extras


def payload_size(message: Message) -> int:
    """Count the bytes that matter against the limit of a publish: name, clientId, data and extras.

    Bytes that came as base64 count as bytes; https://ably.com/docs/platform/pricing/limits.
    """
    data = message.get("data", "")
    if isinstance(data, bytes):
        size = len(data)
    elif message.get("encoding", "").endswith("base64"):
        size = len(data) * 3 // 4 - data[-2:].count("=")
    else:
        size = _utf8_length(data)
    size += _utf8_length(message.get("name", "")) + _utf8_length(message.get("clientId", ""))
    if "extras" in message:
        size += len(encode(message["extras"], Format.JSON))
    return size


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _check_size(messages: list[Message], limits: Limits) -> None:
    size = sum(map(payload_size, messages))
    if size > limits.message_size:
        raise AblyError(
            ErrorCode.MESSAGE_TOO_LARGE,
            f"maximum message length exceeded (size was {size} bytes, limit is {limits.message_size} bytes)",
            status=413,
        )


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

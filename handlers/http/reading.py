"""What a request says, read and loaded: its query, and a body of JSON."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from aiohttp import web
from marshmallow import EXCLUDE, ValidationError

from handlers.http import strict_json
from rdchat.common.errors import ErrorCode, RdchatError, invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marshmallow import Schema

    from handlers.http.incoming import Incoming

#: Bodies are small. A client that takes longer has gone, or wants to hold connections open.
_BODY_SECONDS: Final = 10
#: The longest body of nearly all routes is a message of 4,096 characters, escaped in the longest way.
LARGEST_BODY: Final = 64 * 1024
REASON_HEADER: Final = "Audit-Reason"
LONGEST_REASON: Final = 500


def read_reason(headers: Mapping[str, str]) -> str | None:
    """Return why an operator does something, if they say so: in `Audit-Reason`, UTF-8 percent-encoded.

    Raise RdchatError (VALIDATION_FAILED).
    """
    given = headers.get(REASON_HEADER)
    if given is None:
        return None
    if not 0 < len(given) <= LONGEST_REASON or not given.isascii() or not given.isprintable():
        raise invalid(REASON_HEADER, f"Must be 1 to {LONGEST_REASON} characters of ASCII, percent-encoded.")
    return "".join(char if char.isprintable() else " " for char in unquote(given)).strip() or None


def load_query(schema: Schema | None, incoming: Incoming) -> dict[str, Any]:
    """Load a query by its schema. Raise RdchatError (VALIDATION_FAILED)."""
    if schema is None and not incoming.has_query:
        return {}
    given: dict[str, str] = {}
    heeded = None
    if schema is not None and schema.unknown == EXCLUDE:
        heeded = {field.data_key or name for name, field in schema.fields.items()}
    for name, value in incoming.query.items():
        if heeded is not None and name not in heeded:
            continue
        if name in given:
            raise RdchatError(ErrorCode.VALIDATION_FAILED, fields={name: ["Given twice."]})
        if "\x00" in value or not value.isprintable():
            raise RdchatError(ErrorCode.VALIDATION_FAILED, fields={name: ["Not a valid text."]})
        given[name] = value
    if schema is None:
        if given:
            raise RdchatError(
                ErrorCode.VALIDATION_FAILED, fields={name: ["Unknown field."] for name in given}
            )
        return {}
    return load_checked(schema.load, given)


async def _read(incoming: Incoming, largest: int) -> bytes:
    headers = incoming.headers
    if "Content-Encoding" in headers and headers["Content-Encoding"].lower() != "identity":
        raise invalid("body", "Must not be compressed.")
    if incoming.content.is_eof():
        # All of it is there already, as nearly always: nothing to wait for.
        raw = incoming.content.read_nowait()
        if len(raw) > largest:
            raise web.HTTPRequestEntityTooLarge(largest)
    else:
        raw = await _read_slowly(incoming, largest)
    if headers.get("Content-Type") == "application/json":
        return raw
    content_type, charset = incoming.media_type
    is_json = content_type == "application/json" and charset in ("utf-8", "utf8", "us-ascii")
    if raw and "Content-Type" in headers and not is_json:
        raise invalid("body", "The header Content-Type must be application/json (UTF-8).")
    return raw


async def _read_slowly(incoming: Incoming, largest: int) -> bytes:
    request = incoming.web
    if request is None:
        raise RuntimeError("a request without all of its body came by the way for whole ones")
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.clone(client_max_size=largest).read()
    except TimeoutError as error:
        raise invalid("body", f"Must arrive within {_BODY_SECONDS} seconds.") from error
    except (web.RequestPayloadError, ConnectionError) as error:
        # Its sender has gone: no one reads this answer.
        raise invalid("body", "Is not complete.") from error


async def load_body(
    schema: Schema,
    load: Callable[[dict[str, Any]], dict[str, Any]],
    incoming: Incoming,
    *,
    largest: int = LARGEST_BODY,
) -> dict[str, Any]:
    """Read the body of a request, and load it; `load` is the schema's own way, or a quicker one.

    `largest` is how many bytes it may have. Raise RdchatError (VALIDATION_FAILED), or what aiohttp raises for
    a body that is larger.
    """
    raw = await _read(incoming, largest)
    try:
        body = (
            strict_json.loads(raw) if raw.strip() or any(f.required for f in schema.fields.values()) else {}
        )
    except strict_json.StrictJsonError as error:
        raise RdchatError(ErrorCode.VALIDATION_FAILED, fields={"body": [str(error)]}) from error
    if not isinstance(body, dict):
        raise RdchatError(ErrorCode.VALIDATION_FAILED, fields={"body": ["Must be a JSON object."]})
    return load_checked(load, body)


def load_checked(load: Callable[[dict[str, Any]], dict[str, Any]], given: dict[str, Any]) -> dict[str, Any]:
    """Load what was given. Raise RdchatError (VALIDATION_FAILED), which names each field that is wrong."""
    try:
        return load(given)
    except ValidationError as error:
        raise RdchatError(ErrorCode.VALIDATION_FAILED, fields=_flat(error.messages)) from error


def _flat(messages: Any) -> dict[str, list[str]]:  # noqa: ANN401 - marshmallow nests texts in any way
    fields = {}
    for name, texts in messages.items():
        fields[str(name)] = (
            [str(text) for text in texts]
            if isinstance(texts, list)
            else [text for nested in _flat(texts).values() for text in nested]
        )
    return fields

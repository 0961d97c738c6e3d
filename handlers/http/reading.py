"""What a request says, read and loaded: its query, and a body of JSON."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from marshmallow import EXCLUDE, ValidationError

from handlers.http import strict_json
from rdchat.common.errors import ErrorCode, RdchatError, invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from marshmallow import Schema

#: Bodies are small. A client that takes longer has gone, or wants to hold connections open.
_BODY_SECONDS: Final = 10


def load_query(schema: Schema | None, request: web.Request) -> dict[str, Any]:
    """Load a query by its schema. Raise RdchatError (VALIDATION_FAILED)."""
    given: dict[str, str] = {}
    heeded = None
    if schema is not None and schema.unknown == EXCLUDE:
        heeded = {field.data_key or name for name, field in schema.fields.items()}
    for name, value in request.query.items() if request.query_string else ():
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


async def _read(request: web.Request) -> bytes:
    headers = request.headers
    if "Content-Encoding" in headers and headers["Content-Encoding"].lower() != "identity":
        raise invalid("body", "Must not be compressed.")
    if request.content.is_eof():
        # All of it is there already, as nearly always: nothing to wait for.
        raw = request.content.read_nowait()
        if len(raw) > request.client_max_size:
            raise web.HTTPRequestEntityTooLarge(request.client_max_size)
    else:
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                raw = await request.read()
        except TimeoutError as error:
            raise invalid("body", f"Must arrive within {_BODY_SECONDS} seconds.") from error
        except (web.RequestPayloadError, ConnectionError) as error:
            # Its sender has gone: no one reads this answer.
            raise invalid("body", "Is not complete.") from error
    if headers.get("Content-Type") == "application/json":
        return raw
    content_type, charset = request.content_type, (request.charset or "utf-8").lower()
    is_json = content_type == "application/json" and charset in ("utf-8", "utf8", "us-ascii")
    if raw and "Content-Type" in request.headers and not is_json:
        raise invalid("body", "The header Content-Type must be application/json (UTF-8).")
    return raw


async def load_body(
    schema: Schema,
    load: Callable[[dict[str, Any]], dict[str, Any]],
    request: web.Request,
    *,
    largest: int | None = None,
) -> dict[str, Any]:
    """Read the body of a request, and load it; `load` is the schema's own way, or a quicker one.

    `largest` is how many bytes it may have, where that is not what the application says. Raise RdchatError
    (VALIDATION_FAILED).
    """
    if largest is not None:
        request = request.clone(client_max_size=largest)
    raw = await _read(request)
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

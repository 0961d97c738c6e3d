"""HTTP the way Ably's clients expect it: negotiated format, error form, CORS, envelope."""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import http_exceptions, web

from .encoding import decode, encode
from .errors import AblyError, ErrorCode
from .numerals import whole_number
from .protocol import Format

_log = logging.getLogger(__name__)

# The SDKs compare the type with exactly these: a charset behind it would make errors unreadable.
_CONTENT_TYPES = {Format.JSON: "application/json", Format.MSGPACK: "application/x-msgpack"}
_FORMATS = frozenset(fmt.value for fmt in Format)
_EXPOSED = "Link, X-Ably-Errorcode, X-Ably-Errormessage"
_HIGHEST_SUCCESS = 299
_CLIENT_GONE = 499  # as nginx has it
_NO_HEADER = re.compile(r"[^\x20-\x7e\xa0-\xff]")

#: The version that today's SDKs speak; the default for clients that name none.
LATEST_VERSION = 6

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def read_body(request: web.Request) -> object:
    """Decode the body: MessagePack when its type says so, else JSON. Raise AblyError 40001, 40009."""
    try:
        data = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise AblyError(ErrorCode.MESSAGE_TOO_LARGE, "request body too large", status=413) from error
    except (web.RequestPayloadError, http_exceptions.BadHttpMessage, zlib.error) as error:
        raise AblyError(ErrorCode.INVALID_BODY, "the body cannot be read") from error
    binary = request.content_type == _CONTENT_TYPES[Format.MSGPACK]
    return decode(data, Format.MSGPACK if binary else Format.JSON)


def respond(
    request: web.Request, body: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Answer in the format that the request accepts, wrapped in an envelope if it asks for that.

    Browsers ask so, by `envelope=json` or `envelope=msgpack`, for status and headers that they cannot read.
    """
    sent = dict(headers or {})
    fmt = accepted_format(request)
    if request.query.get("envelope") in _FORMATS:
        enveloped = {"statusCode": status, "headers": sent, "response": body}
        return _response(enveloped, fmt, 200, sent)
    return _response(body, fmt, status, sent)


def version(request: web.Request) -> int:
    """Return the version of the protocol that the request asks for: of its batches, mostly."""
    text = request.headers.get("X-Ably-Version") or request.query.get("v") or ""
    digits = text.partition(".")[0]
    number = whole_number(digits)
    return LATEST_VERSION if number is None else number


def accepted_format(request: web.Request) -> Format:
    """Return the format that the request names, by `envelope`, `format` or `Accept`: JSON if by none."""
    for parameter in ("envelope", "format"):
        named = request.query.get(parameter)
        if named in _FORMATS:
            return Format(named)
    asked = request.headers.get("Accept", "")
    return Format.MSGPACK if _CONTENT_TYPES[Format.MSGPACK] in asked else Format.JSON


@web.middleware
async def speak_ably(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every failure in Ably's form, and let browsers of any origin read the answers."""
    if request.method == "OPTIONS":
        response: web.StreamResponse = web.Response(status=204)
    else:
        try:
            response = await handler(request)
        except AblyError as error:
            response = refuse(request, error)
        except web.HTTPException as error:
            response = refuse(request, _from_aiohttp(request, error))
        except ConnectionError:
            # The client went away in the middle of it. No one reads this answer, nor need anyone read of it:
            # raised, it would be an error in aiohttp's log, with its traceback.
            response = web.Response(status=_CLIENT_GONE)
        except Exception:  # noqa: BLE001 - what a handler missed is logged, and answered like any failure
            _log.exception("a request could not be handled")
            response = refuse(request, AblyError(ErrorCode.INTERNAL, "internal error"))
    if not response.prepared:
        _allow_origin(request, response)
    return response


def _response(body: object, fmt: Format, status: int, headers: Mapping[str, str]) -> web.Response:
    return web.Response(
        body=encode(body, fmt), status=status, headers=headers, content_type=_CONTENT_TYPES[fmt]
    )


def refuse(request: web.Request, error: AblyError, **also: object) -> web.Response:
    """Answer a failure in Ably's form; `also` stands beside the error in the body."""
    # Header values are Latin-1 without controls; the full message is in the body.
    message = _NO_HEADER.sub("?", error.message)
    headers = {"X-Ably-Errorcode": str(error.code), "X-Ably-Errormessage": message}
    return respond(request, {"error": error.wire(), **also}, status=error.status, headers=headers)


def _from_aiohttp(request: web.Request, error: web.HTTPException) -> AblyError:
    if error.status <= _HIGHEST_SUCCESS:
        return AblyError(ErrorCode.INTERNAL, "internal error")
    if error.status == web.HTTPMethodNotAllowed.status_code:
        # To Ably a resource that has no such method is not there.
        error = web.HTTPNotFound()
    return AblyError(
        error.status * 100,
        f"{error.reason}: {request.method} {request.rel_url.raw_path}",
        status=error.status,
    )


def _allow_origin(request: web.Request, response: web.StreamResponse) -> None:
    origin = request.headers.get("Origin")
    if origin is None or not origin.isascii():
        return
    response.headers.update(
        {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Expose-Headers": _EXPOSED,
            "Vary": "Origin",
        }
    )
    if request.method == "OPTIONS":
        asked = request.headers.get("Access-Control-Request-Headers", "")
        response.headers.update(
            {
                "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
                "Access-Control-Allow-Headers": asked if asked.isascii() else "",
                "Access-Control-Max-Age": "86400",
            }
        )

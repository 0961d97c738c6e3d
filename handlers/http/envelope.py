"""The form of every answer, and what sees to it that nothing leaves in another one."""

from __future__ import annotations

import random
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import structlog
from aiohttp import web
from multidict import CIMultiDict

from handlers.http.compression import offer_gzip
from handlers.http.edge_headers import USUAL
from handlers.http.refusals import STATUSES, Refusals
from rdchat.common.errors import ERRORS, ErrorCode, RdchatError
from rdchat.common.json import as_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler
    from prometheus_client import Histogram

    from handlers.http.edge_headers import EdgeHeaders
    from rdchat.common.telemetry import Metrics

log = structlog.get_logger(__name__)

REQUEST_ID: Final = web.RequestKey("request_id", str)
_ID_HEADER: Final = "X-Request-Id"
_OURS: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_HEADERS: Final = CIMultiDict([("Content-Type", "application/json; charset=utf-8"), *USUAL])
#: What aiohttp raises by itself, in the words of the contract.
_AIOHTTP: Final = {
    HTTPStatus.NOT_FOUND: ErrorCode.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: ErrorCode.METHOD_NOT_ALLOWED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ErrorCode.PAYLOAD_TOO_LARGE,
}


def success(data: Any, message: str, status: int = 200) -> web.Response:  # noqa: ANN401 - JSON
    """Answer with data."""
    return json_response({"success": True, "data": data, "message": message}, status)


def failure(error: RdchatError, request_id: str) -> web.Response:
    """Answer with an error."""
    body: dict[str, Any] = {
        "success": False,
        "message": error.message,
        "statusCode": error.status,
        "code": error.code.value,
        "requestId": request_id,
    }
    if error.fields is not None:
        body["errors"] = error.fields
    answer = json_response(body, error.status)
    answer.headers[_ID_HEADER] = request_id
    answer.headers.update(error.headers)
    if error.retry_after is not None:
        answer.headers["Retry-After"] = str(error.retry_after)
    if error.code is ErrorCode.UNAUTHENTICATED:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def json_response(body: Any, status: int = 200) -> web.Response:  # noqa: ANN401 - JSON
    """Answer with JSON. Nothing of it may be cached: it belongs to one person."""
    # Not by `content_type` and `charset`: aiohttp would put the header together again for every answer.
    return web.Response(body=as_json(body), status=status, headers=_HEADERS.copy())


def enveloped(handler: Handler, metrics: Metrics, now: Callable[[], float], edge: EdgeHeaders) -> Handler:
    """Give every request an id and every error its envelope, let pages read both, and measure them.

    `now` is a monotonic clock in seconds. Around the application, not a middleware in it: those cost several
    steps for every request.
    """
    seen: dict[object, Histogram] = {}
    refusals = Refusals(metrics, now)

    async def envelope(request: web.Request) -> web.StreamResponse:
        started = now()
        given = request.headers.get(_ID_HEADER)
        request_id = given if given and _OURS.fullmatch(given) else new_request_id()
        request[REQUEST_ID] = request_id
        if request.method == "OPTIONS" and (preflight := edge.preflight(request)) is not None:
            preflight.headers[_ID_HEADER] = request_id
            metrics.requests.labels("", "OPTIONS", str(preflight.status)).observe(now() - started)
            return preflight
        answer = await _answer(request, handler, request_id, refusals)
        answer.headers[_ID_HEADER] = request_id
        offer_gzip(request, answer)
        edge.complete(answer.headers, request.headers.get("Origin"))
        resource = request.match_info.route.resource
        kind = resource, request.method, answer.status
        histogram = seen.get(kind)
        if histogram is None:
            path = resource.canonical if resource is not None else ""
            histogram = seen[kind] = metrics.requests.labels(path, request.method, str(answer.status))
        histogram.observe(now() - started)
        return answer

    return envelope


def new_request_id() -> str:
    """Make a name for a request that brings none."""
    return f"{random.getrandbits(128):032x}"


async def _answer(
    request: web.Request, handler: Handler, request_id: str, refusals: Refusals
) -> web.StreamResponse:
    try:
        return await handler(request)
    except RdchatError as error:
        if error.status in STATUSES:
            refusals.note(request, error, request_id)
        return failure(error, request_id)
    except web.HTTPException as error:
        code = _AIOHTTP.get(HTTPStatus(error.status), ErrorCode.BAD_REQUEST)
        answer = failure(RdchatError(code), request_id)
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except Exception:
        log.exception("a request failed", path=request.path, method=request.method, request_id=request_id)
        return failure(RdchatError(ErrorCode.INTERNAL, ERRORS[ErrorCode.INTERNAL][1]), request_id)

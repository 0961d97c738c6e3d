"""The form of every answer of the API: an envelope of JSON around data, or around what was wrong."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from multidict import CIMultiDict

from handlers.http.edge_headers import USUAL
from rdchat.common.errors import ErrorCode
from rdchat.common.json import as_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rdchat.common.errors import RdchatError

ID_HEADER: Final = "X-Request-Id"
#: Nothing may be cached: it belongs to one person.
JSON_HEADERS: Final = CIMultiDict([("Content-Type", "application/json; charset=utf-8"), *USUAL])
#: Statuses whose answers have no body.
BODILESS: Final = frozenset({204, 304})


class JsonAnswer:
    """An answer as it is sent, but for what every answer bears. `headers` are its own."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.body = body
        self.headers = headers

    def as_response(self) -> web.Response:
        """Make aiohttp's response of it."""
        if self.status in BODILESS:
            return web.Response(status=self.status, headers=self.headers)
        # Not by `content_type` and `charset`: aiohttp would put the header together again for every answer.
        answer = web.Response(body=self.body, status=self.status, headers=JSON_HEADERS.copy())
        if self.headers:
            answer.headers.update(self.headers)
        return answer


def success(
    data: Any,  # noqa: ANN401 - JSON
    message: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    beside: Mapping[str, Any] | None = None,
) -> JsonAnswer:
    """Answer with data; `beside`: what a dialect puts beside it."""
    if status in BODILESS:
        return JsonAnswer(status, b"", headers)
    body = {"success": True, "data": data, "message": message}
    return JsonAnswer(status, as_json(body if beside is None else {**body, **beside}), headers)


def failure(error: RdchatError, request_id: str, beside: Mapping[str, Any] | None = None) -> JsonAnswer:
    """Answer with an error; `beside`: what a dialect puts beside it."""
    body: dict[str, Any] = {
        "success": False,
        "message": error.message,
        "statusCode": error.status,
        "code": error.code.value,
        "requestId": request_id,
    }
    if error.fields is not None:
        body["errors"] = error.fields
    if beside is not None:
        body |= beside
    headers = {ID_HEADER: request_id, **error.headers}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if error.code is ErrorCode.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    return JsonAnswer(error.status, as_json(body), headers)


def json_response(body: Any, status: int = 200) -> web.Response:  # noqa: ANN401 - JSON
    """Answer with JSON without an envelope."""
    return JsonAnswer(status, as_json(body)).as_response()


def new_request_id() -> str:
    """Make a name for a request that brings none."""
    return f"{random.getrandbits(128):032x}"

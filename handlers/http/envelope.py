"""What stands around every request: its id, its errors in their form, its headers, its time.

There are two ways in. aiohttp's has its request, its router and its response, and serves everything. What is
plain and there as a whole goes around these, which cost more than what it asks for.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from handlers.http.compression import offer_gzip
from handlers.http.incoming import CALLER_ID, Incoming
from handlers.http.json_answers import ID_HEADER, JsonAnswer, failure, new_request_id
from handlers.http.refusals import STATUSES, Refusals
from rdchat.common.errors import ERRORS, ErrorCode, RdchatError
from rdchat.common.ids import read_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any
    from uuid import UUID

    from aiohttp import StreamReader
    from aiohttp.typedefs import Handler
    from prometheus_client import Histogram

    from handlers.http.admission import Precedence
    from handlers.http.edge_headers import EdgeHeaders
    from handlers.http.incoming import Connected
    from handlers.http.written import Writer
    from rdchat.common.telemetry import Metrics
    from rdchat.services.audit import RefusalKey

    Serve = Callable[[Incoming], Awaitable[JsonAnswer | web.StreamResponse]]
    #: Raises RdchatError for what is refused without its body.
    Precheck = Callable[[Incoming], None]

log = structlog.get_logger(__name__)

REQUEST_ID: Final = web.RequestKey("request_id", str)
_OURS: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
#: What aiohttp raises by itself, in the words of the contract.
_AIOHTTP: Final = {
    HTTPStatus.NOT_FOUND: ErrorCode.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: ErrorCode.METHOD_NOT_ALLOWED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ErrorCode.PAYLOAD_TOO_LARGE,
}


class Envelope:
    """Gives every request an id and every error its form, lets pages read both, and measures them.

    `now` is a monotonic clock in seconds; `write_down` takes each refusal for the audit.
    """

    def __init__(
        self,
        metrics: Metrics,
        now: Callable[[], float],
        edge: EdgeHeaders,
        writer: Writer,
        write_down: Callable[[RefusalKey], None],
    ) -> None:
        self._metrics = metrics
        self._now = now
        self._edge = edge
        self._writer = writer
        self._refusals = Refusals(metrics, now, write_down)
        self._seen: dict[tuple[str, str, int], Histogram] = {}

    def around(self, handler: Handler) -> Handler:
        """Put it around an application. Not a middleware in it: those cost steps for every request."""

        async def envelope(request: web.Request) -> web.StreamResponse:
            started = self._now()
            request_id = id_of(request.headers)
            request[REQUEST_ID] = request_id
            if request.method == "OPTIONS" and (preflight := self._edge.preflight(request)) is not None:
                preflight.headers[ID_HEADER] = request_id
                self._observe("", "OPTIONS", preflight.status, started)
                return preflight
            try:
                answer = await handler(request)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is answered
                caller_id = request.get(CALLER_ID)
                answer = self._failed(error, request, _path(request), request_id, caller_id).as_response()
            answer.headers[ID_HEADER] = request_id
            offer_gzip(request, answer)
            self._edge.complete(answer.headers, request.headers.get("Origin"))
            self._observe(_path(request), request.method, answer.status, started)
            return answer

        return envelope

    def plain(
        self, path: str, method: str, serve: Serve, precheck: Precheck | None, *, precedence: Precedence
    ) -> PlainRoute:
        """Put it around what serves one route, for requests that are plain and there as a whole.

        `precheck` is asked about those whose body is not there.
        """
        return PlainRoute(self, path, method, serve, precheck, precedence=precedence)

    def refuse_plainly(self, path: str, precheck: Precheck, incoming: Incoming) -> bytes | None:
        """Return all bytes of the answer to a request that is refused by its head; None if it is not."""
        started = self._now()
        try:
            precheck(incoming)
        except RdchatError as error:
            error.headers["Connection"] = "close"
            answer = self._failed(error, incoming, path, incoming.request_id, incoming.caller_id)
        else:
            return None
        self._observe(path, incoming.method, answer.status, started)
        return self._writer.write_plain(answer, incoming.request_id, incoming.headers.get("Origin"))

    async def answer_plainly(self, path: str, serve: Serve, incoming: Incoming) -> bytes:
        """Have a request served. Return all bytes of its answer."""
        started = self._now()
        try:
            answer = await serve(incoming)
            if not isinstance(answer, JsonAnswer):
                answer = self._failed(_NotJsonError(), incoming, path, incoming.request_id, None)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is answered
            answer = self._failed(error, incoming, path, incoming.request_id, incoming.caller_id)
        self._observe(path, incoming.method, answer.status, started)
        if self._writer.is_plain(answer):
            return self._writer.write_plain(answer, incoming.request_id, incoming.headers.get("Origin"))
        return await self._writer.write(answer, incoming.request_id, incoming.headers)

    def _observe(self, path: str, method: str, status: int, started: float) -> None:
        kind = path, method, status
        histogram = self._seen.get(kind)
        if histogram is None:
            histogram = self._seen[kind] = self._metrics.requests.labels(path, method, str(status))
        histogram.observe(self._now() - started)

    def _failed(
        self,
        error: Exception,
        request: web.Request | Incoming,
        path: str,
        request_id: str,
        caller_id: UUID | None,
    ) -> JsonAnswer:
        if isinstance(error, RdchatError):
            if error.status in STATUSES:
                self._refusals.note(
                    error,
                    route=path,
                    method=request.method,
                    person_id=caller_id,
                    # A stranger may name whatever they like.
                    subject_id=_subject_of(request) if caller_id is not None else None,
                    request_id=request_id,
                )
            return failure(error, request_id, self._edge.beside_failures)
        if isinstance(error, web.HTTPException):
            allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            code = _AIOHTTP.get(HTTPStatus(error.status), ErrorCode.BAD_REQUEST)
            return failure(RdchatError(code, headers=allowed), request_id, self._edge.beside_failures)
        log.error(
            "a request failed",
            path=request.path,
            method=request.method,
            request_id=request_id,
            exc_info=error,
        )
        fault = RdchatError(ErrorCode.INTERNAL, ERRORS[ErrorCode.INTERNAL][1])
        return failure(fault, request_id, self._edge.beside_failures)


def _subject_of(request: web.Request | Incoming) -> UUID | None:
    """Return the id in the path, or that of a session in the query, if there is one."""
    texts = request.path_texts if isinstance(request, Incoming) else request.match_info
    text = texts.get("id") or request.query.get("sessionId")
    try:
        return read_id(text) if text is not None else None
    except ValueError:
        return None


class PlainRoute:
    """A route as it is served without aiohttp's request, router and response."""

    __slots__ = ("_envelope", "_path", "_precheck", "_serve", "method", "precedence")

    def __init__(
        self,
        envelope: Envelope,
        path: str,
        method: str,
        serve: Serve,
        precheck: Precheck | None,
        *,
        precedence: Precedence,
    ) -> None:
        self._envelope = envelope
        self._path = path
        self._serve = serve
        self._precheck = precheck
        self.method = method
        self.precedence = precedence

    async def answer(
        self,
        message: Any,  # noqa: ANN401 - aiohttp's
        content: StreamReader,
        texts: Mapping[str, str],
        connection: Connected,
    ) -> bytes:
        """Answer a request as the parser has made it. Return all bytes of the answer."""
        headers = message.headers
        incoming = Incoming(self.method, message.url, headers, content, texts, connection, id_of(headers))
        return await self._envelope.answer_plainly(self._path, self._serve, incoming)

    def refusal(self, message: Any, content: StreamReader, connection: Connected) -> bytes | None:  # noqa: ANN401 - aiohttp's
        """Return the answer to a request that is not worth waiting for its body; None for any other."""
        if self._precheck is None:
            return None
        headers = message.headers
        incoming = Incoming(self.method, message.url, headers, content, {}, connection, id_of(headers))
        return self._envelope.refuse_plainly(self._path, self._precheck, incoming)


class _NotJsonError(TypeError):
    """A route answers with a response, and says nothing of it in `bare`."""


def _path(request: web.Request) -> str:
    """Return the path that an application has found, as it was declared; it is known after it has looked."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else ""


def id_of(headers: Mapping[str, str]) -> str:
    """Return the id of a request: its own if it brings a usable one."""
    given = headers.get(ID_HEADER)
    return given if given and _OURS.fullmatch(given) else new_request_id()

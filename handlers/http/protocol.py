"""aiohttp's server, answering in the contract's form also where no handler of ours is reached.

What the HTTP parser refuses (no HTTP at all, a header that is too long, broken chunks) is answered by aiohttp
below the application, as plain text with the offending bytes in it. There is no hook for that, so the server
that the runner makes is given a protocol of ours. It also turns people away when there are too many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from handlers.http.cors import origin_in
from handlers.http.envelope import CHANGING, REQUEST_ID, failure, new_request_id
from rdchat.common.errors import ErrorCode, RdchatError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import StreamReader
    from aiohttp.typedefs import Handler
    from aiohttp.web_request import BaseRequest

    from handlers.http.edge_headers import EdgeHeaders

log = structlog.get_logger(__name__)

#: Where the request's id goes in an answer that is made beforehand: as long as one.
_PLACE: Final = "@" * 32
#: Origins whose refusals are kept. Few are allowed, but for the ports of one's own machine.
_KEPT_REFUSALS: Final = 64
#: So much of a request's head is looked through for its origin, should it turn out to be unreadable.
_HEAD_BYTES: Final = 16 * 1024


class Admission:
    """How many requests that change something are under way, and what the others are told.

    `limit` bounds them; `on_refusal` is called for each that is turned away. `edge` completes the
    headers of what they are told.
    """

    def __init__(self, limit: int, on_refusal: Callable[[], None], edge: EdgeHeaders) -> None:
        self.edge = edge
        self._limit = limit
        self._on_refusal = on_refusal
        self._under_way = 0
        self._refusals: dict[str | None, bytes] = {None: self._make_refusal(None)}

    def admit(self) -> bool:
        """Let one more begin, unless there are enough."""
        if self._under_way >= self._limit:
            return False
        self._under_way += 1
        return True

    def leave(self, requests: int = 1) -> None:
        """Note that some have ended."""
        self._under_way -= requests

    def refusal(self, origin: str | None) -> bytes:
        """Make the whole answer to a request that is turned away, from a page of `origin` or from none."""
        self._on_refusal()
        if origin is not None and not self.edge.cross_origin.allows(origin):
            origin = None
        refusal = self._refusals.get(origin)
        if refusal is None:
            refusal = self._make_refusal(origin)
            if len(self._refusals) < _KEPT_REFUSALS:
                self._refusals[origin] = refusal
        return refusal.replace(_PLACE.encode(), new_request_id().encode())

    def _make_refusal(self, origin: str | None) -> bytes:
        answer = failure(UnavailableError("engine"), _PLACE)
        self.edge.complete(answer.headers, origin)
        body = cast("bytes", answer.body)
        head = {**answer.headers, "Content-Length": str(len(body))}
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}", *(f"{name}: {head[name]}" for name in head)]
        return "\r\n".join([*lines, "", ""]).encode() + body


class _Gate:
    """The HTTP parser of a connection, which keeps from it what cannot be served anyway.

    Turning a request away like any other, with a task, a request and an answer, costs a third of serving it:
    at twice the capacity the service would be busy with that. So beyond the limit, requests that would change
    something are answered here, as soon as they are there as a whole and all before them is answered. Where
    requests begin and end is the parser's affair alone.
    """

    def __init__(self, parser: Any, protocol: _Protocol, admission: Admission) -> None:  # noqa: ANN401 - aiohttp's
        self._parser = parser
        self._protocol = protocol
        self._admission = admission
        self._payload: StreamReader | None = None
        self._head = b""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the parser has
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> tuple[Any, bool, bytes]:
        in_body = self._payload is not None and not self._payload.is_eof()
        try:
            messages, upgraded, tail = self._parser.feed_data(data)
        except HttpProcessingError:
            self._protocol.origin = origin_in(self._head + data)
            raise
        if messages:
            self._payload, self._head = messages[-1][1], b""
        elif not in_body:
            self._head = (self._head + data)[:_HEAD_BYTES]
        return [one for one in messages if self._passes(*one)], upgraded, tail

    def _passes(self, message: Any, payload: Any) -> bool:  # noqa: ANN401 - aiohttp's
        if message.method not in CHANGING:
            return True
        protocol = self._protocol
        if self._admission.admit():
            protocol.admitted += 1
            return True
        if message.should_close or not payload.is_eof() or not protocol.waits:
            # Too much to tell it here: it is served after all.
            return True
        self._parser.message_consumed()
        protocol.write_raw(self._admission.refusal(message.headers.get("Origin")))
        return False


class _Protocol(web.RequestHandler):
    __slots__ = ("_admission", "_unread", "admitted", "origin")

    def __init__(self, manager: _Server, **options: Any) -> None:  # noqa: ANN401 - aiohttp's
        super().__init__(manager, **options)
        self.admitted = 0
        #: Of a request that could not be parsed.
        self.origin: str | None = None
        self._unread: StreamReader | None = None
        self._admission = manager.admission
        self._parser = _Gate(self._parser, self, manager.admission)  # type: ignore[assignment]

    async def _handle_request(self, *args: Any) -> tuple[web.StreamResponse, bool]:  # noqa: ANN401 - aiohttp's
        try:
            return await super()._handle_request(*args)
        finally:
            self._unread = None if args[0].content.is_eof() else args[0].content
            if args[0].method in CHANGING and self.admitted:
                self.admitted -= 1
                self._admission.leave()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget, with the connection, what was admitted on it."""
        self._admission.leave(self.admitted)
        self.admitted = 0
        super().connection_lost(exc)
        if self._unread is not None:
            # aiohttp would wait for the rest of the body that was answered, for ten seconds.
            self._unread.feed_eof()

    @property
    def waits(self) -> bool:
        """Whether everything that came on this connection is answered."""
        return self._waiter is not None and not self._waiter.done() and not self._messages

    def write_raw(self, answer: bytes) -> None:
        """Send bytes as they are."""
        if self.transport is not None:
            self.transport.write(answer)

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's signature
        """Go on reading, if it had been stopped. aiohttp has its parser look at nothing otherwise."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's signature; it would show the caller's bytes
    ) -> web.StreamResponse:
        """Answer what could not be parsed, and close the connection."""
        log.info("a request could not be parsed", status=status, why=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("part of an answer has been sent already")
        code = ErrorCode.BAD_REQUEST if status < 500 else ErrorCode.INTERNAL  # noqa: PLR2004 - HTTP's own border
        answer = failure(RdchatError(code), new_request_id())
        self._admission.edge.complete(answer.headers, self.origin or request.headers.get("Origin"))
        answer.force_close()
        return answer


class _Server(web.Server):
    admission: Admission

    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application like aiohttp's own runner, with something `around` all of it."""

    def __init__(
        self,
        app: web.Application,
        around: Callable[[Handler], Handler],
        admission: Admission,
        **options: Any,  # noqa: ANN401 - aiohttp's
    ) -> None:
        super().__init__(app, **options)
        self._around = around
        self._admission = admission

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        made.__class__ = _Server
        cast("_Server", made).admission = self._admission
        # It is handed what the application makes of requests, never anything else.
        made.request_handler = self._around(made.request_handler)  # type: ignore[assignment]
        return made


async def expect(request: web.Request) -> web.StreamResponse | None:
    """Answer `Expect`: go on for 100-continue, refuse anything else in the contract's form."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # What was written was no part of the answer.
        request.writer.output_size = 0
        return None
    return failure(RdchatError(ErrorCode.BAD_REQUEST, "This expectation cannot be met"), request[REQUEST_ID])

"""aiohttp's server, answering in the contract's form also where no handler of ours is reached.

What the HTTP parser refuses (no HTTP at all, a header that is too long, broken chunks) is answered by aiohttp
below the application, as plain text with the offending bytes in it. There is no hook for that, so the server
that the runner makes is given a protocol of ours. It also turns people away when there are too many, and cuts
connections on which nothing moves: a head that does not come to its end, an answer that is not taken.

Longer than most: what a connection waits for is decided by all that has happened on it, and has one state.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from aiohttp import web

from handlers.http.admission import whole_answer
from handlers.http.gate import Gate
from handlers.http.json_answers import failure, new_request_id
from handlers.http.unsent import Unsent, keep_little_unsent
from rdchat.common.errors import ErrorCode, RdchatError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

    from aiohttp import StreamReader
    from aiohttp.web_request import BaseRequest

    from handlers.http.envelope import Envelope, PlainRoute
    from handlers.http.gate import Guards
    from handlers.http.route_table import RouteTable

log = structlog.get_logger(__name__)

#: A head comes in one piece, or in a few within moments: so long after the connection, or its first piece.
#: Browsers open a connection before they need it, so this is more than the head itself takes.
HEAD_SECONDS: Final = 20.0
#: How long a connection may wait for another request: longer than proxies do (600 s at the most), so that it
#: is they who close it, and never just as they send.
IDLE_SECONDS: Final = 620.0
#: What is kept of an answer for a slow reader, beside what the kernel keeps: a reader of a stream is waited
#: for from here on.
_UNSENT_BYTES: Final = 32 * 1024
#: What is kept of a body that no one reads yet; twice that at the most.
_UNREAD_BYTES: Final = 64 * 1024
#: So long the rest of a body is thrown away whose request was refused by its head.
_LINGERING_SECONDS: Final = 2.0


class _Protocol(web.RequestHandler):
    __slots__ = (
        "_behind_proxy",
        "_guards",
        "_head_due",
        "_held",
        "_is_new",
        "_parked",
        "_plain_task",
        "_unread",
        "_unsent",
        "address",
        "expected",
        "origin",
    )

    def __init__(self, manager: _Server, **options: Any) -> None:  # noqa: ANN401 - aiohttp's
        super().__init__(manager, **options)
        self._guards = guards = manager.guards
        #: What the connection counts as; None if it is not counted.
        self.address: str | None = None
        self._behind_proxy = False
        #: Whether the admission expects a request of this connection.
        self.expected = False
        #: Of a request that could not be parsed.
        self.origin: str | None = None
        self._head_due = 0.0
        #: Whether nothing has come yet.
        self._is_new = True
        #: What has come before it was the connection's turn to begin; None once that was.
        self._held: bytes | None = None
        self._unread: StreamReader | None = None
        self._unsent = Unsent(self._loop)
        #: What serves a request beside aiohttp, and the future that aiohttp's own task waits for meanwhile.
        self._plain_task: asyncio.Task[None] | None = None
        self._parked: asyncio.Future[None] | None = None
        self._parser = Gate(self._parser, self, guards, manager.plain_routes)  # type: ignore[assignment]

    async def _handle_request(self, *args: Any) -> tuple[web.StreamResponse, bool]:  # noqa: ANN401 - aiohttp's
        # From here on it asks for its place itself.
        self._is_not_expected()
        try:
            return await super()._handle_request(*args)
        finally:
            self._unread = None if args[0].content.is_eof() else args[0].content

    def _is_not_expected(self) -> None:
        if self.expected:
            self.expected = False
            self._guards.admission.expected_came()

    # ---- plain requests -----------------------------------------------------------------------------------

    def serve_plainly(self, answering: Coroutine[Any, Any, bytes]) -> None:
        """Serve a request beside aiohttp's task, which waits for a next one, and goes on waiting.

        What comes meanwhile is queued by aiohttp: it wakes its task only where it knows what that waits for.
        """
        self._parked, self._waiter = self._waiter, None
        self._request_in_progress = True
        if self._manager is not None:
            self._manager.requests_count += 1
        self._plain_task = self._loop.create_task(self._serve_plainly(answering))

    async def _serve_plainly(self, answering: Coroutine[Any, Any, bytes]) -> None:
        # From here on it asks for its place itself.
        self._is_not_expected()
        try:
            answer = await answering
        except BaseException:
            # There is no answer: nothing may follow on this connection, it would be taken for one.
            self.force_close()
            raise
        else:
            await self._send(answer)
        finally:
            self._plain_task = None
            self._go_on()

    async def _send(self, answer: bytes) -> None:
        """Send an answer, and wait until as much of it is taken as of others."""
        if self.transport is None:
            return
        self.transport.write(answer)
        if self._paused:
            # Its sender may go: then no one reads this answer.
            with suppress(ConnectionError):
                await self._drain_helper()

    def _go_on(self) -> None:
        """Give the connection back to aiohttp, after a request that was served beside it."""
        self._request_in_progress = False
        if self._handler_waiter is not None and not self._handler_waiter.done():
            self._handler_waiter.set_result(None)
        waiter, self._parked = self._parked, None
        if waiter is None or waiter.done():
            return
        if self._close or self._force_close:
            waiter.cancel()
            if self.transport is not None:
                self.transport.close()
            return
        self._waiter = waiter
        if self._messages:
            waiter.set_result(None)
            return
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(
                self._next_keepalive_close_time, self._process_keepalive
            )

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's signature
        """End what is under way, after `timeout` seconds at the latest."""
        await super().shutdown(timeout)
        if self._plain_task is not None:
            self._plain_task.cancel()

    # ---- the connection -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection in, or close it at once if there are too many."""
        tcp = cast("asyncio.Transport", transport)
        host = (tcp.get_extra_info("peername") or ("",))[0]
        self.address = self._guards.strangers.peer(host)
        self._behind_proxy = self._guards.strangers.is_proxy(host)
        if not self._guards.connections.enter(self):
            tcp.abort()
            return
        super().connection_made(transport)
        tcp.set_write_buffer_limits(high=_UNSENT_BYTES)
        keep_little_unsent(tcp)
        self._close_by(self._loop.time() + HEAD_SECONDS)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget, with the connection, what was expected of it."""
        self._guards.connections.leave(self)
        self._is_not_expected()
        self._unsent.forget()
        super().connection_lost(exc)
        if self._unread is not None:
            # aiohttp would wait for the rest of the body that was answered, for ten seconds.
            self._unread.feed_eof()

    def address_of(self, headers: Any) -> str | None:  # noqa: ANN401 - aiohttp's
        """Return what a request counts as that has no token, by its headers."""
        return self._guards.strangers.behind_proxy(headers) if self._behind_proxy else self.address

    def expect_head(self, *, begins: bool) -> None:
        """Close the connection unless the head of which a piece has come is there in time."""
        if begins:
            self._head_due = self._loop.time() + HEAD_SECONDS
        if self._next_keepalive_close_time > self._head_due:
            self._close_by(self._head_due)

    def _close_by(self, instant: float) -> None:
        if self._keepalive_handle is not None:
            self._keepalive_handle.cancel()
        self._next_keepalive_close_time = instant
        self._keepalive_handle = self._loop.call_at(instant, self._process_keepalive)

    @property
    def is_idle(self) -> bool:
        """Whether nothing on it is under way."""
        return self.waits

    @property
    def idle_until(self) -> float:
        """When it would be closed, if nothing comes."""
        return self._next_keepalive_close_time

    def give_up(self) -> None:
        """Close it at once."""
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse what has come, or keep it until it is the connection's turn to begin."""
        if self._is_new:
            self._is_new = False
            self._held = data
            if self._guards.newcomers.enter(self):
                self._held = None
        elif self._held is not None:
            self._held += data
        if self._held is None:
            super().data_received(data)
            return
        if self.transport is not None:
            self.transport.pause_reading()

    @property
    def held_bytes(self) -> int:
        """How much has come before its turn."""
        return len(self._held or b"")

    def begin(self) -> bool:
        """Have its turn: parse what has come meanwhile. Return False if it has gone."""
        held, self._held = self._held, None
        if self.transport is None:
            return False
        if held:
            super().data_received(held)
        if self.transport is not None and not (self._reading_paused or self._buffer_paused):
            self.transport.resume_reading()
        return True

    def turn_away(self, answer: bytes) -> None:
        """Send the answer to a request whose body is on its way, and close the connection behind that.

        What still comes is thrown away for a moment: closing at once would be a reset, and the answer lost.
        """
        transport = self.transport
        if transport is None:
            return
        transport.write(answer)
        self.close()
        if transport.can_write_eof():
            transport.write_eof()
        self._loop.call_later(_LINGERING_SECONDS, self.force_close)

    def refuse_stranger(self, origin: str | None) -> None:
        """Tell one who sends too much without a token, and close the connection."""
        if self.waits:
            error = RdchatError(ErrorCode.RATE_LIMITED, retry_after=1, headers={"Connection": "close"})
            self.write_raw(whole_answer(error, origin, self._guards.admission.edge, new_request_id()))
        self.force_close()

    async def start(self) -> None:
        """Answer what comes on the connection, until it is closed."""
        try:
            await super().start()
        finally:
            # Closing waits until the last answer is taken.
            if self.transport is not None and self.transport.get_write_buffer_size():
                self._unsent.watch(self.transport)

    # ---- what is not taken --------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """Begin to look whether what was written is taken."""
        super().pause_writing()
        self._unsent.watch(self.transport)

    def resume_writing(self) -> None:
        """Stop looking: enough was taken."""
        super().resume_writing()
        self._unsent.forget()

    def force_close(self) -> None:
        """Close the connection, which sends what was written, as long as it is taken."""
        transport = self.transport
        super().force_close()
        if transport is not None and transport.get_write_buffer_size():
            self._unsent.watch(transport)

    # ---- answers ------------------------------------------------------------------------------------------

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
        edge = self._guards.admission.edge
        answer = failure(RdchatError(code), new_request_id(), edge.beside_failures).as_response()
        edge.complete(answer.headers, self.origin or request.headers.get("Origin"))
        answer.force_close()
        return answer


class _Server(web.Server):
    guards: Guards
    plain_routes: RouteTable[PlainRoute]

    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application like aiohttp's own runner, with an `envelope` around all of it.

    `plain_routes` are served without the application where a request is plain and there as a whole.
    """

    def __init__(
        self,
        app: web.Application,
        envelope: Envelope,
        guards: Guards,
        plain_routes: RouteTable[PlainRoute],
        **options: Any,  # noqa: ANN401 - aiohttp's
    ) -> None:
        super().__init__(
            app,
            keepalive_timeout=IDLE_SECONDS,
            read_bufsize=_UNREAD_BYTES,
            auto_decompress=False,
            **options,
        )
        self._envelope = envelope
        self._guards = guards
        self._plain_routes = plain_routes

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        made.__class__ = _Server
        server = cast("_Server", made)
        server.guards = self._guards
        server.plain_routes = self._plain_routes
        # It is handed what the application makes of requests, never anything else.
        made.request_handler = self._envelope.around(made.request_handler)  # type: ignore[assignment]
        return made


async def expect(request: web.Request) -> web.StreamResponse | None:
    """Answer `Expect`: go on for 100-continue, refuse anything else in the contract's form."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # What was written was no part of the answer.
        request.writer.output_size = 0
        return None
    raise RdchatError(ErrorCode.BAD_REQUEST, "This expectation cannot be met")

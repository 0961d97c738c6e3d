"""aiohttp's server, answering in the contract's form also where no handler of ours is reached.

What the HTTP parser refuses (no HTTP at all, a header that is too long, broken chunks) is answered by aiohttp
below the application, as plain text with the offending bytes in it. There is no hook for that, so the server
that the runner makes is given a protocol of ours. It also turns people away when there are too many, and cuts
connections on which nothing moves: a head that does not come to its end, an answer that is not taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from aiohttp import web

from handlers.http.admission import whole_answer
from handlers.http.envelope import REQUEST_ID, failure, new_request_id
from handlers.http.gate import Gate
from handlers.http.unsent import Unsent
from rdchat.common.errors import ErrorCode, RdchatError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from aiohttp import StreamReader
    from aiohttp.typedefs import Handler
    from aiohttp.web_request import BaseRequest

    from handlers.http.gate import Guards

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


class _Protocol(web.RequestHandler):
    __slots__ = (
        "_behind_proxy",
        "_guards",
        "_head_due",
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
        self._unread: StreamReader | None = None
        self._unsent = Unsent(self._loop)
        self._parser = Gate(self._parser, self, guards)  # type: ignore[assignment]

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
        answer = failure(RdchatError(code), new_request_id())
        self._guards.admission.edge.complete(answer.headers, self.origin or request.headers.get("Origin"))
        answer.force_close()
        return answer


class _Server(web.Server):
    guards: Guards

    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application like aiohttp's own runner, with something `around` all of it."""

    def __init__(
        self,
        app: web.Application,
        around: Callable[[Handler], Handler],
        guards: Guards,
        **options: Any,  # noqa: ANN401 - aiohttp's
    ) -> None:
        super().__init__(
            app,
            keepalive_timeout=IDLE_SECONDS,
            read_bufsize=_UNREAD_BYTES,
            auto_decompress=False,
            **options,
        )
        self._around = around
        self._guards = guards

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        made.__class__ = _Server
        cast("_Server", made).guards = self._guards
        # It is handed what the application makes of requests, never anything else.
        made.request_handler = self._around(made.request_handler)  # type: ignore[assignment]
        return made


def address_of(request: web.Request) -> str | None:
    """Return the address that a request without a valid token counts as; None if it is not counted."""
    protocol = request.protocol
    return protocol.address_of(request.headers) if isinstance(protocol, _Protocol) else None


async def expect(request: web.Request) -> web.StreamResponse | None:
    """Answer `Expect`: go on for 100-continue, refuse anything else in the contract's form."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # What was written was no part of the answer.
        request.writer.output_size = 0
        return None
    return failure(RdchatError(ErrorCode.BAD_REQUEST, "This expectation cannot be met"), request[REQUEST_ID])

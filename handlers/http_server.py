"""aiohttp's server, answering in the contract's form also where no handler of ours is reached.

What the HTTP parser refuses (no HTTP at all, a header that is too long, broken chunks) is answered by aiohttp
below the application, as plain text with the offending bytes in it. There is no hook for that, so the server
that the runner makes is given a protocol of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web

from handlers.envelope import REQUEST_ID, failure, new_request_id
from rdchat.errors import ErrorCode, RdchatError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler
    from aiohttp.web_request import BaseRequest

log = structlog.get_logger(__name__)


class _Protocol(web.RequestHandler):
    __slots__ = ()

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
        answer.force_close()
        return answer


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application like aiohttp's own runner, with something `around` all of it."""

    def __init__(self, app: web.Application, around: Callable[[Handler], Handler], **options: Any) -> None:  # noqa: ANN401 - aiohttp's
        super().__init__(app, **options)
        self._around = around

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        made.__class__ = _Server
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

"""The websocket transport: frames in, frames out, and nobody waits for a slow reader."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import TYPE_CHECKING

from aiohttp import ClientConnectionResetError, WSMsgType, web

from .connections import Connection, Connections, query_format
from .encoding import decode, encode
from .errors import AblyError, ErrorCode
from .protocol import Action, Format

if TYPE_CHECKING:
    from .dispatch import Dispatcher
    from .limits import Limits

_log = logging.getLogger(__name__)
_CLOSE_TIMEOUT = 2.0  # seconds that a peer gets to answer the closing handshake


class WebSocketOutbox:
    """Frames that wait for one websocket. Beyond a bound of unread bytes the websocket is aborted."""

    def __init__(
        self, request: web.Request, websocket: web.WebSocketResponse, fmt: Format, limits: Limits
    ) -> None:
        self._request = request
        self._websocket = websocket
        self._opcode = WSMsgType.TEXT if fmt is Format.JSON else WSMsgType.BINARY
        self._limits = limits
        self._heartbeat = (
            None if request.query.get("heartbeats") == "false" else encode({"action": Action.HEARTBEAT}, fmt)
        )
        self._frames: deque[bytes] = deque()
        self._unread = 0
        self._finishing = False
        self._wake = asyncio.Event()

    def send(self, frame: bytes) -> None:
        """Queue a frame; once the outbox is finishing it is lost."""
        if self._finishing:
            return
        self._unread += len(frame)
        if self._unread > self._limits.outbox_bytes:
            _log.warning("aborting a connection that does not read its messages")
            self.abort()
            return
        self._frames.append(frame)
        self._wake.set()

    def finish(self) -> None:
        """Close the websocket once everything queued has been sent."""
        self._finishing = True
        self._wake.set()

    def abort(self) -> None:
        """Drop the websocket at once, with what was queued."""
        self._finishing = True
        self._frames.clear()
        self._wake.set()
        if self._request.transport is not None:
            self._request.transport.abort()

    async def run(self) -> None:
        """Send what is queued, and heartbeats when there is nothing, until the websocket ends."""
        with contextlib.suppress(ClientConnectionResetError, ConnectionError):
            while True:
                while self._frames:
                    frame = self._frames.popleft()
                    await self._websocket.send_frame(frame, self._opcode)
                    self._unread -= len(frame)
                if self._finishing:
                    await self._websocket.close()
                    return
                await self._wait()

    async def _wait(self) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(self._limits.heartbeat_interval):
                await self._wake.wait()
        except TimeoutError:
            if self._heartbeat is not None:
                self.send(self._heartbeat)


async def serve_websocket(
    request: web.Request, *, connections: Connections, dispatcher: Dispatcher, limits: Limits
) -> web.WebSocketResponse:
    """Serve one client's websocket until it ends. A refusal is told after the upgrade, as an ERROR frame."""
    # Deflating would cost more than all the rest, once for every reader of a frame. Pings find dead peers.
    websocket = web.WebSocketResponse(
        compress=False,
        max_msg_size=limits.frame_size,
        heartbeat=limits.heartbeat_interval,
        timeout=_CLOSE_TIMEOUT,
    )
    await websocket.prepare(request)
    fmt = query_format(request.query)
    outbox = WebSocketOutbox(request, websocket, fmt, limits)
    writer = asyncio.create_task(outbox.run())
    connection: Connection | None = None
    try:
        try:
            connection = connections.open(request.query, outbox)
        except AblyError as error:
            outbox.send(encode({"action": Action.ERROR, "error": error.wire()}, fmt))
            outbox.finish()
            await writer
            return websocket
        async for frame in websocket:
            if connection.outbox is not outbox:
                break  # closed, failed, or resumed elsewhere: what still comes in is for nobody
            if frame.type is WSMsgType.ERROR:
                break
            _perform(frame.data, connection, connections, dispatcher)
        if connection.outbox is not outbox:
            await writer
    finally:
        if connection is not None:
            connections.drop(connection, outbox)
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writer
    return websocket


def _perform(
    data: str | bytes, connection: Connection, connections: Connections, dispatcher: Dispatcher
) -> None:
    try:
        dispatcher.perform(connection, decode(data, connection.format))
    except AblyError as error:
        connections.fail(connection, error)
    except Exception:  # noqa: BLE001 - one client's frame must not take down the others; it is logged
        _log.exception("a protocol message could not be handled")
        connections.fail(connection, AblyError(ErrorCode.INTERNAL, "internal error"))

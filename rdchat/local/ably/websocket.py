"""The websocket transport: frames in, frames out, and no one waits for a slow reader."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import TYPE_CHECKING

from aiohttp import ClientConnectionResetError, WSMsgType, web

from .connection import MESSAGE_TOO_BIG, NORMAL_CLOSURE, Connection, closing_code, query_format
from .encoding import decode, encode
from .errors import AblyError, ErrorCode
from .faults import Fault, FaultKind, Faults, Operation
from .protocol import Action, Format
from .resources import cut

if TYPE_CHECKING:
    from collections.abc import Callable

    from .apps import App, Apps
    from .limits import Limits

_log = logging.getLogger(__name__)


class WebSocketOutbox:
    """Frames that wait for one websocket. `overflow` is called when too much of them is unread."""

    def __init__(
        self, request: web.Request, websocket: web.WebSocketResponse, fmt: Format, limits: Limits
    ) -> None:
        self.overflow: Callable[[], None] = self.abort
        self._request = request
        self._websocket = websocket
        self._opcode = WSMsgType.TEXT if fmt is Format.JSON else WSMsgType.BINARY
        self._limits = limits
        self._heartbeat = (
            None if request.query.get("heartbeats") == "false" else encode({"action": Action.HEARTBEAT}, fmt)
        )
        self._loop = asyncio.get_running_loop()
        self._frames: deque[bytes | None] = deque()  # None stands for a ping
        self._delayed: deque[tuple[float, bytes]] = deque()
        self._close_after_delayed: int | None = None
        self._close_code: int | None = None
        self._unread = 0
        self._overflowed = False
        self._sent_at = self._heard_at = self._stuck_since = self._loop.time()
        self._pinged = False
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()

    def send(self, frame: bytes, *, delay: float = 0.0) -> None:
        """Queue a frame; once the outbox is finishing it is lost. None overtakes one that is delayed."""
        if not delay and not self._delayed:
            self._queue(frame)
            return
        due = max(self._loop.time() + delay, self._delayed[-1][0] if self._delayed else 0.0)
        self._delayed.append((due, frame))
        if len(self._delayed) == 1:
            self._timers["delayed"] = self._loop.call_at(due, self._release)

    def discard(self) -> None:
        """Forget what is queued."""
        self._frames.clear()
        self._delayed.clear()
        self._unread = 0
        self._overflowed = False

    def finish(self, code: int = NORMAL_CLOSURE) -> None:
        """Close the websocket once everything queued has been sent, or after a while all the same."""
        if self._delayed:
            self._close_after_delayed = code
            return
        if self._close_code is None:
            self._close_code = code
            self._timers["grace"] = self._loop.call_later(self._limits.closing_grace, self.abort)
        self._wake.set()

    def abort(self) -> None:
        """Drop the websocket at once, with what was queued."""
        self._close_code = NORMAL_CLOSURE
        self.discard()
        self._wake.set()
        if self._request.transport is not None:
            self._request.transport.abort()

    def heard(self) -> None:
        """Note that the client has sent something, be it a pong."""
        self._heard_at = self._loop.time()
        self._pinged = False

    def beat(self) -> None:
        """Send what keeps an idle websocket alive, and drop one whose client does not answer pings any more.

        aiohttp would do the pinging too, but for all connections at once, at the full second: with two
        thousand of them all others then wait for a tenth of a second.
        """
        now, interval = self._loop.time(), self._limits.heartbeat_interval
        if now - self._heard_at >= interval + self._limits.pong_wait:
            self.abort()
            return
        if now - self._heard_at >= interval and not self._pinged:
            self._pinged = True
            self._frames.append(None)
            self._wake.set()
        if self._heartbeat is not None and now - self._sent_at >= interval:
            self._queue(self._heartbeat)

    async def run(self) -> None:
        """Send what is queued, until the websocket ends."""
        try:
            with contextlib.suppress(ClientConnectionResetError, ConnectionError):
                while True:
                    while self._frames:
                        frame = self._frames.popleft()
                        if frame is None:
                            await self._websocket.ping()
                            continue
                        await self._websocket.send_frame(frame, self._opcode)
                        self._unread = max(self._unread - len(frame), 0)
                        self._sent_at = self._stuck_since = self._loop.time()
                    if self._close_code is not None:
                        await self._websocket.close(code=self._close_code)
                        return
                    self._wake.clear()
                    await self._wake.wait()
        finally:
            for timer in self._timers.values():
                timer.cancel()

    def _release(self) -> None:
        while self._delayed and self._delayed[0][0] <= self._loop.time():
            self._queue(self._delayed.popleft()[1])
        if self._delayed:
            self._timers["delayed"] = self._loop.call_at(self._delayed[0][0], self._release)
        elif self._close_after_delayed is not None:
            self.finish(self._close_after_delayed)

    def _queue(self, frame: bytes) -> None:
        # What follows on something discarded must not be sent: the client would resume behind the gap.
        if self._close_code is not None or self._overflowed:
            return
        now, limits = self._loop.time(), self._limits
        if self._unread == 0:
            self._stuck_since = now
        self._unread += len(frame)
        stuck = self._unread > limits.outbox_bytes and now - self._stuck_since >= limits.outbox_patience
        if stuck or self._unread > limits.outbox_most_bytes:
            self.discard()
            self._overflowed = True
            # Later, since a channel may be in the middle of a delivery to all its connections.
            self._loop.call_soon(self.overflow)
            return
        self._frames.append(frame)
        self._wake.set()


async def serve_websocket(
    request: web.Request, *, apps: Apps, limits: Limits, faults: Faults
) -> web.StreamResponse:
    """Serve one client's websocket until it ends.

    A refusal is sent after the upgrade, as an ERROR frame; a fault of the service's as DISCONNECTED, at which
    clients come again.
    """
    fault = faults.take(Operation.CONNECT)
    if fault is not None and fault.kind is FaultKind.DROP:
        return cut(request)
    # Deflating would cost more than all the rest, once for every reader of a frame. Of a frame that is
    # somewhat too large the client is told; for what is beyond that aiohttp hangs up.
    websocket = web.WebSocketResponse(
        compress=False, max_msg_size=2 * limits.frame_size, autoping=False, timeout=limits.closing_grace
    )
    await websocket.prepare(request)
    fmt = query_format(request.query)
    outbox = WebSocketOutbox(request, websocket, fmt, limits)
    writer = asyncio.create_task(outbox.run())
    app: App | None = None
    connection: Connection | None = None
    try:
        try:
            if fault is not None:
                await _go_wrong(fault, websocket)
            app, grant = apps.admit_websocket(request.query)
            connection = app.connections.open(grant, request.query, outbox)
        except AblyError as error:
            action = Action.DISCONNECTED if error.is_service_error else Action.ERROR
            outbox.send(encode({"action": action, "error": error.wire()}, fmt))
            outbox.finish(closing_code(error))
            await writer
            return websocket
        opened_app, opened = app, connection
        outbox.overflow = lambda: opened_app.connections.disconnect_slow(opened, outbox)
        await _read(websocket, outbox, app, connection)
        if connection.outbox is not outbox:
            await writer
    finally:
        if app is not None and connection is not None:
            app.connections.drop(connection, outbox)
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writer
        # What a dead peer has not read would keep its socket open for minutes.
        outbox.abort()
    return websocket


async def _go_wrong(fault: Fault, websocket: web.WebSocketResponse) -> None:
    if fault.kind is FaultKind.DELAY:
        await asyncio.sleep(fault.seconds)
        return
    if fault.kind is FaultKind.HANG:
        async for _ in websocket:
            pass
    raise fault.error()


async def _read(
    websocket: web.WebSocketResponse, outbox: WebSocketOutbox, app: App, connection: Connection
) -> None:
    async for frame in websocket:
        if connection.outbox is not outbox:
            return  # closed, failed, or resumed elsewhere: what still comes in is dropped
        outbox.heard()
        if frame.type is WSMsgType.ERROR:
            return
        if frame.type is WSMsgType.PING:
            await websocket.pong(frame.data)
        elif frame.type is WSMsgType.PONG:
            continue
        elif len(frame.data) > app.limits.frame_size:
            error = AblyError(
                ErrorCode.MESSAGE_TOO_LARGE,
                f"maximum frame size exceeded (limit is {app.limits.frame_size} bytes)",
                status=413,
            )
            app.connections.fail(connection, error, MESSAGE_TOO_BIG)
        else:
            _perform(frame.data, connection, app)


def _perform(data: str | bytes, connection: Connection, app: App) -> None:
    try:
        app.dispatcher.perform(connection, decode(data, connection.format))
    except AblyError as error:
        app.connections.fail(connection, error)
    except Exception:  # noqa: BLE001 - one client's frame must not take down the others; it is logged
        _log.exception("a protocol message could not be handled")
        app.connections.fail(connection, AblyError(ErrorCode.INTERNAL, "internal error"))

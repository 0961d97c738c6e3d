"""The socket of notifications: Socket.IO, namespace `/notifications`, with the caller's token.

Whichever replica a notification was published by, it announces that to all others; each reads it for those
who are connected to it. Redis carries ids alone. What is announced while Redis is away is not told here: it
is in the list of notifications.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import socketio
import structlog

from handlers.dialects.ruangdiri.events import TOPIC
from handlers.dialects.ruangdiri.shapes import notification_json
from handlers.http.incoming import Incoming
from rdchat.common.background import cancel, keep_running
from rdchat.common.errors import ErrorCode, RdchatError, UnavailableError
from rdchat.domain import permissions

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from aiohttp import web

    from handlers.http.gate import Guards
    from rdchat.domain.person import Caller
    from rdchat.runtime import Runtime

log = structlog.get_logger(__name__)

NAMESPACE: Final = "/notifications"
CREATED: Final = "notification:created"
_PATHS: Final = ("/socket.io/", "/socket.io")
_REFUSED: Final = "Authentication error"

#: A token is verified in less, or its connection refused: the app waits for a second.
_VERIFY_SECONDS: Final = 0.8
#: What the app sends is a token.
_LARGEST_PACKET: Final = 16 * 1024
#: Connections without a person behind them are cut after this long.
_INTRODUCE_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 5.0
_CONNECTIONS: Final = 10_000
_PER_PERSON: Final = 32
_WAITING: Final = 10_000
#: Told already: a publisher that crashed behind Ably's answer has its entry published once more.
_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Connected:
    """One connection, and whose it is."""

    caller: Caller
    token: str


class NotificationSockets:
    """The sockets of one replica."""

    def __init__(self, runtime: Runtime, guards: Guards) -> None:
        self._runtime = runtime
        self._guards = guards
        self._server = socketio.AsyncServer(
            async_mode="aiohttp",
            namespaces=[NAMESPACE],
            # The edge says which pages may read an answer; what acts here is the token, not the page.
            cors_allowed_origins=[],
            cookie=None,
            http_compression=False,
            max_http_buffer_size=_LARGEST_PACKET,
        )
        self._connected: dict[str, _Connected] = {}
        self._of_person: dict[UUID, set[str]] = {}
        self._waiting: deque[tuple[UUID, UUID]] = deque(maxlen=_WAITING)
        self._told: OrderedDict[UUID, None] = OrderedDict()
        self._work = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._seen: dict[str, float] = {}
        # Its own would sleep on behind connections that are closed.
        self._background: set[asyncio.Task[Any]] = set()
        self._server.eio.start_background_task = self._start_background_task
        self._server.on("connect", handler=self._connect, namespace=NAMESPACE)
        self._server.on("disconnect", handler=self._disconnect, namespace=NAMESPACE)

    def attach(self, app: web.Application) -> None:
        """Serve them as part of an application."""
        for path in _PATHS:
            for method in ("GET", "POST"):
                app.router.add_route(method, path, self._serve)
        app.on_startup.append(self._start)
        app.on_shutdown.append(self._close)

    async def _start(self, _app: web.Application) -> None:
        self._tasks = [
            keep_running(self._tell_all, "the socket of notifications"),
            keep_running(self._cut_strangers, "connections without a person"),
        ]
        self._runtime.announcements.listen(TOPIC, self._hear)

    async def _close(self, _app: web.Application) -> None:
        for task in self._tasks:
            await cancel(task)
        for one in list(self._server.eio.sockets):
            await self._cut(one)
        await self._server.shutdown()
        for background in list(self._background):
            await cancel(background)

    def _start_background_task(
        self,
        target: Callable[..., Coroutine[Any, Any, Any]],
        *arguments: Any,  # noqa: ANN401 - of Engine.IO
        **named: Any,  # noqa: ANN401 - of Engine.IO
    ) -> asyncio.Task[Any]:
        task = asyncio.create_task(target(*arguments, **named))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if "sid" not in request.query and len(self._server.eio.sockets) >= _CONNECTIONS:
            raise UnavailableError("sockets")
        answer: web.StreamResponse = await self._server.handle_request(request)
        return answer

    # ---- who is connected ---------------------------------------------------------------------------------

    async def _connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:  # noqa: ANN401 - JSON
        token = auth.get("token") if isinstance(auth, dict) else None
        if not isinstance(token, str):
            raise socketio.exceptions.ConnectionRefusedError(_REFUSED)
        token = token.removeprefix("Bearer ").strip()
        try:
            async with asyncio.timeout(_VERIFY_SECONDS):
                caller = await self._verified(token)
        except (RdchatError, TimeoutError) as error:
            self._guards.strangers.failed(Incoming.of(environ["aiohttp.request"], "").address)
            raise socketio.exceptions.ConnectionRefusedError(_REFUSED) from error
        own = self._of_person.setdefault(caller.id, set())
        if len(own) >= _PER_PERSON:
            raise socketio.exceptions.ConnectionRefusedError("Too many connections")
        own.add(sid)
        self._connected[sid] = _Connected(caller, token)

    async def _verified(self, token: str) -> Caller:
        caller = await self._runtime.tokens.verify_fetching(token)
        self._runtime.access.check(caller)
        if caller.role not in permissions.EVERYONE_SIGNED_IN:
            raise RdchatError(ErrorCode.FORBIDDEN)
        return caller

    async def _disconnect(self, sid: str, _reason: str) -> None:
        known = self._connected.pop(sid, None)
        if known is None:
            return
        own = self._of_person[known.caller.id]
        own.discard(sid)
        if not own:
            del self._of_person[known.caller.id]

    async def _cut_strangers(self) -> None:
        """Cut connections that have not said for a while who they are, or were refused."""
        loop, engine = asyncio.get_running_loop(), self._server.eio
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = loop.time()
            present = list(engine.sockets)
            self._seen = {one: self._seen.get(one, now) for one in present}
            for one, since in self._seen.items():
                is_known = self._server.manager.sid_from_eio_sid(one, NAMESPACE) is not None
                if not is_known and now - since >= _INTRODUCE_SECONDS:
                    await self._cut(one)

    async def _cut(self, engine_id: str) -> None:
        """Close a connection; Engine.IO itself would wait until it has taken what it was sent."""
        connection = self._server.eio.sockets.get(engine_id)
        if connection is not None:
            await connection.close(wait=False)
            # Behind the word that it is closed, its writer ends.
            await connection.queue.put(None)

    # ---- what they are told -------------------------------------------------------------------------------

    def _hear(self, text: str) -> None:
        person_id, _, notification_id = text.partition(" ")
        try:
            told = UUID(person_id), UUID(notification_id)
        except ValueError:
            return
        if told[0] in self._of_person:
            self._waiting.append(told)
            self._work.set()

    async def _tell_all(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._waiting:
                person_id, notification_id = self._waiting.popleft()
                try:
                    await self._tell(person_id, notification_id)
                except UnavailableError:
                    log.debug("a notification was not told on its socket")

    async def _tell(self, person_id: UUID, notification_id: UUID) -> None:
        own = self._of_person.get(person_id)
        if not own or notification_id in self._told:
            return
        caller = self._connected[next(iter(own))].caller
        service = self._runtime.notifications
        notification = await service.find_notification(caller, notification_id)
        if notification is None:
            return
        _, unread = await service.count_notifications(caller)
        self._told[notification_id] = None
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        data = {**notification_json(notification), "recipientId": str(person_id), "unreadCount": unread}
        for sid in list(self._of_person.get(person_id, ())):
            if await self._may_still(sid):
                await self._server.emit(CREATED, data, to=sid, namespace=NAMESPACE)

    async def _may_still(self, sid: str) -> bool:
        """Ask again whose the connection is: a token expires, and people are stopped."""
        known = self._connected.get(sid)
        if known is None:
            return False
        try:
            await self._verified(known.token)
        except RdchatError:
            await self._server.disconnect(sid, namespace=NAMESPACE)
            return False
        return True

"""The endpoint as one object that can be started and closed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from .administering import AppResources, KeyResources
from .apps import Apps
from .control import ControlResources
from .faults import Faults
from .grants import Key
from .http import speak_ably
from .limits import Limits
from .refusing import UnsupportedResources
from .rest import ChannelResources
from .websocket import serve_websocket

if TYPE_CHECKING:
    import ssl
    from collections import deque
    from collections.abc import AsyncIterator, Callable, Mapping

    from .protocol import Message

_BACKLOG = 1_024
_ROUNDS, _STEPS = 8, 20
_SHUTDOWN_SECONDS = 0.1  # to aiohttp none at all would mean for ever
_LISTEN_AGAIN_SECONDS = 0.1
_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


class AblyLocal:
    """A local endpoint that speaks Ably's REST and realtime protocols, so that the genuine SDKs can use it.

    `keys` maps key names (`app.keyid`) to their secrets; each key may do everything in its app. `clock`
    returns seconds since the epoch. `controlled` adds the routes below `/control`, by which processes of this
    machine inject faults. Everything is held in memory: the history of the last two
    minutes, who is connected and who is present. Use it within one event loop.

    After `close` it can be started again: channels keep their history, so that clients which come back resume
    where they were, on new connections. After an `outage` connections are still known.
    """

    def __init__(
        self,
        *,
        keys: Mapping[str, str],
        clock: Callable[[], float] = time.time,
        limits: Limits | None = None,
        controlled: bool = False,
    ) -> None:
        self.faults = Faults()
        self._limits = limits or Limits()
        self._clock = clock
        self._controlled = controlled
        own = [Key(name, secret) for name, secret in keys.items()]
        self._first_app = own[0].app_id if own else None
        self.apps = Apps(own, clock=clock, limits=self._limits, faults=self.faults)
        self._tls: ssl.SSLContext | None = None
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._bound = ("127.0.0.1", 0)

    @property
    def host(self) -> str:
        """The host that the endpoint listens on, or listened on last."""
        return self._bound[0]

    @property
    def port(self) -> int:
        """The TCP port that the endpoint listens on, or listened on last; 0 before the first start."""
        return self._bound[1]

    @property
    def address(self) -> str:
        """`host:port` by which this machine reaches it, as in `127.0.0.1:8081` or `[::1]:8081`."""
        host = _LOOPBACK_OF.get(self.host, self.host)
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def published(self) -> deque[tuple[str, Message]]:
        """What was accepted in the app of the first key, without duplicates: `(channel, message)`.

        The last 10,000 of them, oldest first. It is the recorder itself: tests may clear it.
        """
        if self._first_app is None:
            raise LookupError("the endpoint has no key of its own, hence no app")
        return self.apps.get(self._first_app).channels.recorder.published

    async def start(
        self, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None
    ) -> None:
        """Listen there (port 0: any free one), with TLS if a context with a certificate is given.

        Raise RuntimeError when started already, OSError when the port is taken.
        """
        if self._runner is not None:
            raise RuntimeError("running already")
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        self._runner, self._bound, self._tls = runner, (host, port), tls
        try:
            await runner.setup()
            await self._listen(runner)
        except BaseException:
            self._runner = None
            await runner.cleanup()
            raise
        self._tasks = [asyncio.create_task(self._sweep()), asyncio.create_task(self._beat())]

    async def close(self) -> None:
        """Drop all sockets and connections, and end every task. Closing twice does nothing."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for app in self.apps:
            app.close()
        # Otherwise a request that a client has begun and not finished would be waited for.
        _cut_all(runner)
        await runner.cleanup()

    def drop_sockets(self) -> None:
        """Cut every websocket, as a network does. Clients may come back at once, and resume."""
        for app in self.apps:
            app.connections.drop_sockets()

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Be unreachable for as long as the context lasts: all sockets are cut and the port is closed.

        Connections are remembered, so that clients who come back in time resume.
        """
        if self._runner is None or self._site is None:
            raise RuntimeError("not running, or away already")
        runner, site, self._site = self._runner, self._site, None
        await site.stop()
        _cut_all(runner)
        try:
            yield
        finally:
            while self._runner is runner and self._site is None:
                try:
                    await self._listen(runner)
                except OSError:
                    # Another socket has the port: for a moment, as clients' own sockets do.
                    await asyncio.sleep(_LISTEN_AGAIN_SECONDS)

    async def _listen(self, runner: web.AppRunner) -> None:
        host, port = self._bound
        site = web.TCPSite(runner, host, port, backlog=_BACKLOG, ssl_context=self._tls)
        await site.start()
        self._site = site
        self._bound = (host, int(runner.addresses[0][1]))

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[speak_ably], client_max_size=self._limits.body_size)
        application.add_routes(ChannelResources(self.apps, self.faults, self._clock).routes())
        application.add_routes(KeyResources(self.apps, self.faults, self._clock).routes())
        application.add_routes(AppResources(self.apps).routes())
        application.add_routes(UnsupportedResources(self.apps).routes())
        if self._controlled:
            control = ControlResources(self)
            application.add_routes(control.routes())
            application.on_cleanup.append(control.close)
        websocket = partial(serve_websocket, apps=self.apps, limits=self._limits, faults=self.faults)
        application.add_routes([web.get("/", websocket)])
        return application

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._limits.sweep_interval)
            self.apps.sweep()

    async def _beat(self) -> None:
        """Look after every connection a few times in each interval: a few of them at a time."""
        pause = self._limits.heartbeat_interval / _ROUNDS / _STEPS
        while True:
            connections = [connection for app in self.apps for connection in app.connections]
            for step in range(_STEPS):
                for connection in connections[step::_STEPS]:
                    if connection.outbox is not None:
                        connection.outbox.beat()
                await asyncio.sleep(pause)


def _cut_all(runner: web.AppRunner) -> None:
    for protocol in runner.server.connections if runner.server is not None else ():
        if protocol.transport is not None:
            protocol.transport.abort()

"""The endpoint as one object that can be started and closed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from .channels import Channels
from .connections import Connections
from .dispatch import Dispatcher
from .grants import Key
from .http import speak_ably
from .limits import Limits
from .rest import Rest
from .tokens import Keyring
from .websocket import serve_websocket

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Awaitable, Callable, Mapping

    from .protocol import Message

_BACKLOG = 1_024


class AblyLocal:
    """A local endpoint that speaks Ably's REST and realtime protocols, so that the genuine SDKs can use it.

    `keys` maps key names (`app.keyid`) to their secrets; each key may do everything. `clock` tells the time
    in seconds since the epoch. Everything is held in memory: the history of the last two minutes, who is
    connected and who is present. Use it within one event loop.

    After `close` it can be started again: channels keep their history, so that clients which come back resume
    where they were, on new connections.
    """

    def __init__(
        self,
        *,
        keys: Mapping[str, str],
        clock: Callable[[], float] = time.time,
        limits: Limits | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._keyring = Keyring(
            [Key(name, secret) for name, secret in keys.items()], clock=clock, limits=self._limits
        )
        self._channels = Channels(clock=clock, limits=self._limits)
        self._connections = Connections(
            keyring=self._keyring, channels=self._channels, clock=clock, limits=self._limits
        )
        self._dispatcher = Dispatcher(
            keyring=self._keyring, channels=self._channels, connections=self._connections, limits=self._limits
        )
        self._rest = Rest(
            keyring=self._keyring,
            channels=self._channels,
            connections=self._connections,
            clock=clock,
            limits=self._limits,
        )
        self._runner: web.AppRunner | None = None
        self._sweeper: asyncio.Task[None] | None = None
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
        """`host:port`, as in `127.0.0.1:8081`."""
        return f"{self.host}:{self.port}"

    @property
    def published(self) -> deque[tuple[str, Message]]:
        """What was accepted, without duplicates: `(channel, message)`, the last 10,000 of them, oldest first.

        It is the recorder itself: tests may clear it.
        """
        return self._channels.recorder.published

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen there (port 0: any free one).

        Raises RuntimeError when started already, OSError when the port is taken.
        """
        if self._runner is not None:
            raise RuntimeError("running already")
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=0)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, backlog=_BACKLOG).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self._bound = (host, int(runner.addresses[0][1]))
        self._sweeper = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """Drop all sockets and connections, and end every task. Closing twice does nothing."""
        runner, self._runner = self._runner, None
        if runner is None or self._sweeper is None:
            return
        self._sweeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._sweeper
        self._connections.abort_all()
        await runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[speak_ably], client_max_size=self._limits.body_size)
        application.add_routes([*self._rest.routes(), web.get("/", self._websocket())])
        return application

    def _websocket(self) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        return partial(
            serve_websocket,
            connections=self._connections,
            dispatcher=self._dispatcher,
            limits=self._limits,
        )

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._limits.sweep_interval)
            self._channels.sweep()
            self._keyring.sweep()

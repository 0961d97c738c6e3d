"""A way to a store that takes time: everything arrives, later."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

_CHUNK = 1 << 16


class SlowWay:
    """Leads from a TCP port to a Unix socket; everything arrives `seconds` later, in either direction."""

    def __init__(self, socket: str) -> None:
        self.seconds = 0.0
        self.port = 0
        self._socket = socket
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @classmethod
    def to_postgres(cls, url: str) -> SlowWay:
        """Make a way to an embedded PostgreSQL."""
        options = parse_qs(urlsplit(url).query)
        return cls(f"{options['host'][0]}/.s.PGSQL.{options['port'][0]}")

    @classmethod
    def to_redis(cls, url: str) -> SlowWay:
        """Make a way to an embedded Redis."""
        return cls(urlsplit(url).path)

    async def start(self) -> None:
        """Open it."""
        self._server = await asyncio.start_server(self._lead, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Close it."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _lead(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        there_reader, there_writer = await asyncio.open_unix_connection(self._socket)
        try:
            await asyncio.gather(self._carry(reader, there_writer), self._carry(there_reader, writer))
        finally:
            for end in (writer, there_writer):
                end.transport.abort()

    async def _carry(self, source: StreamReader, target: StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while data := await source.read(_CHUNK):
                # Handed over later, in order: what comes meanwhile is read meanwhile.
                loop.call_later(self.seconds, target.write, data)
        target.transport.abort()

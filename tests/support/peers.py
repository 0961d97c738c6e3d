"""Connections that a test holds open by the byte: silent ones, slow ones, ones that never read."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

#: What the kernel takes for a peer that does not read.
_SMALL = 4 * 1024


class Peer:
    """One connection to a service."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes, if the other side still takes any."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            pass

    async def status(self, seconds: float = 5.0) -> int:
        """Read the head of an answer, and return its status; 0 if the connection is closed instead."""
        try:
            async with asyncio.timeout(seconds):
                head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0
        return int(head.split()[1])

    async def is_cut(self, seconds: float = 5.0) -> bool:
        """Whether the other side closes the connection within a time; what it sends is thrown away."""
        try:
            async with asyncio.timeout(seconds):
                while await self.reader.read(65536):
                    pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True


@asynccontextmanager
async def peers(base: str, count: int, *, reads_little: bool = False) -> AsyncIterator[list[Peer]]:
    """Open so many connections, and close them at the end."""
    address = urlsplit(base)
    loop = asyncio.get_running_loop()
    opened: list[Peer] = []
    try:
        for _ in range(count):
            made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            made.setblocking(False)
            if reads_little:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
            await loop.sock_connect(made, (address.hostname, address.port))
            limit = _SMALL if reads_little else 2**16
            opened.append(Peer(*await asyncio.open_connection(sock=made, limit=limit)))
        yield opened
    finally:
        for peer in opened:
            peer.writer.transport.abort()
        # So that all of them are gone for the service as well when the next ones come.
        await asyncio.sleep(0)


def head(method: str, path: str, *lines: str, token: str | None = None) -> bytes:
    """Write the head of a request, without the empty line that ends it."""
    whose = [f"Authorization: Bearer {token}"] if token is not None else []
    return ("\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *whose, *lines]) + "\r\n").encode()

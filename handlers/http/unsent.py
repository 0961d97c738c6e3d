"""Answers that their readers do not take: one who takes next to nothing is cut off."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    import asyncio

log = structlog.get_logger(__name__)

#: An answer that is not taken is looked at this often. Who takes less than this meanwhile has gone: it is a
#: byte a millisecond, half of what a telephone gets in a very bad net.
WRITE_SECONDS: Final = 15.0
_LEAST_TAKEN: Final = 16 * 1024
#: What the kernel takes beyond what is on its way: more than a line of 1 Gbit/s takes in a millisecond.
_KEPT_BY_KERNEL: Final = 128 * 1024
_UNSENT_OPTION: Final[int | None] = getattr(socket, "TCP_NOTSENT_LOWAT", None)


class Unsent:
    """What a connection has written and its reader has not taken yet.

    It looks only while the reader is slow, and at the transport itself: aiohttp forgets that when it closes,
    and closing waits for the reader.
    """

    __slots__ = ("_left", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._left = 0
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, transport: asyncio.WriteTransport | None) -> None:
        """Begin to look, or go on; None is a connection that is closed already."""
        if transport is not None and self._timer is None:
            self._left = _left(transport)
            self._timer = self._loop.call_later(WRITE_SECONDS, self._look, transport)

    def forget(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, transport: asyncio.WriteTransport) -> None:
        self._timer = None
        left = _left(transport)
        if self._left - left < min(self._left, _LEAST_TAKEN):
            log.info("an answer was not taken", left=left)
            transport.abort()
        else:
            self.watch(transport)


def keep_little_unsent(transport: asyncio.WriteTransport) -> None:
    """Have the kernel keep little that is not on its way, instead of some MiB.

    What its reader does not take need not be read from a store, decrypted and copied for it.
    """
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family != socket.AF_UNIX and _UNSENT_OPTION is not None:
        connection.setsockopt(socket.IPPROTO_TCP, _UNSENT_OPTION, _KEPT_BY_KERNEL)


def _left(transport: asyncio.WriteTransport) -> int:
    """Return how many bytes wait for the reader, here and in the kernel.

    What a slow reader takes of what the kernel has shows there alone.
    """
    left = transport.get_write_buffer_size()
    connection = transport.get_extra_info("socket")
    if connection is not None:
        # Of a socket, this is what was not acknowledged (SIOCOUTQ of Linux).
        with suppress(OSError):
            left += struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]
    return left

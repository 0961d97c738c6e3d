"""The sockets that a replica listens on. They are bound first of all, so that its own address is known."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from config.addresses import authority

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config import Settings


def bind(settings: Settings, *, shared: bool) -> list[socket.socket]:
    """Bind every address of the host that is set, without listening yet. Raise OSError.

    Port 0 is any free one, the same for all of them; `shared`: other processes bind it as well.
    """
    return _bind(settings.host, settings.port, shared=shared)


def bind_operations(settings: Settings, *, shared: bool) -> list[socket.socket]:
    """Bind where those who run the service look, likewise; nothing without a port for them."""
    if settings.operations_port is None:
        return []
    return _bind(settings.operations_host, settings.operations_port, shared=shared)


def _bind(host: str, port: int, *, shared: bool) -> list[socket.socket]:
    with ExitStack() as undoing:
        bound = []
        for family, (address, _, *scope) in _addresses(host):
            made = undoing.enter_context(socket.socket(family, socket.SOCK_STREAM))
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                # As asyncio does: `::` is every IPv6 address, and IPv4 is not hidden behind it.
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                made.bind((address, port, *scope))
            except OSError as error:
                raise OSError(error.errno, f"{authority(address, port)}: {error.strerror}.") from None
            port = made.getsockname()[1]
            bound.append(made)
        undoing.pop_all()
        return bound


def _addresses(host: str) -> Iterator[tuple[socket.AddressFamily, Any]]:
    found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    yield from dict.fromkeys((family, address) for family, _, _, _, address in found)

"""What a request and a connection leave behind: nothing that only the garbage collector could free.

What is left for it makes it run more often and for longer, and whoever is in a chat waits meanwhile.
"""

from __future__ import annotations

import gc
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from handlers.http.connections import Connection, Connections
from tests.support.edges import another_edge
from tests.support.peers import Peer, head, peers
from tests.support.raw import post
from tests.support.sessions import opened
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.service import Service

_PEERS = 8
_OURS = ("handlers.", "rdchat.", "statemachine.", "aiohttp.web_", "aiohttp.http_writer")


@contextmanager
def left_behind() -> Iterator[Counter[str]]:
    """Count, by class, the service's objects that only the collector frees; filled at the end."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        names = (f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.garbage)
        found.update(name for name in names if name.startswith(_OURS))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry for each connection that was lost."""
    noted: list[None] = []
    leave = Connections.leave

    def note(self: Connections, one: Connection) -> None:
        leave(self, one)
        noted.append(None)

    monkeypatch.setattr(Connections, "leave", note)
    return noted


async def whole_status(peer: Peer) -> int:
    """Read an answer to its end. Return its status."""
    lines = (await peer.reader.readuntil(b"\r\n\r\n")).lower()
    await peer.reader.readexactly(int(lines.partition(b"content-length: ")[2].partition(b"\r")[0]))
    return int(lines.split()[1])


async def test_messages_and_their_connections_leave_nothing_to_the_collector(
    service: Service, lost: list[None]
) -> None:
    client, _, session_id = await opened(service)
    body = f'{{"sessionId": "{session_id}", "message": "Halo", "clientMessageId": "%s"}}'
    history = head("GET", f"/api/v1/chat/history?sessionId={session_id}", token=client.token) + b"\r\n"
    # Another spelling of the path goes aiohttp's way.
    other_way = history.replace(b"/chat/history", b"/chat/%68istory")
    refused = head("GET", "/api/v1/chat/sessions/active") + b"\r\n"
    async with another_edge(service.runtime, plain=True) as base:
        with left_behind() as left:
            async with peers(base, _PEERS) as there:
                for number, peer in enumerate(there):
                    said = (body % number).encode()
                    message = post("/chat/messages", client.token, said, f"Content-Length: {len(said)}")
                    for request, status in (
                        (message, 201),
                        (message, 200),
                        (history, 200),
                        (other_way, 200),
                        (refused, 401),
                        (refused.replace(b"/chat", b"/%63hat"), 401),
                    ):
                        await peer.send(request)
                        assert await whole_status(peer) == status
            await until(lambda: len(lost) == _PEERS, 5)
    # One or two of a kind may be the last ones at work.
    assert {name: count for name, count in left.items() if count >= _PEERS} == {}

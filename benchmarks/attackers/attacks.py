"""What attackers do, in a process of their own: each way of holding a service up, until told to stop.

An attacker whose connection is cut comes again a moment later, so that an attack lasts as long as it is
measured. Orders come by standard input, a line of JSON each: `{"attack": "silent", "count": 1000}` is
answered once all of it is in place, `{"attack": null}` once all of it has gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import resource
import socket
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import uvloop

from benchmarks.side_process import answer, next_order

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import Awaitable, Callable

    Way = Callable[["Attack", int, StreamReader, StreamWriter], Awaitable[None]]

#: Who is cut or refused comes again after about this.
_AGAIN_SECONDS: Final = 2.0
#: What drips, drips this often.
_DRIP_SECONDS: Final = 0.5
#: So long the whole of an attack may take to be in place; one that is fended off never is.
_IN_PLACE_SECONDS: Final = 10.0
#: What a slow reader's kernel takes at the most before it has read anything.
_SMALL_WINDOW: Final = 4 * 1024
_FILE_BYTES: Final = 10 * 1024 * 1024
_CHUNK: Final = 64 * 1024
#: More than one connection may have waiting.
_PIPELINED: Final = 60
_BOUNDARY: Final = "attackers"


@dataclass(slots=True)
class Target:
    """The service, and what attackers have of it: each is a client with a token and a session that is open.

    `link` is the path of a file of 10 MiB; `diagrams` are the paths of drawings.
    """

    host: str
    port: int
    token: str
    session_id: str
    link: str
    diagrams: list[str]


@dataclass(slots=True)
class Attack:
    """One kind of attack that is under way. `answers` counts what attackers were told, by status."""

    target: Target
    count: int
    in_place: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    answers: dict[str, int] = field(default_factory=dict)

    def arrived(self) -> None:
        """Note that one attacker is where it wants to be."""
        self.in_place += 1
        if self.in_place >= self.count:
            self.reached.set()

    def told(self, head: bytes) -> None:
        """Note what one was answered; `cut` where nothing came."""
        status = head[9:12].decode("ascii", "replace") if head.startswith(b"HTTP/1.1 ") else "cut"
        self.answers[status] = self.answers.get(status, 0) + 1

    def head(self, method: str, path: str, *lines: str, token: bool = True) -> bytes:
        """Make the head of a request, without the empty line at its end."""
        whose = [f"Authorization: Bearer {self.target.token}"] if token else []
        return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: rdchat", *whose, *lines, ""]).encode()


async def _silent(attack: Attack, _number: int, reader: StreamReader, _writer: StreamWriter) -> None:
    """Say nothing."""
    attack.arrived()
    attack.told(await reader.read(_CHUNK))


async def _dripping(attack: Attack, _number: int, reader: StreamReader, writer: StreamWriter) -> None:
    """Send a head, a byte at a time, and never to its end."""
    writer.write(attack.head("POST", "/api/v1/chat/messages"))
    attack.arrived()
    ended = asyncio.create_task(reader.read(_CHUNK))
    try:
        while not ended.done():
            writer.write(b"X")
            await writer.drain()
            await asyncio.wait({ended}, timeout=_DRIP_SECONDS)
        attack.told(ended.result())
    finally:
        ended.cancel()


async def _slow_readers(attack: Attack, _number: int, reader: StreamReader, writer: StreamWriter) -> None:
    """Ask for a large file, and take next to nothing of it."""
    writer.write(attack.head("GET", attack.target.link, token=False) + b"\r\n")
    attack.told(await reader.read(16))
    attack.arrived()
    taken = b"?"
    while taken:
        await asyncio.sleep(_DRIP_SECONDS)
        taken = await reader.read(16)


async def _unread(attack: Attack, _number: int, reader: StreamReader, writer: StreamWriter) -> None:
    """Ask many things on one connection, and read none of the answers."""
    del reader
    get = attack.head("GET", attack.target.link, token=False) + b"\r\n"
    body = json.dumps({"sessionId": attack.target.session_id, "message": "x"}).encode()
    post = attack.head(
        "POST", "/api/v1/chat/messages", "Content-Type: application/json", f"Content-Length: {len(body)}"
    )
    writer.write(get + (post + b"\r\n" + body) * _PIPELINED)
    attack.arrived()
    # To notice the end without reading, it goes on writing.
    while True:
        await asyncio.sleep(_DRIP_SECONDS)
        writer.write(post + b"\r\n" + body)
        await writer.drain()


async def _diagrams(attack: Attack, number: int, reader: StreamReader, writer: StreamWriter) -> None:
    """Have drawings made, one after the other."""
    attack.arrived()
    paths = attack.target.diagrams
    while True:
        writer.write(attack.head("GET", paths[number % len(paths)]) + b"\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        attack.told(head)
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]))
        if not head.startswith(b"HTTP/1.1 200"):
            await asyncio.sleep(_DRIP_SECONDS)


async def _slow_bodies(attack: Attack, number: int, reader: StreamReader, writer: StreamWriter) -> None:
    """Announce a body, and send a byte of it now and then. Every other one has no token."""
    lines = "Content-Type: application/json", "Content-Length: 2000"
    writer.write(attack.head("POST", "/api/v1/chat/messages", *lines, token=number % 2 == 0) + b"\r\n{")
    attack.arrived()
    ended = asyncio.create_task(reader.read(_CHUNK))
    try:
        while not ended.done():
            writer.write(b" ")
            await writer.drain()
            await asyncio.wait({ended}, timeout=2 * _DRIP_SECONDS)
        attack.told(ended.result())
    finally:
        ended.cancel()


async def _uploads(attack: Attack, _number: int, reader: StreamReader, writer: StreamWriter) -> None:
    """Send a file of 10 MiB but for its last bytes."""
    lines = (
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY}",
        f"Content-Length: {_FILE_BYTES + 1000}",
    )
    form = (
        f"--{_BOUNDARY}\r\nContent-Disposition: form-data; name=sessionId\r\n\r\n"
        f"{attack.target.session_id}\r\n"
        f"--{_BOUNDARY}\r\nContent-Disposition: form-data; name=file; filename=a.txt\r\n\r\n"
    )
    writer.write(attack.head("POST", "/api/v1/chat/messages/upload", *lines) + b"\r\n" + form.encode())
    ended = asyncio.create_task(reader.read(_CHUNK))
    try:
        for _ in range(_FILE_BYTES // _CHUNK):
            if ended.done():
                break
            writer.write(b"x" * _CHUNK)
            await writer.drain()
        attack.arrived()
        attack.told(await ended)
    finally:
        ended.cancel()


#: By name: how, and how much the kernel may take for an attacker that does not read (None: as usual).
WAYS: Final[dict[str, tuple[Way, int | None]]] = {
    "silent": (_silent, None),
    "dripping": (_dripping, None),
    "slow readers": (_slow_readers, _SMALL_WINDOW),
    "unread": (_unread, _SMALL_WINDOW),
    "diagrams": (_diagrams, None),
    "slow bodies": (_slow_bodies, None),
    "uploads": (_uploads, None),
}


async def _attacker(attack: Attack, number: int, way: Way, window: int | None) -> None:
    """Be one attacker, who comes again whenever they are cut."""
    while True:
        writer = None
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setblocking(False)
        if window is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        try:
            await asyncio.get_running_loop().sock_connect(made, (attack.target.host, attack.target.port))
            # What one reads in advance counts as read.
            reader, writer = await asyncio.open_connection(sock=made, limit=window or _CHUNK)
            await way(attack, number, reader, writer)
        except (OSError, EOFError, ValueError):
            attack.told(b"")
        finally:
            if writer is not None:
                writer.transport.abort()
            made.close()
        # Each in its own time, as those who know nothing of each other.
        await asyncio.sleep(_AGAIN_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - no secret


async def _serve_orders() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    script = await next_order()
    target = Target(**script) if script is not None else None
    answer({})
    under_way: dict[str, Attack] = {}
    tasks: list[asyncio.Task[None]] = []
    while target is not None and (order := await next_order()):
        if order["attack"] is None:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            answer({name: attack.answers for name, attack in under_way.items()})
            under_way, tasks = {}, []
            continue
        target.link = order["link"]
        way, window = WAYS[order["attack"]]
        attack = under_way[order["attack"]] = Attack(target, order["count"])
        tasks += [
            asyncio.create_task(_attacker(attack, number, way, window)) for number in range(attack.count)
        ]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_IN_PLACE_SECONDS):
                await attack.reached.wait()
        answer({"inPlace": min(attack.in_place, attack.count)})


if __name__ == "__main__":
    # They stand for other machines: what they do with their own processors is not the service's to give.
    os.nice(19)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    uvloop.run(_serve_orders())

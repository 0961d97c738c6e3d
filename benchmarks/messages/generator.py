"""A load generator for `POST /chat/messages`, in a process of its own.

It has to be cheap, because it shares the machine with what it measures: requests are made of parts that were
prepared, answers are not parsed beyond status and length. `closed`: so many connections, each sends the next
message when the last one is answered. `open`: messages come at a rate by a timetable, whether or not the
service keeps up, and waiting for a free connection counts as waiting.

It reads orders from standard input and answers on standard output, a line of JSON each.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import uvloop

from benchmarks.quantiles import quantile
from benchmarks.side_process import SideProcess, answer, next_order

if TYPE_CHECKING:
    from collections.abc import Callable

_TEXT = "Akhir-akhir ini saya susah tidur, dan rasanya semua tugas datang bersamaan. Bagaimana sebaiknya? 🙏"
_TICK_SECONDS = 0.001
_DIGITS = 16
_CREATED = "201"


@dataclass(frozen=True, slots=True)
class Speaker:
    """A person in a session, with a token. Those who are `watched` have a listener at the other end."""

    session_id: str
    token: str
    watched: bool = False


@dataclass(slots=True)
class Load:
    """What came of an order. Latencies are milliseconds, of the messages that were accepted, sorted.

    `sent` are the numbers of the watched messages, each with the instant (monotonic, ns) at which it was due.
    """

    seconds: float
    answers: dict[str, int]
    latencies: list[float]
    sent: dict[str, int]

    @property
    def number(self) -> int:
        """How many messages were sent."""
        return sum(self.answers.values())

    @property
    def accepted(self) -> int:
        """How many messages were accepted."""
        return self.answers.get(_CREATED, 0)

    @property
    def rate(self) -> float:
        """Accepted messages a second."""
        return self.accepted / self.seconds

    def latency(self, share: float) -> float:
        """Return a quantile of the latencies, in ms."""
        return quantile(self.latencies, share)


class Generator(SideProcess):
    """The process, as its owner sees it."""

    def __init__(self, base: str, speakers: list[Speaker]) -> None:
        host, _, port = base.removeprefix("http://").partition(":")
        script = {
            "host": host,
            "port": int(port),
            "speakers": [[one.session_id, one.token, one.watched] for one in speakers],
        }
        super().__init__("benchmarks.messages.generator", script)

    async def closed(self, connections: int, seconds: float) -> Load:
        """Keep so many connections busy."""
        return Load(**await self.ask({"connections": connections, "seconds": seconds, "rate": 0}))

    async def open(self, rate: float, connections: int, seconds: float) -> Load:
        """Send at a rate (messages a second), on at most so many connections."""
        return Load(**await self.ask({"connections": connections, "seconds": seconds, "rate": rate}))


# ---- the process ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Prepared:
    head: bytes
    tail: bytes
    watched: bool

    def request(self, number: int) -> bytes:
        return self.head + b"%0*d" % (_DIGITS, number) + self.tail


def _prepare(host: str, port: int, session_id: str, token: str, *, watched: bool) -> _Prepared:
    mark = "#" * _DIGITS
    body = json.dumps(
        {"sessionId": session_id, "message": _TEXT, "messageType": "text", "clientMessageId": mark},
        ensure_ascii=False,
    ).encode()
    lines = (
        "POST /api/v1/chat/messages HTTP/1.1",
        f"Host: {host}:{port}",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        "Accept: */*",
        f"Content-Length: {len(body)}",
    )
    head, _, tail = body.partition(mark.encode())
    return _Prepared("\r\n".join(lines).encode() + b"\r\n\r\n" + head, tail, watched)


class _Connection(asyncio.Protocol):
    """One connection with one request in flight."""

    def __init__(self, on_answer: Callable[[_Connection, str], None]) -> None:
        self._on_answer = on_answer
        self._data = b""
        self._transport: asyncio.WriteTransport | None = None
        self.due = 0.0
        self.closed = False

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - asyncio's signature is wider
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.closed = True
        if self.due:
            self._on_answer(self, "lost")

    def send(self, request: bytes, due: float) -> None:
        self.due = due
        if self._transport is not None:
            self._transport.write(request)

    def close(self) -> None:
        self.due = 0.0
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._data = data = self._data + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        start = data.lower().find(b"content-length:") + 15
        if len(data) >= end + 4 + int(data[start : data.find(b"\r", start)]):
            self._data = b""
            self._on_answer(self, data[9:12].decode())


@dataclass(slots=True)
class _Run:
    """One order being carried out."""

    speakers: list[_Prepared]
    first: int
    rate: float
    seconds: float
    answers: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    free: list[_Connection] = field(default_factory=list)
    waiting: deque[float] = field(default_factory=deque)
    number: int = 0
    busy: int = 0
    began: float = 0.0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def answered(self, connection: _Connection, status: str) -> None:
        now = time.perf_counter()
        self.answers[status] += 1
        if status == _CREATED:
            self.latencies.append(1000 * (now - connection.due))
        self.busy -= 1
        connection.due = 0.0
        if connection.closed:
            pass
        elif self.rate:
            if self.waiting:
                self.send(connection, self.waiting.popleft())
            else:
                self.free.append(connection)
        elif now < self.began + self.seconds:
            self.send(connection, now)
        if not self.busy:
            self.done.set()

    def send(self, connection: _Connection, due: float) -> None:
        number = self.first + self.number
        speaker = self.speakers[number % len(self.speakers)]
        self.number += 1
        self.busy += 1
        self.done.clear()
        if speaker.watched:
            self.sent[f"{number:0{_DIGITS}d}"] = int(due * 1e9)
        connection.send(speaker.request(number), due)

    def next_free(self) -> _Connection | None:
        """Take a connection that is free, and was not closed meanwhile."""
        while self.free:
            connection = self.free.pop()
            if not connection.closed:
                return connection
        return None

    async def by_timetable(self) -> None:
        """Send what is due, at the instants of a Poisson process."""
        chance = random.Random(7)  # noqa: S311 - a timetable, not a secret
        due = self.began
        end = self.began + self.seconds
        while due < end:
            now = time.perf_counter()
            while due <= now and due < end:
                if (connection := self.next_free()) is not None:
                    self.send(connection, due)
                else:
                    self.waiting.append(due)
                due += chance.expovariate(self.rate)
            await asyncio.sleep(_TICK_SECONDS)

    async def carry_out(self, host: str, port: int, connections: int) -> Load:
        loop = asyncio.get_running_loop()
        opened = [
            (await loop.create_connection(lambda: _Connection(self.answered), host, port))[1]
            for _ in range(connections)
        ]
        self.began = time.perf_counter()
        if self.rate:
            self.free += opened
            await self.by_timetable()
            while self.busy or (self.waiting and self.free):
                self.done.clear()
                await self.done.wait()
        else:
            for connection in opened:
                self.send(connection, time.perf_counter())
            await self.done.wait()
        took = time.perf_counter() - self.began
        for connection in opened:
            connection.close()
        return Load(took, dict(self.answers), sorted(self.latencies), self.sent)


async def _serve_orders() -> None:
    script = await next_order()
    if script is None:
        return
    host, port = script["host"], script["port"]
    speakers = [
        _prepare(host, port, session_id, token, watched=watched)
        for session_id, token, watched in script["speakers"]
    ]
    answer({})
    # Every run of the program sends texts that were never sent before.
    number = time.time_ns() // 1_000_000 * 1000
    while order := await next_order():
        run = _Run(speakers, number, order["rate"], order["seconds"])
        load = await run.carry_out(host, port, order["connections"])
        number += run.number
        answer(
            {
                "seconds": load.seconds,
                "answers": load.answers,
                "latencies": [round(one, 3) for one in load.latencies],
                "sent": load.sent,
            }
        )


if __name__ == "__main__":
    uvloop.run(_serve_orders())

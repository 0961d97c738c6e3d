"""A load generator, in a process of its own.

It has to be cheap, because it shares the machine with what it measures: requests are made of parts that were
prepared, answers are not parsed beyond status and length. `closed`: so many connections, each sends the next
request when the last one is answered. `open`: requests come at a rate by a timetable, whether or not the
service keeps up, and waiting for a free connection counts as waiting.

It reads orders from standard input and answers on standard output, a line of JSON each.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import uvloop

from benchmarks.quantiles import quantile
from benchmarks.side_process import SideProcess, answer, next_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TICK_SECONDS = 0.001
_DIGITS = 16
#: In a request's body: the place of its number, which is as long.
MARK = "#" * _DIGITS


@dataclass(frozen=True, slots=True)
class Request:
    """A request with a token that is sent again and again; `body` is JSON, perhaps with `MARK` in it.

    Of those that are `watched` it is told when they were sent.
    """

    method: str
    path: str
    token: str
    body: str = ""
    watched: bool = False


@dataclass(slots=True)
class Load:
    """What came of an order. Latencies are milliseconds, of the requests that were accepted, sorted.

    `sent` are the numbers of the watched requests, each with the instant (monotonic, ns) at which it was due.
    """

    seconds: float
    answers: dict[str, int]
    latencies: list[float]
    sent: dict[str, int]

    @property
    def number(self) -> int:
        """How many requests were sent."""
        return sum(self.answers.values())

    @property
    def accepted(self) -> int:
        """How many requests were accepted."""
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Accepted requests a second."""
        return self.accepted / self.seconds

    def latency(self, share: float) -> float:
        """Return a quantile of the latencies, in ms."""
        return quantile(self.latencies, share)


class Generator(SideProcess):
    """The process, as its owner sees it."""

    def __init__(
        self,
        base: str,
        requests: Sequence[Request],
        *,
        accepted: int = 200,
        rounds: bool = False,
        first: int = 0,
    ) -> None:
        """Send the requests in turn; `accepted` is the status that counts.

        Each has a number of its own, counted from `first`, with its leading zeros; with `rounds`, a round of
        all requests has one together, which is a number in JSON as well.
        """
        host, _, port = base.removeprefix("http://").partition(":")
        script = {
            "host": host,
            "port": int(port),
            "requests": [asdict(one) for one in requests],
            "accepted": str(accepted),
            "rounds": rounds,
            "first": first,
        }
        super().__init__("benchmarks.generator", script)

    async def closed(self, connections: int, seconds: float) -> Load:
        """Keep so many connections busy."""
        return Load(**await self.ask({"connections": connections, "seconds": seconds, "rate": 0}))

    async def open(self, rate: float, connections: int, seconds: float) -> Load:
        """Send at a rate (requests a second), on at most so many connections."""
        return Load(**await self.ask({"connections": connections, "seconds": seconds, "rate": rate}))


# ---- the process ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Prepared:
    head: bytes
    tail: bytes | None
    watched: bool

    def numbered(self, number: bytes) -> bytes:
        return self.head if self.tail is None else self.head + number + self.tail


def _prepare(host: str, port: int, request: Request) -> _Prepared:
    body = request.body.encode()
    lines = [
        f"{request.method} {request.path} HTTP/1.1",
        f"Host: {host}:{port}",
        f"Authorization: Bearer {request.token}",
        "Accept: */*",
    ]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    whole = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    head, mark, tail = whole.partition(MARK.encode())
    return _Prepared(head, tail if mark else None, request.watched)


class _Connection(asyncio.Protocol):
    """One connection with one request in flight."""

    def __init__(self, on_answer: Callable[[_Connection, str], None]) -> None:
        self._on_answer = on_answer
        self._data = bytearray()
        self._whole = 0
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
        self._data += data
        if not self._whole:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._data[:end]).lower() + b"\r"
            start = head.find(b"content-length:") + 15
            self._whole = end + 4 + int(head[start : head.find(b"\r", start)])
        if len(self._data) >= self._whole:
            status = self._data[9:12].decode()
            self._data, self._whole = bytearray(), 0
            self._on_answer(self, status)


@dataclass(slots=True)
class _Run:
    """One order being carried out."""

    requests: list[_Prepared]
    numbered: Callable[[int], bytes]
    accepted: str
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
        if status == self.accepted:
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
        request = self.requests[number % len(self.requests)]
        self.number += 1
        self.busy += 1
        self.done.clear()
        text = self.numbered(number)
        if request.watched:
            self.sent[text.decode()] = int(due * 1e9)
        connection.send(request.numbered(text), due)

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
    requests = [_prepare(host, port, Request(**one)) for one in script["requests"]]
    answer({})
    number, rounds = script["first"], script["rounds"]

    def numbered(number: int) -> bytes:
        return b"%*d" % (_DIGITS, number // len(requests)) if rounds else b"%0*d" % (_DIGITS, number)

    while order := await next_order():
        run = _Run(requests, numbered, script["accepted"], number, order["rate"], order["seconds"])
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

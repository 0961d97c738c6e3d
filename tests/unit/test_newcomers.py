"""New connections begin a few at a time, in their order, and the loop goes round in between."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
import uvloop
from aiohttp import web

from handlers.http.admission import Admission
from handlers.http.connections import Connections
from handlers.http.cors import CrossOrigin
from handlers.http.edge_headers import EdgeHeaders
from handlers.http.envelope import Envelope, PlainRoute
from handlers.http.gate import Guards
from handlers.http.newcomers import Newcomers
from handlers.http.protocol import Runner
from handlers.http.route_table import RouteTable
from handlers.http.strangers import Strangers
from handlers.http.written import Writer
from rdchat.common.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from handlers.http.newcomers import Newcomer


class Connection:
    def __init__(self, number: int, begun: list[int]) -> None:
        self.number = number
        self.has_gone = False
        self.held_bytes = 300
        self._begun = begun

    def begin(self) -> bool:
        if not self.has_gone:
            self._begun.append(self.number)
        return not self.has_gone


def enter(newcomers: Newcomers, number: int, begun: list[int]) -> tuple[list[Connection], list[bool]]:
    made = [Connection(one, begun) for one in range(number)]
    return made, [newcomers.enter(one) for one in made]


async def test_a_few_begin_at_once_and_the_others_in_the_rounds_that_follow() -> None:
    newcomers, begun = Newcomers(4), list[int]()
    _, at_once = enter(newcomers, 10, begun)
    assert at_once == [True] * 4 + [False] * 6
    assert len(newcomers) == 6
    await asyncio.sleep(0)
    assert begun == [4, 5, 6, 7]
    # Others come behind those who wait.
    assert enter(newcomers, 2, begun)[1] == [False, False]
    await asyncio.sleep(0)
    assert begun == [4, 5, 6, 7, 8, 9, 0, 1]
    assert not len(newcomers)


async def test_those_with_many_requests_begin_one_by_one_and_hold_up_no_one() -> None:
    newcomers, begun = Newcomers(2), list[int]()
    made = [Connection(one, begun) for one in range(8)]
    for one in made[:5]:
        one.held_bytes = 30_000
    # The first of them, and one with a single request; the others wait in two queues.
    assert [newcomers.enter(one) for one in made] == [True, *[False] * 4, True, False, False]
    await asyncio.sleep(0)
    assert begun == [6, 7, 1]
    for _ in range(3):
        await asyncio.sleep(0)
    assert begun == [6, 7, 1, 2, 3, 4]
    assert not len(newcomers)


async def test_one_that_has_gone_takes_no_turn() -> None:
    newcomers, begun = Newcomers(1), list[int]()
    made, _ = enter(newcomers, 4, begun)
    made[1].has_gone = made[2].has_gone = True
    await asyncio.sleep(0)
    assert begun == [3]


async def test_alone_no_one_waits() -> None:
    newcomers, begun = Newcomers(1), list[int]()
    for _ in range(3):
        assert enter(newcomers, 1, begun)[1] == [True]
        await asyncio.sleep(0)
        await asyncio.sleep(0)


class Waiting(Newcomers):
    """Lets no one begin before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Newcomer] = []

    def enter(self, one: Newcomer) -> bool:
        self.kept.append(one)
        return False


async def served_in_turn() -> None:
    served: list[str] = []

    async def serve(request: web.Request) -> web.Response:
        served.append(await request.text())
        return web.Response(text="done")

    app = web.Application()
    app.router.add_post("/", serve)
    edge = EdgeHeaders(CrossOrigin(frozenset()), behind_tls=False)
    newcomers = Waiting()

    def ignore() -> None:
        pass

    guards = Guards(Admission(9, ignore, edge), Connections(9, ignore), Strangers((), ignore), newcomers)
    envelope = Envelope(Metrics(), time.perf_counter, edge, Writer(edge), lambda _: None)
    runner = Runner(app, envelope, guards, RouteTable[PlainRoute](), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        ways = [await asyncio.open_connection(host, port) for _ in range(2)]
        body = b"x" * 200_000
        for _, writer in ways:
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + body)
        # More than enough for what is sent on the loopback to be looked at, if it were.
        for _ in range(200):
            await asyncio.sleep(0.001)
        assert len(newcomers.kept) == 2
        assert served == []
        assert [one.begin() for one in newcomers.kept] == [True, True]
        for reader, writer in ways:
            async with asyncio.timeout(10):
                assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            writer.close()
        assert served == [body.decode()] * 2
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("new_loop", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_nothing_is_looked_at_before_its_turn(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """uvloop, which serves, begins to read whatever `connection_made` says."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(served_in_turn())

"""What one connection may do, in both ways of serving: ask again and again, not read, go away."""

from __future__ import annotations

import asyncio
import gc
import re
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from handlers.http import protocol
from handlers.http.envelope import Envelope
from handlers.http.unsent import Unsent
from tests.support.edges import another_edge
from tests.support.peers import peers
from tests.support.raw import post
from tests.support.sessions import opened
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.peers import Peer
    from tests.support.service import Service

    Serve = Callable[..., AbstractAsyncContextManager[str]]

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_PATIENCE = 10.0


@pytest.fixture(params=["plain", "aiohttp"])
def serve(service: Service, request: pytest.FixtureRequest) -> Serve:
    """What serves the replica once more, in one of the two ways."""
    return partial(another_edge, service.runtime, plain=request.param == "plain")


class Held:
    """Keeps `GET /chat/unread` from being answered until it is let go."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()
        self.waiting = 0

    async def count_unread(self, *_: Any) -> dict[Any, int]:
        self.waiting += 1
        try:
            await self.let_go.wait()
        finally:
            self.waiting -= 1
        return {}


@pytest.fixture
async def held(service: Service, monkeypatch: pytest.MonkeyPatch) -> Held:
    made = Held()
    monkeypatch.setattr(type(service.runtime.chat), "count_unread", made.count_unread)
    return made


def get(path: str, token: str, method: str = "GET") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    return head.encode()


async def statuses(peer: Peer, number: int) -> list[int]:
    """Read so many answers, and whatever comes with the last of them."""
    found: list[bytes] = []
    seen = b""
    async with asyncio.timeout(_PATIENCE):
        while len(found) < number:
            part = await peer.reader.read(1 << 20)
            assert part, "closed"
            seen += part
            found += _STATUS.findall(seen)
            # The beginning of a status may be there.
            seen = _STATUS.sub(b"", seen)[-len("HTTP/1.1 200") :]
    return [int(one) for one in found]


UNREAD = "/api/v1/chat/unread"


async def test_what_comes_behind_is_answered_behind(service: Service, held: Held, serve: Serve) -> None:
    client, _, session_id = await opened(service)
    said = f'{{"sessionId": "{session_id}", "message": "Halo"}}'.encode()
    requests = [
        (get(UNREAD, client.token), 200),
        (post("/chat/messages", client.token, said, f"Content-Length: {len(said)}"), 201),
        (get("/healthz", client.token), 200),
        (get(f"{UNREAD}?x=1", client.token), 400),
        (get("/api/v1/chat/sessions", client.token, "HEAD"), 200),
        (
            post(
                "/chat/messages",
                client.token,
                b"%x\r\n%s\r\n0\r\n\r\n" % (len(said), said),
                "Transfer-Encoding: chunked",
            ),
            201,
        ),
        (get("/api/v1/nothing", client.token), 404),
        (get("/api/v1/notifications", client.token), 200),
    ]
    async with serve() as base:
        for pieces in (1, 2, len(requests)):
            held.let_go.clear()
            async with peers(base, 1) as (peer,):
                size = -(-len(requests) // pieces)
                for at in range(0, len(requests), size):
                    peer.writer.write(b"".join(sent for sent, _ in requests[at : at + size]))
                    await until(lambda: held.waiting == 1)
                held.let_go.set()
                assert await statuses(peer, len(requests)) == [status for _, status in requests]
                # And it goes on.
                peer.writer.write(requests[-1][0])
                assert await statuses(peer, 1) == [200]


async def test_a_long_queue_is_answered_to_its_end(service: Service, held: Held, serve: Serve) -> None:
    client = service.person()
    async with serve() as base, peers(base, 1) as (peer,):
        peer.writer.write(get(UNREAD, client.token) + get("/api/v1/notifications", client.token) * 299)
        await until(lambda: held.waiting == 1)
        held.let_go.set()
        assert await statuses(peer, 300) == [200] * 300


async def test_who_reads_nothing_is_answered_no_more(
    service: Service, monkeypatch: pytest.MonkeyPatch, serve: Serve
) -> None:
    client, _, session_id = await opened(service)
    for number in range(20):
        assert (await client.say(session_id, f"{number} " + "kata " * 800)).status == 201
    full = asyncio.Event()
    watch = Unsent.watch

    def noted(self: Unsent, transport: asyncio.WriteTransport | None) -> None:
        watch(self, transport)
        full.set()

    monkeypatch.setattr(Unsent, "watch", noted)
    list_messages = type(service.runtime.chat).list_messages
    served = 0

    async def counted(self: Any, *arguments: Any) -> Any:
        nonlocal served
        served += 1
        return await list_messages(self, *arguments)

    monkeypatch.setattr(type(service.runtime.chat), "list_messages", counted)
    asked = get(f"/api/v1/chat/history?sessionId={session_id}&limit=100", client.token)
    async with (
        serve() as base,
        peers(base, 1, reads_little=True) as (peer,),
    ):
        number = 200
        for _ in range(number):
            peer.writer.write(asked)
        async with asyncio.timeout(_PATIENCE):
            await full.wait()
        # All of them are 16 MB. The kernel keeps up to 4 MiB for a reader.
        before = served
        assert before < number // 2
        # It goes on as far as it is read.
        read = await statuses(peer, before + 5)
        assert set(read) == {200}
        assert served > before


async def test_who_goes_away_leaves_nothing_behind(service: Service, held: Held, serve: Serve) -> None:
    client = service.person()
    async with serve() as base:
        for _ in range(70):
            # More often than one person may have requests under way.
            async with peers(base, 1) as (peer,):
                peer.writer.write(get(UNREAD, client.token) * 2)
                await until(lambda: held.waiting == 1)
            held.let_go.set()
            await until(lambda: held.waiting == 0)
            held.let_go.clear()
        held.let_go.set()
        async with peers(base, 1) as (peer,):
            peer.writer.write(get(UNREAD, client.token))
            assert await statuses(peer, 1) == [200]


@pytest.mark.parametrize("patience", [_PATIENCE, 0.0])
async def test_what_is_under_way_at_the_end_is_answered_if_there_is_time(
    service: Service, held: Held, serve: Serve, patience: float
) -> None:
    client = service.person()
    async with AsyncExitStack() as edge:
        base = await edge.enter_async_context(serve(patience=patience))
        async with peers(base, 2) as (peer, idle):
            idle.writer.write(get("/healthz", client.token))
            assert await statuses(idle, 1) == [200]
            peer.writer.write(get(UNREAD, client.token))
            await until(lambda: held.waiting == 1)
            ending = asyncio.create_task(edge.aclose())
            assert await idle.is_cut()
            assert held.waiting == 1 or not patience
            held.let_go.set()
            if patience:
                assert await statuses(peer, 1) == [200]
            assert await peer.is_cut()
            await ending


async def test_a_connection_waits_for_the_next_request_from_the_last_answer_on(
    service: Service, held: Held, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(protocol, "IDLE_SECONDS", 0.3)
    client = service.person()
    async with serve() as base, peers(base, 1) as (peer,):
        peer.writer.write(get(UNREAD, client.token))
        await until(lambda: held.waiting == 1)
        # Longer than it may be idle: it is not.
        await asyncio.sleep(0.5)
        held.let_go.set()
        assert await statuses(peer, 1) == [200]
        async with asyncio.timeout(_PATIENCE):
            assert not await peer.reader.read(1)


async def test_who_is_refused_anyway_is_not_waited_for(service: Service, serve: Serve) -> None:
    client, _, session_id = await opened(service)
    body = f'{{"sessionId": "{session_id}", "message": "Halo"}}'.encode()
    announced = post("/chat/messages", client.token, b"{", f"Content-Length: {len(body)}")
    async with serve() as base, peers(base, 20) as (stranger, *own):
        for peer in own:
            peer.writer.write(announced)
        answers = [asyncio.create_task(peer.status(_PATIENCE)) for peer in own]
        # Sixteen bodies of one person may be on their way.
        await until(lambda: sum(answer.done() for answer in answers) == 3)
        assert {answer.result() for answer in answers if answer.done()} == {429}
        stranger.writer.write(announced.replace(b"Authorization", b"X-Nothing"))
        assert await stranger.status() == 401
        for peer, answer in zip(own, answers, strict=True):
            if not answer.done():
                peer.writer.write(body[1:])
        assert sorted(await asyncio.gather(*answers)) == [201] * 16 + [429] * 3


async def test_where_there_is_no_answer_nothing_follows(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the log cannot be written: the next answer must not be taken for this one."""

    async def fail(*_: Any) -> bytes:
        raise OSError("no space left on device")

    monkeypatch.setattr(Envelope, "answer_plainly", fail)
    client = service.person()
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    async with peers(service.base, 1) as (peer,):
        peer.writer.write(get(UNREAD, client.token) + get("/healthz", client.token))
        assert await peer.status() == 0
    gc.collect()
    await until(lambda: [type(one["exception"]) for one in failures] == [OSError])


@pytest.mark.parametrize("number", [30, 31, 32, 33, 64])
async def test_a_long_body_behind_a_queue_is_a_body(service: Service, serve: Serve, number: int) -> None:
    """The parser hands out so many requests at once, and the next with its body open."""
    client, _, session_id = await opened(service)
    said = f'{{"sessionId": "{session_id}", "message": "Halo"}}'.encode() + b" " * 60_000
    last = post("/chat/messages", client.token, said, f"Content-Length: {len(said)}")
    async with serve() as base, peers(base, 1) as (peer,):
        peer.writer.write(get(UNREAD, client.token) * number + last[: -len(said) + 100])
        for at in range(-len(said) + 100, 0, 10_000):
            # In pieces of their own, each longer than any line of a head.
            await asyncio.sleep(0.01)
            peer.writer.write(last[at : at + 10_000 or None] if at + 10_000 < 0 else last[at:])
        assert await statuses(peer, number + 1) == [200] * number + [201]


async def test_what_comes_behind_a_declined_upgrade_is_answered(service: Service, serve: Serve) -> None:
    client = service.person()
    upgrade = get(UNREAD, client.token).replace(
        b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    async with serve() as base, peers(base, 1) as (peer,):
        peer.writer.write(get(UNREAD, client.token) + upgrade + get("/healthz", client.token))
        assert await statuses(peer, 3) == [200] * 3


async def test_what_cannot_be_parsed_takes_nothing_from_those_before_it(
    service: Service, serve: Serve
) -> None:
    client = service.person()
    async with serve() as base, peers(base, 1) as (peer,):
        peer.writer.write(get(UNREAD, client.token) * 32 + b"\x00\x01\r\n\r\n")
        assert await statuses(peer, 32) == [200] * 32
        peer.writer.write(get(UNREAD, client.token))
        assert await peer.is_cut()

"""More than the service can do: a bounded number is under way, the others are told so at once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import pytest

from handlers.server import application
from tests.support.envelope import envelope_fault
from tests.support.peers import peers
from tests.support.raw import post
from tests.support.sessions import opened
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.service import Person, Reply, Service

LIMIT = 3


@pytest.fixture(autouse=True)
def _few_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "_UNDER_WAY", LIMIT)


@asynccontextmanager
async def hanging_commits(database_url: str) -> AsyncIterator[None]:
    """Keep every commit waiting."""
    connection = await asyncpg.connect(database_url)
    lock = connection.transaction()
    await lock.start()
    await connection.execute("SELECT 1 FROM chat_sessions FOR UPDATE")
    try:
        yield
    finally:
        await lock.rollback()
        await connection.close()


async def fill(
    service: Service, person: Person, session_id: str, places: int = LIMIT
) -> list[asyncio.Task[Reply]]:
    sending = [asyncio.create_task(person.say(session_id, f"pesan {number}")) for number in range(places)]
    await until(lambda: service.runtime.engine.waiting == places, 5)
    return sending


async def test_whoever_comes_when_it_is_full_is_sent_away_and_may_come_again(
    service: Service, database_url: str
) -> None:
    client, psychologist, session_id = await opened(service)
    async with hanging_commits(database_url):
        sending = await fill(service, client, session_id)
        for refused in (
            await psychologist.say(session_id, "penuh"),
            await psychologist.put(f"/chat/sessions/{session_id}/read", {"upToSeq": 1}),
        ):
            assert (refused.status, refused.code) == (503, "UNAVAILABLE")
            assert int(refused.headers["Retry-After"]) >= 1
            assert envelope_fault(refused) is None
        assert (await psychologist.get("/chat/history", sessionId=session_id)).status == 200
    replies = await asyncio.gather(*sending)
    assert [reply.status for reply in replies] == [201] * LIMIT
    assert (await psychologist.say(session_id, "sekarang")).status == 201
    assert b"rdchat_http_turned_away_total 2.0" in service.runtime.metrics.page()
    seqs = [message["seq"] for message in await client.history(session_id)]
    assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.parametrize("spelling", ["end", "%65nd"])
async def test_the_end_of_a_chat_is_never_refused(service: Service, database_url: str, spelling: str) -> None:
    client, psychologist, session_id = await opened(service)
    async with hanging_commits(database_url):
        sending = await fill(service, client, session_id, LIMIT if spelling == "end" else LIMIT - 1)
        ending = asyncio.create_task(psychologist.put(f"/chat/sessions/{session_id}/{spelling}"))
        await until(lambda: service.runtime.engine.waiting == len(sending) + 1, 5)
        # It takes no place from those who have one, and leaves none to others.
        assert (await psychologist.say(session_id, "penuh")).status == 503
    assert [reply.status for reply in await asyncio.gather(*sending)] == [201] * len(sending)
    assert (await ending).data["status"] == "completed"


async def test_the_last_places_are_for_people_who_are_in_a_chat(service: Service, database_url: str) -> None:
    client, psychologist, session_id = await opened(service)
    async with hanging_commits(database_url):
        sending = await fill(service, client, session_id, LIMIT - 1)
        refused = await psychologist.put("/notifications/read-all")
        assert (refused.status, refused.code) == (503, "UNAVAILABLE")
        assert envelope_fault(refused) is None
        assert (
            await psychologist.post("/chat/typing", {"sessionId": session_id, "isTyping": True})
        ).status == 503
        sending.append(asyncio.create_task(psychologist.say(session_id, "masuk")))
        await until(lambda: service.runtime.engine.waiting == LIMIT, 5)
    assert [reply.status for reply in await asyncio.gather(*sending)] == [201] * LIMIT
    assert (await psychologist.put("/notifications/read-all")).status == 200


async def test_a_place_is_given_back_with_the_work_not_with_the_connection(
    service: Service, database_url: str
) -> None:
    client, psychologist, session_id = await opened(service)
    async with hanging_commits(database_url):
        sending = await fill(service, client, session_id)
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)

        # Who goes away and comes again would otherwise have more and more of it done at a time.
        assert (await psychologist.say(session_id, "masuk")).status == 503
    # Sent is sent: whether its sender waited or not.
    await until(lambda: service.runtime.engine.waiting == 0, 5)
    assert (await psychologist.say(session_id, "masuk")).status == 201


async def test_requests_that_come_in_one_piece_take_no_places_for_good(service: Service) -> None:
    client, _, session_id = await opened(service)
    host, _, port = service.base.removeprefix("http://").partition(":")
    body = f'{{"sessionId": "{session_id}", "message": "Halo"}}'.encode()
    one = post("/chat/messages", client.token, body, f"Content-Length: {len(body)}")
    health = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    for first in (one, health):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(first + one * (4 * LIMIT) + health)
        seen = b""
        while seen.count(b"HTTP/1.1 ") < 4 * LIMIT + 2:
            seen += await reader.read(1 << 16)
        statuses = [int(part[:3]) for part in seen.split(b"HTTP/1.1 ")[1:]]
        assert statuses == [201 if first is one else 200] + [201] * (4 * LIMIT) + [200]
        writer.close()
        await writer.wait_closed()
    assert (await client.say(session_id, "Halo")).status == 201


async def test_requests_on_one_connection_are_answered_in_order(service: Service, database_url: str) -> None:
    client, psychologist, session_id = await opened(service)
    host, _, port = service.base.removeprefix("http://").partition(":")
    async with hanging_commits(database_url):
        sending = await fill(service, client, session_id)
        reader, writer = await asyncio.open_connection(host, int(port))
        body = f'{{"sessionId": "{session_id}", "message": "penuh"}}'.encode()
        head = (
            "POST /api/v1/chat/messages HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {psychologist.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        health = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        # In one go, and the last one in pieces.
        writer.write(head + body + health)
        writer.write(head + body[:10])
        await writer.drain()
        first = await reader.readuntil(b"\r\n")
        writer.write(body[10:])
        seen = first
        while seen.count(b"HTTP/1.1 ") < 2:
            seen += await reader.read(1 << 16)
        assert seen.startswith(b"HTTP/1.1 503")
        assert seen.index(b"503") < seen.index(b"HTTP/1.1 200")
    await asyncio.gather(*sending)
    while seen.count(b"HTTP/1.1 ") < 3:
        seen += await reader.read(1 << 16)
    writer.close()
    await writer.wait_closed()


async def test_a_long_queue_is_refused_to_its_end(service: Service, database_url: str) -> None:
    client, psychologist, session_id = await opened(service)
    body = f'{{"sessionId": "{session_id}", "message": "penuh"}}'.encode()
    async with hanging_commits(database_url), peers(service.base, 1) as (peer,):
        sending = await fill(service, client, session_id)
        # More than the parser hands out at once.
        one = post("/chat/messages", psychologist.token, body, f"Content-Length: {len(body)}")
        await peer.send(one * 300)
        refused = 0
        async with asyncio.timeout(10):
            while refused < 300:
                head = await peer.reader.readuntil(b"\r\n\r\n")
                refused += b"HTTP/1.1 503" in head
    await asyncio.gather(*sending)

"""What is slow for an honest reason is served: limits are for those on whose side nothing moves."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from handlers.http import protocol, unsent
from handlers.server import application
from tests.support.forms import upload
from tests.support.peers import head, peers
from tests.support.service import Service, service_settings
from tests.support.sessions import opened
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SAY = "/api/v1/chat/messages"


async def test_a_reader_that_takes_its_time_gets_all_of_a_file(
    tmp_path: Path, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsent, "WRITE_SECONDS", 0.3)
    settings = service_settings(tmp_path, max_attachment=16 * 1024 * 1024)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        client, _, session_id = await opened(service)
        content = b"".join(b"%015d\n" % number for number in range(12 * 1024 * 1024 // 16))
        url = (await upload(client, session_id, content, "besar.txt")).data["attachment"]["url"]
        async with peers(service.base, 1, reads_little=True) as (reader,):
            await reader.send(head("GET", url.removeprefix(service.base)) + b"\r\n")
            assert await reader.status() == 200
            taken = bytearray()
            began = asyncio.get_running_loop().time()
            while len(taken) < len(content):
                # As a telephone does, for longer than the patience with one that takes nothing.
                taken += (piece := await reader.reader.read(256 * 1024))
                assert piece, f"cut after {len(taken)} bytes"
                if len(taken) < len(content) // 2:
                    await asyncio.sleep(0.001)
            assert taken == content
            assert asyncio.get_running_loop().time() - began > 0.3


async def test_a_body_and_a_head_in_pieces_are_served(service: Service) -> None:
    client, _, session_id = await opened(service)
    body = json.dumps({"sessionId": session_id, "message": "Halo"}).encode()
    lines = "Content-Type: application/json", f"Content-Length: {len(body)}"
    whole = head("POST", SAY, *lines, token=client.token) + b"\r\n" + body
    async with peers(service.base, 1) as (peer,):
        for at in range(0, len(whole), 50):
            await peer.send(whole[at : at + 50])
            await asyncio.sleep(0.002)
        assert await peer.status() == 201


async def test_a_connection_that_was_used_may_wait_for_longer_than_a_new_one(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    async with peers(service.base, 2) as (used, new):
        await used.send(head("GET", "/healthz") + b"\r\n")
        assert await used.status() == 200
        await used.reader.read(2**16)
        assert await new.is_cut()
        await asyncio.sleep(0.2)
        await used.send(head("GET", "/healthz") + b"\r\n")
        assert await used.status() == 200


async def test_pictures_chosen_at_once_wait_for_each_other(service: Service) -> None:
    client, _, session_id = await opened(service)
    replies = await asyncio.gather(*(upload(client, session_id, b"%d" % n, "a.txt") for n in range(10)))
    assert {reply.status for reply in replies} == {201}


async def test_one_person_has_so_many_requests_under_way_and_no_more(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, psychologist, session_id = await opened(service)
    release = asyncio.Event()
    list_sessions = service.runtime.chat.list_sessions

    async def slowly(*args: object, **options: object) -> object:
        await release.wait()
        return await list_sessions(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(type(service.runtime.chat), "list_sessions", lambda _self, *a, **o: slowly(*a, **o))
    own = [asyncio.create_task(client.get("/chat/sessions")) for _ in range(80)]
    await until(lambda: sum(task.done() for task in own) == 80 - 64)
    refused = [task.result() for task in own if task.done()]
    assert {(reply.status, reply.code) for reply in refused} == {(429, "RATE_LIMITED")}
    assert all(int(reply.headers["Retry-After"]) >= 1 for reply in refused)
    # Everyone else has theirs, and so has the client when some are done.
    assert (await psychologist.say(session_id, "Halo")).status == 201
    release.set()
    assert {reply.status for reply in await asyncio.gather(*own)} == {200, 429}
    assert (await client.say(session_id, "Halo")).status == 201


async def test_what_was_closed_and_refused_is_counted(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str, redis_url: str
) -> None:
    del service
    monkeypatch.setattr(application, "connections_allowed", lambda: 2)
    settings = service_settings(tmp_path / "other")
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as crowded:
        async with peers(crowded.base, 3) as (first, *_):
            assert await first.is_cut()
        page = crowded.runtime.metrics.page()
    assert b'rdchat_http_refused_total{why="connection"} 1.0' in page

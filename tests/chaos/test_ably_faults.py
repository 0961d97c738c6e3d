"""Ably is away, or takes events and does not say so: nothing is lost, no one waits, nothing comes twice."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import msgpack
from aiohttp import web

from rdchat.realtime import ably_client
from tests.support.waiting import until
from tests.support.world import World, at_instant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest


async def test_ably_is_away_when_the_chat_opens(world: World) -> None:
    replica = await world.replica()
    talks = await world.book(replica.base, starts_in=1.6, lasts=4, count=2)
    await at_instant(talks[0].starts_at, offset=-0.3)
    port = world.ably.port
    await world.ably.close()
    await until(lambda: world.all_are("active"), 4)
    times = []
    for number in range(100):
        talk = talks[number % 2]
        began = time.monotonic()
        said, _ = await world.say(talk, (talk.client, talk.psychologist)[number % 3 % 2], f"pesan {number}")
        times.append(time.monotonic() - began)
        assert said.replies
    assert sorted(times)[-2] < 0.25
    await at_instant(talks[0].starts_at, offset=2)
    await world.ably.start(port=port)
    await world.check(10)


async def test_ably_takes_events_and_does_not_say_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers are lost, not the events: the same ids come again, and Ably drops them."""
    monkeypatch.setattr(ably_client, "_CALL_SECONDS", 1.0)
    async with (
        _forgetful(world.ably.address) as stub,
        world.service(ably_endpoint=stub.address) as service,
    ):
        [talk] = await world.book(service.base, starts_in=1, lasts=4)
        await until(lambda: world.all_are("active"), 5)
        for fault in ("cut", "silence", "500"):
            stub.fault = fault
            for number in range(4):
                assert (await world.say(talk, talk.client, f"{fault} {number}"))[0].replies
            await until(lambda: not stub.fault, 3)
            await until(lambda: stub.forgotten[-1] in stub.answered, 4)
        await world.check(8)
    assert len(stub.forgotten) == 3


class _Forgetful:
    """Passes requests on to the real endpoint. With a `fault`, the answer to the next publish gets lost."""

    def __init__(self, behind: str) -> None:
        self._behind = behind
        self.fault = ""
        self.forgotten: list[tuple[str, ...]] = []
        self.answered: list[tuple[str, ...]] = []
        self.address = ""
        self._closing = asyncio.Event()

    async def start(self) -> None:
        self._http = aiohttp.ClientSession()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.address = f"127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        self._closing.set()
        await self._runner.cleanup()
        await self._http.close()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() in ("authorization", "content-type", "accept", "x-ably-version")
        }
        url = f"http://{self._behind}{request.raw_path}"
        async with self._http.request(request.method, url, data=body, headers=headers) as answer:
            content = await answer.read()
            found = web.Response(body=content, status=answer.status, content_type=answer.content_type)
        if request.path != "/messages":
            return found
        ids = _ids(request, body)
        fault, self.fault = self.fault, ""
        if fault:
            self.forgotten.append(ids)
            if fault == "500":
                return web.Response(status=500, text="{}", content_type="application/json")
            if fault == "silence":
                await self._closing.wait()
            elif request.transport is not None:
                request.transport.abort()
            return found
        self.answered.append(ids)
        return found


def _ids(request: web.Request, body: bytes) -> tuple[str, ...]:
    specs: list[dict[str, Any]] = (
        json.loads(body) if "json" in request.content_type else msgpack.unpackb(body)
    )
    return tuple(message["id"] for spec in specs for message in spec["messages"])


@asynccontextmanager
async def _forgetful(behind: str) -> AsyncIterator[_Forgetful]:
    stub = _Forgetful(behind)
    await stub.start()
    try:
        yield stub
    finally:
        await stub.close()

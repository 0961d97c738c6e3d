"""The client below the Ably SDK: in its place, and no other to what stands above it."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import httpx
import msgpack
import pytest
from ably import AblyRest
from aiohttp import web

from rdchat.realtime import ably_client
from rdchat.realtime.ably_client import AblyClient, PublishError
from rdchat.realtime.ably_transport import CLIENT, AiohttpClient, replace_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_PACKED = "application/x-msgpack"
_KEY = "rdchat.test:secret-of-the-local-ably-key-0123456789"


def test_the_sdk_has_its_client_where_it_is_replaced() -> None:
    """When this fails, another SDK has come: look at what it does with its client, or leave it its own."""
    rest = AblyRest(key=_KEY)
    assert isinstance(getattr(rest.http, CLIENT), httpx.AsyncClient)
    assert replace_client(rest, is_encrypted=True)
    assert isinstance(getattr(rest.http, CLIENT), AiohttpClient)


def test_an_sdk_of_another_form_keeps_its_client() -> None:
    rest = SimpleNamespace(http=SimpleNamespace(_Http__client=object()))
    kept = getattr(rest.http, CLIENT)
    assert not replace_client(cast("Any", rest), is_encrypted=True)
    assert getattr(rest.http, CLIENT) is kept


def packed(value: Any, status: int = 201, **more: Any) -> web.Response:
    return web.Response(body=msgpack.packb(value), status=status, content_type=_PACKED, **more)


async def take(_request: web.Request) -> web.Response:
    return packed([])


async def take_compressed(_request: web.Request) -> web.Response:
    body = gzip.compress(msgpack.packb([]))
    return web.Response(body=body, headers={"Content-Type": _PACKED, "Content-Encoding": "gzip"})


async def refuse(_request: web.Request) -> web.Response:
    told = {"X-Ably-Errorcode": "40009", "X-Ably-Errormessage": "too large"}
    return packed({"error": {"message": "too large", "code": 40009, "statusCode": 400}}, 400, headers=told)


async def fail(_request: web.Request) -> web.Response:
    return packed({"error": {"message": "oh", "code": 50000, "statusCode": 500}}, 500)


async def turn_away(_request: web.Request) -> web.Response:
    return web.Response(status=429, text="{}", content_type="application/json")


async def move(_request: web.Request) -> web.Response:
    return web.Response(status=308, headers={"Location": "/elsewhere"}, body=msgpack.packb([]))


async def hang_up(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def break_off(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": _PACKED, "Content-Length": "100"})
    await answer.prepare(request)
    await answer.write(b"\x90")
    assert request.transport is not None
    request.transport.abort()
    return answer


async def say_nothing(_request: web.Request) -> web.Response:
    await asyncio.Event().wait()
    return web.Response()


@asynccontextmanager
async def in_place_of_ably(handle: Any) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """Serve, and note what is asked for."""
    asked: list[dict[str, Any]] = []

    async def note(request: web.Request) -> web.StreamResponse:
        headers = {
            name: value
            for name, value in request.headers.items()
            if name in ("Accept", "Authorization", "Content-Type", "X-Ably-Version", "Ably-Agent")
        }
        asked.append(
            {"method": request.method, "path": request.path_qs, "body": await request.read(), **headers}
        )
        answer: web.StreamResponse = await handle(request)
        return answer

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", note)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


async def publish(handle: Any) -> tuple[Any, list[dict[str, Any]]]:
    """Say something. Return what came of it, and what was asked for."""
    async with in_place_of_ably(handle) as (address, asked):
        client = AblyClient(_KEY, endpoint=address, server_token=lambda: "token")
        came: Any = None
        try:
            await client.publish_now("typing:ä/b c", "typing", {"isTyping": True}, client_id="x")
        except PublishError as error:
            came = error.permanent, error.crowded
        finally:
            await client.close()
    return came, asked


@pytest.mark.parametrize(
    "handle",
    [take, take_compressed, refuse, fail, turn_away, move, hang_up, break_off, say_nothing],
)
async def test_both_clients_ask_for_the_same_and_understand_the_same(
    handle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ably_client, "_CALL_SECONDS", 0.2)
    by_aiohttp = await publish(handle)
    monkeypatch.setattr(ably_client, "replace_client", lambda *_, **__: False)
    by_httpx = await publish(handle)
    assert by_aiohttp == by_httpx
    came, asked = by_aiohttp
    assert asked
    assert (came is None) == (handle in (take, take_compressed))


async def test_no_one_listens() -> None:
    async with in_place_of_ably(take) as (address, _):
        pass
    client = AblyClient(_KEY, endpoint=address, server_token=lambda: "token")
    try:
        with pytest.raises(PublishError) as raised:
            await client.publish([])
    finally:
        await client.close()
    assert not raised.value.permanent

"""The local endpoint asked over plain HTTP: what browsers need, and what is refused."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

import aiohttp
import pytest

if TYPE_CHECKING:
    from rdchat.local.ably import AblyLocal

Mint = Callable[..., str]


async def test_browsers_of_any_origin_may_ask(endpoint: AblyLocal, http: aiohttp.ClientSession) -> None:
    headers = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,x-ably-version",
    }
    async with http.options(f"http://{endpoint.address}/channels/c/messages", headers=headers) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert answer.headers["Access-Control-Allow-Headers"] == "authorization,x-ably-version"
    async with http.get(f"http://{endpoint.address}/nowhere", headers=headers) as answer:
        assert (answer.status, answer.headers["X-Ably-Errorcode"]) == (404, "40400")
        assert "Link" in answer.headers["Access-Control-Expose-Headers"]


async def test_the_envelope_carries_status_and_headers(
    endpoint: AblyLocal, http: aiohttp.ClientSession, mint: Mint
) -> None:
    query = {"envelope": "json", "accessToken": mint(), "limit": "1"}
    url = f"http://{endpoint.address}/channels/c/messages"
    async with http.get(url, params=query) as answer:
        envelope = json.loads(await answer.read())
    assert (answer.status, envelope["statusCode"], envelope["response"]) == (200, 200, [])
    assert "./messages?limit=1" in envelope["headers"]["Link"]
    async with http.get(url, params=query | {"accessToken": "x"}) as answer:
        envelope = json.loads(await answer.read())
    assert (answer.status, envelope["statusCode"]) == (200, 401)
    assert envelope["response"]["error"]["code"] == 40101


@pytest.mark.parametrize(
    "attempt",
    [
        ("POST /channels/c/messages", b"{", 400),
        ("POST /channels/c/messages", b"\xff\xfe", 400),
        ("POST /channels/c/messages", b'{"data": "\\udfff"}', 400),
        ("POST /channels/c/messages", b'{"extras": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}", 400),
        ("POST /messages", b" " * (2 * 1024 * 1024 + 1), 413),
        ("POST /keys/app.key/requestToken", b"[]", 400),
        ("GET /channels/c/messages?limit=many", None, 400),
        ("GET /channels/c/messages?limit=1001", None, 400),
        ("GET /channels/c/messages?start=2&end=1", None, 400),
        ("GET /channels/c/messages?cursor=x", None, 400),
        ("GET /channels/%FF%0A/messages", None, 400),
        ("POST /channels/c/messages", b'{"connectionKey": {}}', 400),
        ("POST /channels/c/messages", b'{"connectionKey": ["a"]}', 400),
        ("POST /channels/c/messages", b'[{"id": "a:' + b"9" * 5_000 + b'"}, {"id": "a:1"}]', 400),
        ("GET /channels/c/messages?cursor=" + "9" * 5_000 + "-1", None, 400),
        ("GET /channels/c/messages?from_serial=" + "9" * 5_000 + "@x", None, 400),
        ("POST /keys/%00%7F/requestToken", b"{}", 404),
        ("PUT /time", b"", 404),
        ("GET /keys/app.key/requestToken", None, 404),
    ],
)
async def test_what_is_wrong_is_answered_in_ablys_form(
    endpoint: AblyLocal, http: aiohttp.ClientSession, mint: Mint, attempt: tuple[str, bytes | None, int]
) -> None:
    headers = {"Authorization": f"Bearer {mint()}", "Content-Type": "application/json"}
    asked, body, status = attempt
    method, path = asked.split()
    async with http.request(method, f"http://{endpoint.address}{path}", data=body, headers=headers) as answer:
        assert answer.status == status
        error = (await answer.json())["error"]
    assert (error["statusCode"], str(error["code"])) == (status, answer.headers["X-Ably-Errorcode"])


async def test_a_body_that_cannot_be_inflated(
    endpoint: AblyLocal, http: aiohttp.ClientSession, mint: Mint
) -> None:
    headers = {"Authorization": f"Bearer {mint()}", "Content-Encoding": "gzip"}
    url = f"http://{endpoint.address}/channels/c/messages"
    async with http.post(url, data=b"no gzip at all", headers=headers) as answer:
        assert answer.status == 400


async def test_closing_does_not_wait_for_a_request_that_is_never_finished(
    endpoint: AblyLocal, mint: Mint
) -> None:
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    head = ["POST /messages HTTP/1.1", "Host: x", "Content-Length: 100", f"Authorization: Bearer {mint()}"]
    writer.write("\r\n".join([*head, "", "["]).encode())
    await writer.drain()
    # A server that answers a later request has begun with this one.
    async with aiohttp.ClientSession() as other, other.get(f"http://{endpoint.address}/time") as answer:
        assert answer.status == 200
    async with asyncio.timeout(5):
        await endpoint.close()
        assert await reader.read() == b""
    writer.close()


async def test_it_cannot_be_started_twice_at_once(endpoint: AblyLocal) -> None:
    await endpoint.close()
    outcomes = await asyncio.gather(endpoint.start(), endpoint.start(), return_exceptions=True)
    assert sorted(map(repr, outcomes)) == ["None", "RuntimeError('running already')"]


@pytest.mark.parametrize("abruptly", [True, False])
@pytest.mark.parametrize("what", ["upgrade", "get", "post"])
async def test_clients_that_go_away_leave_nothing_in_the_log(
    *, endpoint: AblyLocal, mint: Mint, caplog: pytest.LogCaptureFixture, what: str, abruptly: bool
) -> None:
    head = {
        "upgrade": f"GET /?accessToken={mint()} HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
        "get": "GET /channels/c/messages HTTP/1.1\r\n",
        "post": "POST /channels/c/messages HTTP/1.1\r\nContent-Length: 100\r\n",
    }[what]
    request = f"{head}Host: x\r\nAuthorization: Bearer {mint()}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    with caplog.at_level("WARNING"):
        for pause in range(10):
            with socket.socket() as client:
                client.setblocking(False)
                await loop.sock_connect(client, (endpoint.host, endpoint.port))
                await loop.sock_sendall(client, request)
                # The endpoint is at another point of its work each time.
                for _ in range(pause):
                    await asyncio.sleep(0)
                if abruptly:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # A server that answers a later request has noticed that these have gone.
        async with aiohttp.ClientSession() as other, other.get(f"http://{endpoint.address}/time") as answer:
            assert answer.status == 200
    assert caplog.text == ""

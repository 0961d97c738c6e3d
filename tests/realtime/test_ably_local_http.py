"""The local endpoint asked over plain HTTP: what browsers need, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import aiohttp

    from rdchat.ably_local import AblyLocal

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

"""Answers of more than 1 KiB are compressed for those who ask, and only then."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.support.forms import photo, upload
from tests.support.sessions import opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.service import Person, Service

LONG = "Saya ingin bercerita panjang lebar. " * 100


class Raw:
    """Asks, and leaves what comes as it comes."""

    def __init__(self, service: Service, http: aiohttp.ClientSession) -> None:
        self._base = service.base
        self._http = http

    async def get(
        self, path: str, accepted: str | None, *, by: Person | None = None, method: str = "GET", **body: Any
    ) -> tuple[bytes, Any]:
        headers = {"Accept-Encoding": accepted} if accepted is not None else {}
        if by is not None:
            headers["Authorization"] = f"Bearer {by.token}"
        url = path if "://" in path else f"{self._base}{path}"
        skipped = ("Accept-Encoding",) if accepted is None else ()
        async with self._http.request(
            method, url, headers=headers, skip_auto_headers=skipped, **body
        ) as answer:
            assert answer.status in (200, 201), await answer.read()
            return await answer.read(), answer.headers


@pytest.fixture
async def raw(service: Service) -> AsyncIterator[Raw]:
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        yield Raw(service, http)


def varies(headers: Any) -> bool:
    return "Accept-Encoding" in headers.get("Vary", "").split(", ")


async def test_long_answers_of_every_kind_are_compressed_when_asked(service: Service, raw: Raw) -> None:
    client, _, session_id = await opened(service)
    assert (await client.say(session_id, LONG)).status == 201
    transcript = f"/api/v1/chat/sessions/{session_id}/transcript?format="
    paths = [f"/api/v1/chat/history?sessionId={session_id}", *(transcript + form for form in ("json", "txt"))]
    paths += [f"{transcript}html", f"/api/v1/chat/sessions/{session_id}/diagram?format=svg"]
    paths += ["/docs", "/openapi.json", "/asyncapi.json", "/metrics"]
    for path in paths:
        plain, headers = await raw.get(path, None, by=client)
        assert ("Content-Encoding" in headers, varies(headers)) == (False, True), path
        packed, headers = await raw.get(path, "gzip, deflate, br", by=client)
        assert (headers["Content-Encoding"], varies(headers)) == ("gzip", True), path
        assert len(packed) < len(plain) / 2, path
        unpacked = gzip.decompress(packed)
        # What is generated at each request, such as an instant or a link, may differ.
        assert path == "/metrics" or abs(len(unpacked) - len(plain)) < 100, path
        if path.startswith("/api/v1/chat/history"):
            assert json.loads(unpacked)["data"]["data"][-1]["message"] == LONG


async def test_a_streamed_transcript_can_be_unpacked_as_it_comes(service: Service, raw: Raw) -> None:
    client, _, session_id = await opened(service)
    for number in range(3):
        assert (await client.say(session_id, f"{LONG}{number}")).status == 201
    path = f"/api/v1/chat/sessions/{session_id}/transcript"
    packed, headers = await raw.get(path, "gzip", by=client)
    assert (headers.get("Transfer-Encoding"), "Content-Length" in headers) == ("chunked", False)
    unpacker = zlib.decompressobj(31)
    assert json.loads(unpacker.decompress(packed))["data"]["messages"][-1]["message"] == f"{LONG}2"
    assert unpacker.eof


async def test_short_answers_and_messages_are_sent_as_they_are(service: Service, raw: Raw) -> None:
    client, _, session_id = await opened(service)
    for path in ("/healthz", "/", "/api/v1/chat/unread"):
        _, headers = await raw.get(path, "gzip", by=client)
        assert ("Content-Encoding" in headers, varies(headers)) == (False, False), path
    body = {"sessionId": session_id, "message": "Halo"}
    _, headers = await raw.get("/api/v1/chat/messages", "gzip", by=client, method="POST", json=body)
    assert ("Content-Encoding" in headers, varies(headers)) == (False, False)


async def test_what_is_compressed_already_is_not_compressed_again(service: Service, raw: Raw) -> None:
    client, _, session_id = await opened(service)
    sent = (await upload(client, session_id, photo(600, 400))).data["attachment"]
    content, headers = await raw.get(sent["url"], "gzip")
    assert ("Content-Encoding" in headers, varies(headers)) == (False, False)
    assert (len(content), int(headers["Content-Length"])) == (sent["size"], sent["size"])
    assert sent["size"] > 1024
    png, headers = await raw.get(f"/api/v1/chat/sessions/{session_id}/diagram?format=png", "gzip", by=client)
    assert png.startswith(b"\x89PNG")
    assert "Content-Encoding" not in headers


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("*", True),
        ("br;q=1, gzip;q=0.001", True),
        ("identity;q=0.5, gzip ; q=1.0", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0.0, *", False),
        ("*;q=0", False),
        ("deflate, br", False),
        ("x-gzip", False),
        ("gzip;q=much", False),
        ("gzip;q=nan", False),
        (";;;,,,q=", False),
    ],
)
async def test_how_it_is_asked_for(raw: Raw, accepted: str, packed: bool) -> None:  # noqa: FBT001 - a parameter
    content, headers = await raw.get("/openapi.json", accepted)
    assert ("Content-Encoding" in headers) is packed
    assert json.loads(gzip.decompress(content) if packed else content)["openapi"]


async def test_head_says_what_get_would(raw: Raw) -> None:
    for accepted in ("gzip", "identity"):
        content, headers = await raw.get("/openapi.json", accepted)
        nothing, said = await raw.get("/openapi.json", accepted, method="HEAD")
        assert nothing == b""
        assert int(said["Content-Length"]) == len(content)
        for name in ("Content-Encoding", "Content-Type", "Vary"):
            assert said.get(name) == headers.get(name)


async def test_head_of_a_stream_sends_nothing_behind_its_headers(service: Service, raw: Raw) -> None:
    client, _, session_id = await opened(service)
    path = f"/api/v1/chat/sessions/{session_id}/transcript"
    for _ in range(2):
        nothing, said = await raw.get(path, "gzip", by=client, method="HEAD")
        assert (nothing, said["Content-Encoding"], varies(said)) == (b"", "gzip", True)

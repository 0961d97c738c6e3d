"""Pages in browsers: which of them may read answers, of whatever kind these are."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import asyncpg
import pytest
from limits import parse

from handlers.http.cors import CrossOrigin
from handlers.server import application
from handlers.server.application import ROUTES, api_document, build_runner
from tests.support.envelope import assert_refused, envelope_fault
from tests.support.forms import photo, upload
from tests.support.raw import exchange
from tests.support.service import Reply, Service, service_settings
from tests.support.sessions import opened
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

APP = "https://app.example"
EXPOSED = {
    "Accept-Ranges",
    "Content-Range",
    "Date",
    *("Content-Disposition", "ETag", "Idempotency-Replayed", "RateLimit", "RateLimit-Policy"),
    *("Retry-After", "X-Request-Id"),
}
FORGED = (
    "null",
    "*",
    "https://app.example.evil.example",
    "https://evil.example/https://app.example",
    "http://app.example",
    "https://app.example:8443",
    "https://APP.example",
    "https://app.example/",
    "https://app.example https://evil.example",
    "https://app.example,https://evil.example",
    "",
)


@asynccontextmanager
async def running(
    tmp_path: Path, database_url: str, redis_url: str, **changes: Any
) -> AsyncIterator[Service]:
    settings = service_settings(tmp_path, **{"cors_origins": frozenset({APP}), **changes})
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        yield service


@pytest.fixture
async def called(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Service]:
    """A service that pages of one origin may call."""
    async with running(tmp_path, database_url, redis_url) as service:
        yield service


async def ask(service: Service, method: str, path: str, **options: Any) -> Reply:
    async with service.client.request(method, service.base + path, **options) as answer:
        is_json = answer.content_type == "application/json" and method != "HEAD"
        return Reply(answer.status, await answer.json() if is_json else await answer.read(), answer.headers)


def cors_fault(headers: Mapping[str, str], origin: str = APP) -> str | None:
    """Return what keeps a page of an origin from reading an answer; None when nothing does."""
    found = {name.strip() for name in headers.get("Access-Control-Expose-Headers", "").split(",")}
    if headers.get("Access-Control-Allow-Origin") != origin:
        return f"for {headers.get('Access-Control-Allow-Origin')}"
    if "Origin" not in varied(headers):
        return f"varies by {headers.get('Vary')}"
    if not found >= EXPOSED:
        return f"exposes {found}"
    return "with credentials" if "Access-Control-Allow-Credentials" in headers else None


def is_closed(headers: Mapping[str, str]) -> bool:
    return not any(name.lower().startswith("access-control-") for name in headers)


def varied(headers: Mapping[str, str]) -> set[str]:
    return {name.strip() for name in headers.get("Vary", "").split(",")}


def preflight(
    origin: str, method: str = "POST", headers: str = "authorization,content-type"
) -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }


# ---- preflights -------------------------------------------------------------------------------------------


async def test_a_preflight_of_every_route_is_answered_without_a_token(called: Service) -> None:
    faults, described = {}, api_document()["paths"]
    for route in ROUTES:
        path = f"/api/v1{route.path.replace('{id}', 'x')}"
        reply = await ask(called, "OPTIONS", path, headers=preflight(APP, route.method))
        allowed = reply.headers.get("Access-Control-Allow-Methods", "").split(", ")
        sent = {name.lower() for name in reply.headers.get("Access-Control-Allow-Headers", "").split(", ")}
        wanted = {"authorization", "content-type", "x-request-id"}
        declared = described[f"/api/v1{route.path}"][route.method.lower()].get("parameters", ())
        wanted |= {one["name"].lower() for one in declared if one["in"] == "header"}
        if (
            (reply.status, reply.json) != (204, b"")
            or cors_fault(reply.headers)
            or route.method not in allowed
            or not sent >= wanted
            or int(reply.headers.get("Access-Control-Max-Age", "0")) < 600
        ):
            faults[route.operation] = dict(reply.headers)
    assert faults == {}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "NOT_FOUND"),
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("DELETE", "/api/v1/chat/messages", 405, "METHOD_NOT_ALLOWED"),
        ("PATCH", "/healthz", 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_a_page_can_read_that_a_route_does_not_exist(
    called: Service, method: str, path: str, status: int, code: str
) -> None:
    asked = await ask(called, "OPTIONS", path, headers=preflight(APP, method))
    assert (asked.status, cors_fault(asked.headers)) == (204, None)
    assert method in asked.headers["Access-Control-Allow-Methods"]
    reply = await ask(called, method, path, headers={"Origin": APP})
    assert_refused(reply, status, code)
    assert cors_fault(reply.headers) is None


async def test_a_preflight_of_another_origin_opens_nothing(called: Service) -> None:
    for origin in FORGED:
        reply = await ask(called, "OPTIONS", "/api/v1/chat/messages", headers=preflight(origin))
        assert (reply.status, is_closed(reply.headers)) == (204, True), origin
        assert "Origin" in varied(reply.headers)


async def test_options_that_are_no_preflight_are_a_method_like_any_other(called: Service) -> None:
    for headers in ({}, {"Origin": APP}, {"Access-Control-Request-Method": "POST"}):
        reply = await ask(called, "OPTIONS", "/api/v1/chat/messages", headers=headers)
        assert_refused(reply, 405, "METHOD_NOT_ALLOWED")
        assert reply.headers["Allow"] == "POST"


async def test_preflights_count_for_no_rate(tmp_path: Path, database_url: str, redis_url: str) -> None:
    rates = {"default": parse("1/minute")}
    async with running(tmp_path, database_url, redis_url, rate_limits=rates) as service:
        client = service.person()
        for _ in range(5):
            asked = await ask(service, "OPTIONS", "/api/v1/counselings", headers=preflight(APP, "GET"))
            assert asked.status == 204
        assert (await client.get("/counselings")).status == 200
        refused = await client.call("GET", "/counselings", headers={"Origin": APP})
        assert_refused(refused, 429, "RATE_LIMITED")
        assert cors_fault(refused.headers) is None


# ---- answers of every kind --------------------------------------------------------------------------------


async def test_answers_of_every_kind_can_be_read(called: Service) -> None:
    client, _, session_id = await opened(called)
    attachment = (await upload(client, session_id, photo())).data["attachment"]
    token = {"Authorization": f"Bearer {client.token}"}
    transcript = f"/api/v1/chat/sessions/{session_id}/transcript"
    link = attachment["url"].removeprefix(called.base)
    cases: list[tuple[int, str, str, dict[str, Any]]] = [
        (200, "GET", "/api/v1/counselings", {"headers": token}),
        (200, "HEAD", "/api/v1/counselings", {"headers": token}),
        (401, "GET", "/api/v1/counselings", {}),
        (401, "GET", "/api/v1/counselings", {"headers": {"Authorization": "Bearer x"}}),
        (404, "GET", "/api/v1/counselings/x", {"headers": token}),
        (400, "GET", "/api/v1/counselings?limit=x", {"headers": token}),
        (400, "GET", "/api/v1/counselings", {"headers": {**token, "Expect": "x"}}),
        (413, "POST", "/api/v1/chat/messages", {"headers": token, "data": b"a" * 200_000}),
        (200, "GET", f"{transcript}?format=json", {"headers": token}),
        (200, "GET", f"{transcript}?format=txt", {"headers": token}),
        (200, "GET", f"{transcript}?format=html", {"headers": token}),
        (200, "GET", link, {}),
        (403, "GET", link[:-4] + "AAAA", {}),
        (200, "GET", "/", {}),
        (200, "GET", "/docs", {}),
        (200, "GET", "/openapi.json", {}),
        (200, "GET", "/readyz", {}),
        (200, "GET", "/metrics", {}),
    ]
    faults: dict[str, Any] = {}
    for status, method, path, options in cases:
        for origin, check in (
            (APP, cors_fault),
            ("https://evil.example", lambda h: not is_closed(h) or None),
        ):
            given = {**options, "headers": {**options.get("headers", {}), "Origin": origin}}
            reply = await ask(called, method, path, **given)
            expected = 400 if "Expect" in given["headers"] else status
            if reply.status != expected or (fault := check(reply.headers)) is not None:
                faults[f"{method} {path} {origin}"] = (reply.status, fault)
        plain = await ask(called, method, path, **options)
        if not is_closed(plain.headers) or "Origin" not in varied(plain.headers):
            faults[f"{method} {path} without an origin"] = dict(plain.headers)
    assert faults == {}


async def test_other_origins_are_served_without_being_let_read(called: Service) -> None:
    client = called.person()
    for origin in FORGED:
        reply = await client.call("GET", "/counselings", headers={"Origin": origin})
        assert (reply.status, is_closed(reply.headers)) == (200, True), origin


async def test_our_own_fault_can_be_read(called: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    client = called.person()
    monkeypatch.setattr(type(called.runtime.chat), "count_unread", broken)
    reply = await client.call("GET", "/chat/unread", headers={"Origin": APP})
    assert (reply.status, reply.code, cors_fault(reply.headers)) == (500, "INTERNAL", None)


@pytest.mark.parametrize(
    "head",
    [
        "GET /{long} HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\n\r\n",
        "GET / HTTP/1.1\r\norigin:{origin}\r\nHost: x\r\nX: {long}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nORIGIN:   {origin}\r\nBad Header: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\nContent-Length: -1\r\n\r\n",
    ],
)
async def test_what_cannot_be_parsed_is_refused_readably(called: Service, head: str) -> None:
    request = head.replace("{long}", "x" * 9_000)
    ours = await exchange(called.base, request.replace("{origin}", APP).encode())
    assert_refused(ours, 400, "BAD_REQUEST")
    assert cors_fault(ours.headers) is None
    theirs = await exchange(called.base, request.replace("{origin}", "https://evil.example").encode())
    assert_refused(theirs, 400)
    assert is_closed(theirs.headers)


async def test_an_origin_that_came_before_what_cannot_be_parsed_counts(called: Service) -> None:
    host, _, port = called.base.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for piece in ("GET / HTTP/1.1\r\nHost: x\r\nOri", f"gin: {APP}\r\n", "Bad Header: 1\r\n\r\n"):
        writer.write(piece.encode())
        await writer.drain()
        # Each piece arrives on its own: what was sent later is answered already.
        assert (await ask(called, "GET", "/healthz")).status == 200
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.0 400")
    assert f"Access-Control-Allow-Origin: {APP}\r\n".encode() in answer


async def test_what_a_body_says_is_no_origin(called: Service) -> None:
    body = f"\r\nOrigin: {APP}\r\n"
    host, _, port = called.base.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 405")
    writer.write(body.encode())
    assert (await ask(called, "GET", "/healthz")).status == 200
    writer.write(b"Bad Request\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert b"BAD_REQUEST" in answer
    assert b"Access-Control-Allow-Origin" not in answer


async def test_being_turned_away_can_be_read(called: Service, database_url: str) -> None:
    client, psychologist, session_id = await opened(called)
    connection = await asyncpg.connect(database_url)
    lock = connection.transaction()
    await lock.start()
    await connection.execute("SELECT 1 FROM chat_sessions FOR UPDATE")
    sending = [asyncio.create_task(client.say(session_id, "Halo")) for _ in range(3)]
    try:
        await until(lambda: called.runtime.engine.waiting == 3, 5)
        body = {"sessionId": session_id, "message": "penuh"}
        for origin, wanted in ((APP, None), ("https://evil.example", "for None"), (APP, None)):
            refused = await psychologist.call("POST", "/chat/messages", json=body, headers={"Origin": origin})
            assert envelope_fault(refused) is None
            assert (refused.status, cors_fault(refused.headers)) == (503, wanted)
        plain = await psychologist.say(session_id, "penuh")
        assert (plain.status, is_closed(plain.headers), varied(plain.headers)) == (503, True, {"Origin"})
    finally:
        await lock.rollback()
        await connection.close()
    await asyncio.gather(*sending)


@pytest.fixture(autouse=True)
def _few_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "_UNDER_WAY", 3)


async def test_that_a_replica_drains_can_be_read(called: Service) -> None:
    runner = build_runner(called.runtime, draining=lambda: True)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/readyz"
        async with called.client.get(url, headers={"Origin": APP}) as answer:
            assert (answer.status, cors_fault(answer.headers)) == (503, None)
    finally:
        await runner.cleanup()


# ---- which origins ----------------------------------------------------------------------------------------


async def test_with_embedded_stores_pages_of_this_machine_may_call(service: Service) -> None:
    for origin in (
        *("http://localhost:3000", "http://127.0.0.1:5173", "http://[::1]:8000", "http://localhost"),
        *("https://localhost:3000", "https://127.0.0.1:5173", "https://[::1]:8000", "https://localhost"),
    ):
        reply = await ask(service, "GET", "/healthz", headers={"Origin": origin})
        assert cors_fault(reply.headers, origin) is None, origin
    for origin in (
        "https://localhost.evil.example",
        "ftp://localhost:3000",
        "httpss://localhost",
        "http://localhost.evil.example",
        "http://localhost:3000.evil.example",
        "http://evil.example:3000",
        "http://127.0.0.2",
        "http://localhost:",
        "http://localhost:03",
        "null",
    ):
        assert is_closed((await ask(service, "GET", "/healthz", headers={"Origin": origin})).headers), origin


async def test_with_a_database_of_ones_own_no_page_may(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    settings = service_settings(tmp_path, cors_origins=None, database_url=database_url)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        for origin in ("http://localhost:3000", APP):
            reply = await ask(service, "GET", "/healthz", headers={"Origin": origin})
            assert (is_closed(reply.headers), "Vary" in reply.headers) == (True, False)
            asked = await ask(service, "OPTIONS", "/api/v1/counselings", headers=preflight(origin))
            assert (asked.status, is_closed(asked.headers)) == (204, True)


def test_exact_origins_close_the_machines_own() -> None:
    assert not CrossOrigin({APP}).allows("http://localhost:3000")
    assert CrossOrigin({APP, "http://localhost:3000"}).allows("http://localhost:3000")
    assert not CrossOrigin(()).allows("http://localhost:3000")

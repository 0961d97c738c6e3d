"""The edge of HTTP: what every answer bears, and what strangers learn by asking around."""

from __future__ import annotations

import asyncio
import re
from datetime import date, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import jwt
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from handlers.http.routing import methods_of
from handlers.http.strict_json import MOST_FIELDS
from handlers.server.application import ROUTES, build_runner
from handlers.server.listening import bind_operations
from rdchat.domain.person import Role
from tests.support.bases import request_of
from tests.support.raw import exchange
from tests.support.service import Service, service_settings, whole_second

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from tests.support.attacks import Attacks

#: Public, each for a reason of its own: they are the same for all, or are asked for again by their tags.
_KEPT = {
    "GET /api/v1/crisis-contacts",
    "GET /app",
    "GET /app/static",
}
_BROKEN = (
    b"NONSENSE\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    b"POST /api/v1/chat/messages HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"GET /api/v1/counselings HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nConnection: close\r\n\r\n",
)
_PUBLIC = (
    "/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/asyncapi.json",
    "/docs",
    "/app",
    "/nowhere",
)


def faults_of(headers: Mapping[str, str], *, asked: str, by_tls: bool = False) -> list[str]:
    """Say what an answer lacks, or gives away."""
    found = []
    if headers.get("X-Content-Type-Options") != "nosniff":
        found.append("may be sniffed")
    policy = headers.get("Content-Security-Policy", "")
    if "default-src 'none'" not in policy or not re.search(r"frame-ancestors '(none|self)'|sandbox", policy):
        found.append(f"policy {policy!r}")
    if headers.get("Referrer-Policy") != "no-referrer":
        found.append("tells where one came from")
    if "camera=()" not in headers.get("Permissions-Policy", ""):
        found.append("may ask for the camera")
    if "no-store" not in headers.get("Cache-Control", "") and asked not in _KEPT:
        found.append(f"may be stored: {headers.get('Cache-Control')}")
    if headers.get("Server") != "rdchat":
        found.append(f"banner {headers.get('Server')}")
    if ("Strict-Transport-Security" in headers) is not by_tls:
        found.append("TLS is required where there is none, or is not where there is")
    return found


async def answers(service: Service) -> AsyncIterator[tuple[str, int, Mapping[str, str]]]:
    """Ask for everything that there is, by all kinds of callers and in broken ways."""
    callers = [service.person(role).token for role in Role]
    for route in ROUTES:
        for method in methods_of(route):
            for token in [*callers, "forged", None]:
                path, options = request_of(route)
                headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
                async with service.client.request(
                    method, f"{service.base}/api/v1{path}", headers=headers, **options
                ) as answer:
                    yield f"{route.method} /api/v1{route.path}", answer.status, answer.headers
        async with service.client.options(f"{service.base}/api/v1{path}", headers=_PREFLIGHT) as answer:
            yield f"OPTIONS /api/v1{route.path}", answer.status, answer.headers
        async with service.client.patch(f"{service.base}/api/v1{path}") as answer:
            yield f"PATCH /api/v1{route.path}", answer.status, answer.headers
    for path in _PUBLIC:
        for accepted in ("text/html", "application/json"):
            async with service.client.get(service.base + path, headers={"Accept": accepted}) as answer:
                yield f"GET {path}", answer.status, answer.headers
    for request in _BROKEN:
        reply = await exchange(service.base, request)
        yield f"broken {request[:20]!r}", reply.status, reply.headers


_PREFLIGHT = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}


async def test_every_answer_bears_what_browsers_are_to_heed(service: Service, attacks: Attacks) -> None:
    tried, through, statuses = 0, [], set()
    async for asked, status, headers in answers(service):
        tried += 1
        statuses.add(status)
        through += [(asked, status, fault) for fault in faults_of(headers, asked=asked)]
    # So many kinds of answers were looked at.
    assert {200, 204, 400, 401, 403, 404, 405} <= statuses
    attacks.count("answers without the headers that browsers heed", tried=tried, through=through)


@pytest.mark.usefixtures("web_packages")
async def test_behind_tls_browsers_are_told_to_stay_there(
    tmp_path: Path, database_url: str, redis_url: str, attacks: Attacks
) -> None:
    # With an address at the provider's, there are the pages as well.
    settings = service_settings(
        tmp_path,
        public_url="https://chat.example/rdchat",
        oidc_authority="https://id.example",
        oidc_client_id="x",
    )
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        through, asked = [], ["/", "/healthz", "/api/v1/counselings", "/nowhere", "/app"]
        async with service.client.get(f"{service.base}/app") as answer:
            found = re.search(r"/app/static/[0-9a-f]+/app/main\.js", await answer.text())
            assert found, answer.status
        for path in [*asked, found[0]]:
            kind = "GET /app/static" if "static" in path else f"GET {path}"
            async with service.client.get(service.base + path) as answer:
                through += [(path, one) for one in faults_of(answer.headers, asked=kind, by_tls=True)]
        reply = await exchange(service.base, _BROKEN[0])
        through += [("broken", one) for one in faults_of(reply.headers, asked="broken", by_tls=True)]
    attacks.count("answers that do not insist on TLS", tried=len(asked) + 2, through=through)


#: What strangers bring: through a proxy on this machine, by another name of it, by an old proxy.
_FROM_AFAR = (
    {"X-Forwarded-For": "203.0.113.9"},
    {"X-Forwarded-Proto": "https"},
    {"Forwarded": "for=203.0.113.9"},
    {"Via": "1.1 proxy"},
    {"X-Real-IP": "203.0.113.9"},
    {"Host": "chat.example"},
    {"Host": "localhost.evil.example"},
    {"Host": "127.0.0.1.evil.example:8080"},
    {"Host": "0x7f000001.evil"},
    {"Host": ""},
)
_FOR_OPERATORS = (
    "/metrics",
    "/docs",
    "/metrics?a",
    "/docs?a",
    "//metrics",
    "/%6detrics",
    "/docs/",
    "/METRICS",
)


async def test_what_is_for_operators_is_not_there_for_others(service: Service, attacks: Attacks) -> None:
    for path in ("/metrics", "/docs"):
        async with service.client.get(service.base + path) as answer:
            assert answer.status == 200, "those on the service's own machine see it"
    tried, through = 0, []
    for path in _FOR_OPERATORS:
        for headers in _FROM_AFAR:
            for method in ("GET", "HEAD", "POST"):
                lines = "".join(
                    f"{name}: {value}\r\n" for name, value in {"Host": "127.0.0.1", **headers}.items()
                )
                request = f"{method} {path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n"
                tried += 1
                if (reply := await _status_of(service.base, request)) not in {400, 404, 405}:
                    through.append((path, headers, method, reply))
    attacks.count("looking at metrics and documentation from afar", tried=tried, through=through)


async def _status_of(base: str, request: str) -> int:
    address = urlsplit(base)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(request.encode())
        return int((await reader.readuntil(b"\r\n")).split()[1])
    finally:
        writer.transport.abort()


async def test_with_a_port_of_their_own_it_is_nowhere_else(
    tmp_path: Path, database_url: str, redis_url: str, attacks: Attacks
) -> None:
    settings = service_settings(tmp_path, operations_port=0)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        (bound,) = bind_operations(settings, shared=False)
        runner = build_runner(service.runtime, for_operators=True)
        await runner.setup()
        await web.SockSite(runner, bound).start()
        base = f"http://127.0.0.1:{bound.getsockname()[1]}"
        through: list[object] = []
        try:
            for path in ("/metrics", "/docs", "/healthz", "/readyz", "/openapi.json", "/asyncapi.json"):
                async with service.client.get(base + path, headers={"Host": "metrics.example"}) as answer:
                    assert answer.status == 200, path
                    through += [(path, one) for one in faults_of(answer.headers, asked=path)]
            # And nothing of the service itself is there.
            for path in ("/", "/app", "/api/v1/counselings", "/api/v1/crisis-contacts"):
                async with service.client.get(base + path) as answer:
                    through += [path] if answer.status != 404 else []
        finally:
            await runner.cleanup()
        for path in ("/metrics", "/docs"):
            async with service.client.get(service.base + path) as answer:
                through += [path] if answer.status != 404 else []
    attacks.count("looking for what is on the other port", tried=12, through=through)


async def test_refused_callers_are_counted_and_logged_without_what_they_sent(
    service: Service, attacks: Attacks
) -> None:
    psychologist = await service.psychologist("Dr. Rahasia")
    client = service.person(name="Klien Rahasia")
    session_id = await client.book_session(whole_second(3600), whole_second(7200))
    stranger = service.person(name="Orang Rahasia")
    issue = service.runtime.tokens.issue
    expired = issue(stranger.caller, lifetime=timedelta(hours=-1))
    foreign = jwt.encode(jwt.decode(expired, options={"verify_signature": False}), "x" * 40)
    with capture_logs() as logged:
        for token in (None, "rahasia", expired, foreign):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            async with service.client.get(f"{service.base}/api/v1/counselings", headers=headers) as answer:
                assert answer.status == 401
        assert (await stranger.get(f"/chat/sessions/{session_id}")).code == "NOT_PARTICIPANT"
        assert (await client.get("/reports/organization")).code == "FORBIDDEN"
    lines = [one for one in logged if one["event"] == "a caller was refused"]
    assert [(one["code"], one["reason"], one["person"]) for one in lines] == [
        ("UNAUTHENTICATED", "no_token", None),
        ("UNAUTHENTICATED", "malformed", None),
        ("UNAUTHENTICATED", "expired", None),
        ("UNAUTHENTICATED", "signature", None),
        ("NOT_PARTICIPANT", "not_participant", str(stranger.id)),
        ("FORBIDDEN", "role", str(client.id)),
    ]
    assert lines[4]["route"] == "/api/v1/chat/sessions/{id}"
    private = ("Rahasia", "rahasia", psychologist.token, expired, foreign, stranger.token, session_id)
    through = [one for one in private if one in str(lines)]
    attacks.count("what refused callers sent, in logs", tried=len(private), through=through)
    async with service.client.get(f"{service.base}/metrics") as answer:
        page = await answer.text()
    for code, reason in {(one["code"], one["reason"]) for one in lines}:
        assert f'rdchat_http_refusals_total{{code="{code}",reason="{reason}"}} 1.0' in page


async def test_an_attack_fills_no_log_and_is_counted_to_the_last(service: Service, attacks: Attacks) -> None:
    with capture_logs() as logged:
        for number in range(300):
            headers = {"Authorization": f"Bearer forged-{number}"}
            async with service.client.get(f"{service.base}/api/v1/counselings", headers=headers) as answer:
                assert answer.status == 401
    lines = [one for one in logged if one["event"] == "a caller was refused"]
    # Thirty at once, and then one a second.
    attacks.count("filling the log with forged tokens", tried=300, through=lines[60:])
    async with service.client.get(f"{service.base}/metrics") as answer:
        page = await answer.text()
    assert 'rdchat_http_refusals_total{code="UNAUTHENTICATED",reason="malformed"} 300.0' in page


def _with_fields(number: int) -> bytes:
    return b"{" + b",".join(b'"f%d":1' % one for one in range(number)) + b"}"


async def test_a_body_has_no_more_fields_than_any_of_ours(service: Service, attacks: Attacks) -> None:
    client = service.person()
    hostile = {
        "one too many": _with_fields(MOST_FIELDS + 1),
        "as many as fit": _with_fields(5_000),
        "deeper": b'{"sessionId":' + _with_fields(MOST_FIELDS + 1) + b"}",
        "in a list": b'{"message":[' + b",".join([_with_fields(50)] * 50) + b"]}",
        "one in each of many": b'{"message":[' + b",".join([b'{"a":1}'] * 3_000) + b"]}",
    }
    through = []
    for name, body in hostile.items():
        json = {"Content-Type": "application/json"}
        reply = await client.call("POST", "/chat/messages", data=body, headers=json)
        errors = reply.json.get("errors", {})
        if (reply.status, list(errors)) != (400, ["body"]) or "fields" not in errors["body"][0]:
            through.append((name, reply.status, len(errors)))
    attacks.count("bodies with more fields than are looked at", tried=len(hostile), through=through)
    # A text may have as many colons as it likes, and a year of exceptions is none too many.
    said = await client.post("/chat/messages", {"sessionId": str(client.id), "message": ":" * 4_096})
    assert said.code == "SESSION_NOT_FOUND"
    psychologist = await service.psychologist()
    first = date(2027, 1, 1)
    hours = [
        {"weekday": 1 + hour % 7, "startTime": f"{hour // 7:02}:00", "endTime": f"{hour // 7:02}:30"}
        for hour in range(100)
    ]
    days = [
        {
            "date": str(first + timedelta(days=day)),
            "isAvailable": True,
            "startTime": "09:00",
            "endTime": "10:00",
        }
        for day in range(366)
    ]
    path = f"/psychologists/{psychologist.id}/availability"
    saved = await psychologist.put(path, {"weekly": hours, "exceptions": days})
    assert saved.status == 200, saved.json

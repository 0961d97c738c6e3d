"""HEAD wherever GET, with its headers and without a body; and what a 405 says that there is."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from handlers.http.routing import PREFIX
from handlers.server.application import ROUTES
from rdchat.domain.person import Role
from tests.support.bases import request_of
from tests.support.envelope import envelope_fault
from tests.support.forms import photo, upload
from tests.support.sessions import opened

if TYPE_CHECKING:
    from tests.support.service import Person, Service

#: What differs from answer to answer.
_OWN = {"date", "x-request-id", "ratelimit", "transfer-encoding"}
_PUBLIC = ("/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/asyncapi.json", "/docs")


async def both(service: Service, url: str, **options: Any) -> tuple[Any, Any, bytes]:
    async with service.client.get(url, **options) as get, service.client.head(url, **options) as head:
        await get.read()
        return get, head, await head.read()


async def test_head_answers_wherever_get_does(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    attachment = (await upload(client, session_id, photo())).data["attachment"]
    counseling = (await client.get("/counselings")).data["data"][0]["id"]
    ids = {
        "session": session_id,
        "counseling": counseling,
        "psychologist": str(psychologist.id),
        "attachment": attachment["id"],
    }
    faults, tried = {}, 0
    for route in (route for route in ROUTES if route.method == "GET"):
        path, options = request_of(route, ids)
        by: Person = client if Role.CLIENT in route.roles else admin
        url = f"{service.base}{PREFIX}{path}"
        if route.operation == "download_attachment":
            url, options = attachment["url"], {}
        # What is compressed is as long as what is random in it allows.
        headers = {"Authorization": f"Bearer {by.token}", "Accept-Encoding": "identity"}
        get, head, body = await both(service, url, headers=headers, params=options.get("params"))
        names = {name.lower() for one in (get, head) for name in one.headers} - _OWN
        different = {
            name
            for name in names
            if get.headers.get(name) != head.headers.get(name) and name != "Content-Length"
        }
        tried += get.status == 200
        if (head.status, body, different) != (get.status, b"", set()):
            faults[route.operation] = (get.status, head.status, different)
    assert faults == {}
    assert tried >= 15
    for path in _PUBLIC:
        get, head, body = await both(service, service.base + path)
        assert (get.status, head.status, body) == (200, 200, b""), path


async def test_head_is_refused_as_get_is(service: Service) -> None:
    for path, status in (("/counselings", 401), ("/nothing", 404), ("/chat/attachments/x/content", 404)):
        get, head, body = await both(service, f"{service.base}{PREFIX}{path}")
        assert (get.status, head.status, body) == (status, status, b""), path
        assert head.headers["Content-Length"] == get.headers["Content-Length"]
    async with service.client.head(f"{service.base}{PREFIX}/chat/messages") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_a_connection_goes_on_after_head(service: Service) -> None:
    client, _, session_id = await opened(service)
    token = f"Authorization: Bearer {client.token}"
    # A streamed answer has no length: were its body sent, the next answer would begin with it.
    path = f"/api/v1/chat/sessions/{session_id}/transcript"
    reader, writer = await asyncio.open_connection(*service.base.removeprefix("http://").split(":"))
    writer.write(f"HEAD {path} HTTP/1.1\r\nHost: x\r\n{token}\r\n\r\n".encode())
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, second = (await reader.read()).split(b"\r\n\r\n", 1)
    writer.close()
    await writer.wait_closed()
    assert head.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 200")
    assert second.endswith(b'{"status":"ok"}')


async def test_what_a_405_says_that_there_is(service: Service) -> None:
    known: dict[str, set[str]] = {path: {"GET", "HEAD"} for path in _PUBLIC}
    for route in ROUTES:
        methods = known.setdefault(PREFIX + route.path, set())
        methods |= {"GET", "HEAD"} if route.method == "GET" else {route.method}
    client = service.person()
    faults = {}
    for path, methods in known.items():
        for method in ("DELETE", "PATCH", "POST", "PUT", "GET", "TRACE"):
            if method in methods:
                continue
            url = service.base + re.sub(r"{\w+}", str(client.id), path)
            headers = {"Authorization": f"Bearer {client.token}"}
            async with service.client.request(method, url, headers=headers) as answer:
                allowed = {one.strip() for one in answer.headers.get("Allow", "").split(",")}
                if (answer.status, allowed) != (405, methods):
                    faults[f"{method} {path}"] = (answer.status, allowed)
    assert faults == {}


async def test_a_405_has_the_envelope(service: Service) -> None:
    reply = await service.person().call("DELETE", "/counselings")
    assert envelope_fault(reply) is None
    assert reply.headers["Allow"] == "GET,HEAD"

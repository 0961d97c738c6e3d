"""Where the service listens, and how clients reach it: two things, each tried by really publishing."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from tests.support.calendars import calendar_link, open_calendar
from tests.support.forms import photo, upload
from tests.support.listening import listen
from tests.support.service import Person, Service, service_settings
from tests.support.sessions import opened
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

#: Where one listens, and by which host of this machine that is reached.
HOSTS = {
    "127.0.0.1": "127.0.0.1",
    "0.0.0.0": "127.0.0.1",  # noqa: S104 - what is to be tested
    "::1": "[::1]",
    "::": "[::1]",
}


@asynccontextmanager
async def running(
    tmp_path: Path, database_url: str, redis_url: str, **settings: Any
) -> AsyncIterator[Service]:
    made = service_settings(tmp_path, **settings)
    async with Service.running(made, database_url=database_url, redis_url=redis_url) as service:
        yield service


async def fetched(url: str, **headers: str) -> tuple[int, bytes, Any]:
    """Open an address as someone does who knows nothing else."""
    async with aiohttp.ClientSession() as browser, browser.get(url, headers=headers) as answer:
        return answer.status, await answer.read(), answer.headers


async def shares_a_picture(person: Person, other: Person, session_id: str, base_url: str) -> None:
    """Send a picture, and have both open the links that they are given."""
    sent = (await upload(person, session_id, photo())).data["attachment"]
    asked = (await other.get(f"/chat/attachments/{sent['id']}")).data
    shown = [one["attachment"] for one in await other.history(session_id) if "attachment" in one]
    transcript = (await person.get(f"/chat/sessions/{session_id}/transcript")).data["messages"]
    written = [one["attachment"] for one in transcript if "attachment" in one]
    for attachment in (sent, asked, *shown, *written):
        assert attachment["url"].startswith(f"{base_url}/api/v1/chat/attachments/{sent['id']}/"), attachment
        status, content, headers = await fetched(attachment["url"])
        assert (status, headers["Content-Type"], len(content)) == (200, "image/png", sent["size"])
    assert len(shown) == len(written) == 1


async def hears(person: Person, other: Person, session_id: str) -> None:
    """Have one of them say something, and the other one hear it published, by the genuine SDK."""
    ably, heard = await listen(person, session_id)
    try:
        await until(lambda: ably.connection.state == "connected", 10)
        assert (await other.say(session_id, "Apakah terdengar?")).status == 201
        await until(lambda: [one["content"] for one in heard][-1:] == ["Apakah terdengar?"], 10)
    finally:
        await ably.close()


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> str:
    """Where to listen, one after the other."""
    listened: str = request.param
    if ":" in listened:
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("this machine has no IPv6")
    return listened


async def test_links_and_realtime_lead_to_where_it_listens(
    tmp_path: Path, database_url: str, redis_url: str, host: str
) -> None:
    async with running(tmp_path, database_url, redis_url, host=host) as service:
        port = urlsplit(service.base).port
        assert service.base == f"http://{HOSTS[host]}:{port}"
        client, psychologist, session_id = await opened(service)
        await shares_a_picture(client, psychologist, session_id, service.base)
        options = (await client.get("/chat/ably-token", sessionId=session_id)).data["clientOptions"]
        assert (options["endpoint"], options["tls"]) == (HOSTS[host], False)
        await hears(client, psychologist, session_id)


@asynccontextmanager
async def proxied(prefix: str) -> AsyncIterator[tuple[str, list[str]]]:
    """Stand before a service as a proxy that takes a prefix away. Yield its address, and where it leads."""
    target: list[str] = []

    async def pass_on(request: web.Request) -> web.StreamResponse:
        path = request.raw_path.removeprefix(prefix)
        headers = {**request.headers, "X-Forwarded-Prefix": "/lies", "X-Forwarded-Host": "evil.example"}
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method, target[0] + path, headers=headers, data=await request.read()
            ) as answer,
        ):
            body = await answer.read()
            dropped = {"Transfer-Encoding", "Content-Length", "Connection"}
            kept = {name: value for name, value in answer.headers.items() if name not in dropped}
            return web.Response(status=answer.status, headers=kept, body=body)

    app = web.Application(client_max_size=4 << 20)
    app.router.add_route("*", f"{prefix}/{{path:.*}}", pass_on)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}{prefix}", target
    finally:
        await runner.cleanup()


async def test_behind_a_prefix_every_link_works(tmp_path: Path, database_url: str, redis_url: str) -> None:
    async with (
        proxied("/konseling/chat") as (base_url, target),
        running(tmp_path, database_url, redis_url, public_url=base_url) as service,
    ):
        target.append(service.base)
        near, near_too, session_id = await opened(service)
        client, psychologist = (
            Person(service.client, base_url, one.caller, one.token) for one in (near, near_too)
        )
        await shares_a_picture(client, psychologist, session_id, base_url)
        await hears(client, psychologist, session_id)
        status, content, _ = await fetched(f"{service.base}/docs")
        page = content.decode()
        assert status == 200
        for link in (f"{base_url}/openapi.json", f"{base_url}/asyncapi.json"):
            assert f'href="{link}"' in page
            assert (await fetched(link))[0] == 200
        assert f'data-base="{base_url}"' in page
        async with service.client.get(f"{base_url}/openapi.json") as answer:
            assert [one["url"] for one in (await answer.json())["servers"]] == [base_url]
        async with service.client.get(f"{base_url}/") as answer:
            places = await answer.json()
        # What is for those who run the service is not shown to who comes through a proxy.
        assert not places.keys() & {"documentation", "metrics"}
        for name in ("openapi", "asyncapi", "health", "ready"):
            assert places[name].startswith(f"{base_url}/"), name
            assert (await fetched(places[name]))[0] == 200, name
        assert places["api"] == f"{base_url}/api/v1"
        calendar = await calendar_link(client)
        assert calendar.startswith(f"{base_url}/api/v1/calendar.ics?")
        assert "BEGIN:VEVENT" in (await open_calendar(service, calendar)).json


async def test_what_proxies_say_of_themselves_is_not_believed(service: Service) -> None:
    lies = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-Port": "1",
        "X-Original-URL": "/evil",
        "X-Script-Name": "/evil",
        "Forwarded": "host=evil.example;proto=https",
        "Host": "evil.example",
    }
    client, _, session_id = await opened(service)
    sent = (await upload(client, session_id, photo())).data["attachment"]["id"]
    link = await client.call("GET", f"/chat/attachments/{sent}", headers=lies)
    assert link.data["url"].startswith(f"{service.base}/api/v1/")
    for path, expected in (("/", 200), ("/docs", 404), ("/openapi.json", 200)):
        for accept in ("text/html", "application/json"):
            status, content, _ = await fetched(service.base + path, Accept=accept, **lies)
            assert (status, b"evil" in content) == (expected, False), path


async def test_everyone_reaches_the_local_endpoint_by_the_host_of_the_public_address(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    told = {"host": "0.0.0.0", "public_url": "http://localhost:1/chat"}  # noqa: S104 - what is to be tested
    async with running(tmp_path, database_url, redis_url, **told) as service:
        client, psychologist, session_id = await opened(service)
        await hears(client, psychologist, session_id)
        options = (await client.get("/chat/ably-token", sessionId=session_id)).data["clientOptions"]
        assert options["endpoint"] == "localhost"

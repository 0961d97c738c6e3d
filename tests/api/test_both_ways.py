"""Requests that are plain are served without aiohttp's application: the answers are the same ones."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import aiohttp
import pytest

from handlers.http.envelope import PlainRoute
from handlers.http.routing import PREFIX
from handlers.server.application import ROUTES
from rdchat.domain.person import Role
from tests.support.bases import request_of
from tests.support.edges import another_edge
from tests.support.raw import exchange, post
from tests.support.sessions import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from handlers.http.routing import Route
    from tests.support.service import Service

#: What is another one in every answer.
_OWN_HEADERS = ("date", "x-request-id", "ratelimit", "idempotency-replayed")
_OWN_TEXTS = re.compile(
    r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+Z|\b\d+\b|token=[\w-]+"
)
#: What it says changes by itself.
_LIVE = {"get_overview"}
_PLAIN = tuple(route for route in ROUTES if route.admit is None and not route.bare)
_ORIGIN = "http://localhost:3000"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was served plainly, by method."""
    methods: list[str] = []
    answer = PlainRoute.answer

    async def noted(self: PlainRoute, *arguments: Any) -> bytes:
        methods.append(self.method)
        return await answer(self, *arguments)

    monkeypatch.setattr(PlainRoute, "answer", noted)
    return methods


def variants(route: Route, token: str, other: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Make requests for a route: a valid one, and some that are refused, for one reason each."""
    path, options = request_of(route)
    signed = {"Authorization": f"Bearer {token}"}
    valid = options | {"headers": signed}
    yield path, valid
    yield path, valid | {"headers": signed | {"Origin": _ORIGIN, "Accept-Encoding": "gzip"}}
    yield path, valid | {"headers": signed | {"Origin": "https://elsewhere.example", "X-Request-Id": "mine"}}
    yield path, valid | {"headers": signed | {"If-None-Match": "*", "Idempotency-Key": uuid4().hex}}
    yield path, valid | {"headers": {}}
    yield path, valid | {"headers": {"Authorization": f"Bearer {token}x"}}
    yield path, valid | {"headers": {"Authorization": f"Bearer {other}"}}
    yield path, valid | {"params": [*options["params"].items(), ("unknown", "1"), ("unknown", "2")]}
    if "{id}" in route.path:
        yield route.path.replace("{id}", "x"), valid
    for body in (b"", b"{", b"[]", b'{"unknown": 1}', b'"\xff"', b"{}" + b" " * 70_000):
        raw = {name: value for name, value in valid.items() if name != "json"} | {"data": body}
        yield path, raw | {"headers": signed | {"Content-Type": "application/json"}}
    yield path, valid | {"headers": signed | {"Content-Type": "text/plain"}}
    yield path, valid | {"headers": signed | {"Content-Type": "application/json; charset=UTF-8"}}
    yield path, valid | {"headers": signed | {"Content-Encoding": "deflate"}}


async def test_every_route_answers_the_same_in_both_ways(service: Service, served: list[str]) -> None:
    """Ids, instants and numbers aside, which are others each time."""
    differing: dict[str, Any] = {}
    tried = 0
    async with another_edge(service.runtime, plain=False) as other_base:
        for route in _PLAIN:
            role = min(route.roles, default=Role.CLIENT)
            person = service.person(role, organization_id=uuid4())
            stranger = service.person(Role.CLIENT if role is not Role.CLIENT else Role.SUPER_ADMIN)
            for path, options in variants(route, person.token, stranger.token):
                answers = []
                for base in (service.base, other_base):
                    url = f"{base}{PREFIX}{path}"
                    async with service.client.request(route.method, url, **options) as answer:
                        text = _OWN_TEXTS.sub("?", (await answer.read()).decode())
                        headers = {
                            name: value
                            for name, value in answer.headers.items()
                            if name.lower() not in _OWN_HEADERS
                        }
                        assert ("RateLimit" in answer.headers) == ("RateLimit-Policy" in headers)
                        if headers.get("Content-Encoding") == "gzip":
                            # How well something is packed is no part of what it says.
                            headers.pop("Content-Length", None)
                            headers.pop("Transfer-Encoding", None)
                        # What was created the first time is there the second time.
                        status = 200 if answer.status == HTTPStatus.CREATED else answer.status
                        answers.append((status, headers, "" if route.operation in _LIVE else text))
                tried += 1
                if answers[0] != answers[1]:
                    differing[f"{route.operation} {options}"[:300]] = answers
    assert not differing
    assert tried > 15 * len(_PLAIN)
    # Nearly all of them; not what names a body that is compressed, and the like.
    assert len(served) > 0.9 * tried


@pytest.mark.parametrize(
    "head",
    [
        "Expect: 100-continue\r\n",
        "Connection: close\r\n",
        "Connection: Upgrade\r\nUpgrade: h2c\r\n",
        "Transfer-Encoding: chunked\r\n",
    ],
)
async def test_what_is_not_plain_is_left_to_aiohttp(service: Service, served: list[str], head: str) -> None:
    client, _, session_id = await opened(service)
    served.clear()
    body = f'{{"sessionId": "{session_id}", "message": "Halo"}}'.encode()
    if "chunked" in head:
        sent = post(
            "/chat/messages", client.token, b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body), head.rstrip()
        )
    else:
        sent = post("/chat/messages", client.token, body, f"{head}Content-Length: {len(body)}")
    if "Expect" in head:
        async with service.client.post(
            f"{service.base}{PREFIX}/chat/messages",
            data=body,
            headers={"Authorization": f"Bearer {client.token}", "Content-Type": "application/json"},
            expect100=True,
        ) as answer:
            assert answer.status == 201
    else:
        assert (await exchange(service.base, sent)).status == 201
    assert not served
    assert (await client.say(session_id, "Apa kabar?")).status == 201
    assert served == ["POST"]


async def test_a_route_that_fails_says_so_in_both_ways(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise ZeroDivisionError

    person = service.person()
    monkeypatch.setattr(type(service.runtime.chat), "count_unread", fail)
    async with another_edge(service.runtime, plain=False) as other_base:
        for base in (service.base, other_base):
            headers = {"Authorization": f"Bearer {person.token}", "X-Request-Id": "mine"}
            async with service.client.get(f"{base}{PREFIX}/chat/unread", headers=headers) as answer:
                assert answer.status == 500
                assert (await answer.json())["requestId"] == answer.headers["X-Request-Id"] == "mine"
            # The connection goes on.
            async with service.client.get(f"{base}{PREFIX}/notifications", headers=headers) as answer:
                assert answer.status == 200


async def test_a_long_history_is_compressed_in_both_ways(service: Service) -> None:
    client, _, session_id = await opened(service)
    for number in range(40):
        await client.say(session_id, f"{number} " + "kata " * 400)
    texts = []
    async with another_edge(service.runtime, plain=False) as other_base:
        for base in (service.base, other_base):
            async with aiohttp.ClientSession() as http:
                answer = await http.get(
                    f"{base}{PREFIX}/chat/history",
                    params={"sessionId": session_id, "limit": "100"},
                    headers={"Authorization": f"Bearer {client.token}"},
                )
                assert answer.headers["Content-Encoding"] == "gzip"
                assert answer.headers["Vary"] == "Accept-Encoding, Origin"
                texts.append(await answer.text())
                assert len(texts[-1]) > 64 * 1024
    assert texts[0] == texts[1]

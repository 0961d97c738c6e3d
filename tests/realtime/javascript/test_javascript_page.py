"""The page of docs/browser.md, built of its blocks and nothing else: two people play a whole session on it.

A real browser shows it from another origin than the service's; `js/session.html` does there what people do.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from aiohttp import web

from rdchat.events.outbox_entry import Event
from rdchat.local.ably.faults import Fault, FaultKind, Operation
from tests.support.browser import browsing
from tests.support.service import Service, service_settings
from tests.support.soon import session_soon
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rdchat.local.ably import AblyLocal

pytestmark = pytest.mark.xdist_group("javascript")

ROOT = Path(__file__).parents[3]
JAVASCRIPT = Path(__file__).parents[1] / "js"
PATIENCE = 90.0
SERVICE = "http://127.0.0.1:8080"
#: The end is announced at half time, when most of what there is to see has been seen.
LASTS, WARNED = 36, timedelta(minutes=1)


def blocks(language: str) -> str:
    """What stands in the page's blocks of a language, one behind the other."""
    page = (ROOT / "docs" / "browser.md").read_text(encoding="utf-8")
    found = re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found, language
    return "\n".join(found)


class Stage:
    """Serves the page of the documentation, and does what is asked for outside of it."""

    def __init__(self, service: Service) -> None:
        self.outcome: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._service = service
        self._session = ""
        script = blocks("js")
        assert script.count(SERVICE) == 1
        self._texts = {
            "/index.html": ("text/html", blocks("html")),
            "/chat.js": ("text/javascript", script.replace(SERVICE, service.base)),
            "/session.html": ("text/html", (JAVASCRIPT / "session.html").read_text(encoding="utf-8")),
        }

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            *(web.get(path, self._text) for path in self._texts),
            web.static("/node_modules", JAVASCRIPT / "node_modules"),
            web.post("/ask", self._ask),
            web.post("/outcome", self._take),
        ]

    @property
    def _endpoint(self) -> AblyLocal:
        assert self._service.runtime.ably_local is not None
        return self._service.runtime.ably_local

    async def _text(self, request: web.Request) -> web.Response:
        kind, text = self._texts[request.path]
        return web.Response(text=text, content_type=kind)

    async def _take(self, request: web.Request) -> web.Response:
        self.outcome.set_result(await request.json())
        return web.Response()

    async def _ask(self, request: web.Request) -> web.Response:
        asked = await request.json()
        done = await getattr(self, f"_{asked.pop('what')}")(**asked)
        return web.json_response(done)

    async def _book(self) -> dict[str, str]:
        psychologist, client = await self._service.psychologist(), self._service.person()
        self._session = await session_soon(client, 4, LASTS, psychologistId=str(psychologist.id))
        return {
            "service": self._service.base,
            "client": client.token,
            "psychologist": psychologist.token,
        }

    async def _lose(self, deliveries: int) -> None:
        self._at_delivery(FaultKind.DROP, deliveries)

    async def _lost(self) -> None:
        await until(lambda: not list(self._endpoint.faults), 10)

    async def _double(self, deliveries: int) -> None:
        self._at_delivery(FaultKind.DUPLICATE, deliveries)

    def _at_delivery(self, kind: FaultKind, times: int) -> None:
        self._endpoint.faults.add(
            Fault(kind, on=Operation.DELIVER, channel=f"chat:session:{self._session}", times=times)
        )

    async def _cut(self) -> None:
        self._endpoint.drop_sockets()

    async def _revoke(self) -> None:
        before = int(self._service.runtime.clock.ms())
        data = orjson.dumps({"revocationKey": self._session, "issuedBefore": before}).decode()
        assert await self._service.runtime.ably.revoke([Event("", "", "", data)]) is None

    async def _alone(self) -> None:
        await until(lambda: not [one for app in self._endpoint.apps for one in app.connections], 10)


@pytest.fixture
async def warned(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Service]:
    """A service whose sessions have half of their time left when their end is announced."""
    settings = service_settings(tmp_path, end_warning_lead=WARNED)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        yield service


async def test_a_whole_session_by_the_page_of_the_documentation(
    warned: Service, browser: str, sdk: object, directory: Path
) -> None:
    assert (JAVASCRIPT / "node_modules" / "ably").exists(), f"the SDK is not installed: {sdk}"
    async with AsyncExitStack() as stack:
        stage = Stage(warned)
        application = web.Application()
        application.add_routes(stage.routes())
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://localhost:{runner.addresses[0][1]}/session.html"
        process = await stack.enter_async_context(browsing(browser, directory, url))
        ended = asyncio.create_task(process.wait())
        either: set[asyncio.Future[Any]] = {stage.outcome, ended}
        await asyncio.wait(either, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    await ended
    stderr = (directory / "stderr").read_text(errors="replace").splitlines()
    said = "\n".join(line for line in stderr if "CONSOLE" in line)
    assert stage.outcome.done(), f"the page reported nothing. The browser said: {said}"
    outcome = stage.outcome.result()
    assert "broken" not in outcome, f"{outcome['broken']}. The browser said: {said}"
    assert "Uncaught" not in said
    assert outcome == {
        "origins": 2,
        "waiting": [False, False],
        "open": "Sesi berlangsung sampai pukul HH.MM",
        "automated": ["", "", "mine", "mine"],
        "draft": ["mine draft", "Halo, Kak <b>Sari</b>"],
        "sent": [["mine", "Halo, Kak <b>Sari</b>"], ["", "Halo, Kak <b>Sari</b>"]],
        "agree": True,
        "missed": True,
        "filled": ["jawabannya hilang", "hilang di jalan", "lalu ini"],
        "away": True,
        "end": [True, True],
        # 23 and seven more, and the last words.
        "numbers": [[31, 31], [31, 31]],
        "drafts": 0,
        "agreeAtLast": True,
    }

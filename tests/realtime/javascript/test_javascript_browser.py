"""The genuine JavaScript SDK in a real browser, on a page of another origin than the local endpoint's.

The browser is started once. Its page, `js/browser.html`, runs all the scenarios and reports what they showed;
each test reads one of them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web

from rdchat.local.ably import AblyLocal, Limits
from tests.support.browser import browsing

pytestmark = pytest.mark.xdist_group("javascript")

JAVASCRIPT = Path(__file__).parents[1] / "js"
BUILD = JAVASCRIPT / "node_modules" / "ably" / "build"
PATIENCE = 30.0
REAUTH_LEAD = 30.0
REFUSED = "operation not permitted: {} on channel denied"

Mint = Callable[..., str]
Report = dict[str, Any]


@pytest.fixture(scope="module")
def outcome(
    browser: str,
    sdk: object,
    directory: Path,
    mint: Mint,
    key: tuple[str, str],
) -> Report:
    """What the page showed, by the names of its scenarios."""
    if not BUILD.exists():
        pytest.fail(f"The SDK is not installed: {sdk}", pytrace=False)
    return asyncio.run(_show(browser, directory, mint, key))


class Page:
    """Serves the page and what it loads, and takes its report."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[Report] = asyncio.get_running_loop().create_future()

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.get("/", self._page),
            web.static("/ably", BUILD),
            web.post("/outcome", self._take),
        ]

    async def _page(self, _request: web.Request) -> web.FileResponse:
        return web.FileResponse(JAVASCRIPT / "browser.html")

    async def _take(self, request: web.Request) -> web.Response:
        outcome = await request.json()
        if not self.outcome.done():
            self.outcome.set_result(outcome)
        return web.Response()


class Stranger:
    """A third origin: it hands out tokens to every page, and has something that no page may read."""

    def __init__(self, mint: Mint) -> None:
        self._mint = mint
        # The endpoint asks for another one as soon as the first has no more than its lead left.
        self._lifetimes = iter([REAUTH_LEAD + 2.0, 600.0])
        self.asked: list[str] = []

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.options("/token", self._allow),
            web.get("/token", self._token),
            web.get("/closed", self._closed),
        ]

    async def _allow(self, request: web.Request) -> web.Response:
        self.asked.append(f"OPTIONS {request.headers['Access-Control-Request-Headers']}")
        headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "x-page"}
        return web.Response(status=204, headers=headers)

    async def _token(self, request: web.Request) -> web.Response:
        self.asked.append(f"GET {request.headers['X-Page']}")
        token = self._mint({"open:*": ["*"]}, lifetime=next(self._lifetimes))
        return web.Response(text=token, headers={"Access-Control-Allow-Origin": "*"})

    async def _closed(self, _request: web.Request) -> web.Response:
        return web.Response(text="not for pages of others")


@contextlib.asynccontextmanager
async def _served(site: Page | Stranger) -> AsyncIterator[str]:
    """Serve a site on a port of its own, hence an origin of its own: the address."""
    application = web.Application()
    application.add_routes(site.routes())
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _show(browser: str, directory: Path, mint: Mint, key: tuple[str, str]) -> Report:
    endpoint = AblyLocal(keys=dict([key]), limits=Limits(reauth_lead=REAUTH_LEAD))
    page, stranger = Page(), Stranger(mint)
    async with contextlib.AsyncExitStack() as stack:
        await endpoint.start()
        stack.push_async_callback(endpoint.close)
        parameters = {
            "endpoint": endpoint.address,
            "stranger": await stack.enter_async_context(_served(stranger)),
            "token": mint({"open:*": ["*"]}, client_id="ann"),
            "reading": mint({"open:*": ["subscribe"]}, client_id="ann"),
        }
        url = f"{await stack.enter_async_context(_served(page))}/?{urlencode(parameters)}"
        process = await stack.enter_async_context(browsing(browser, directory, url))
        ended = asyncio.create_task(process.wait())
        either: set[asyncio.Future[Any]] = {page.outcome, ended}
        await asyncio.wait(either, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        state = f"ended with {process.returncode}" if ended.done() else "still ran"
    await ended
    said = f"The browser {state}, and said: {(directory / 'stderr').read_text(errors='replace')}"
    if not page.outcome.done():
        pytest.fail(f"The page reported nothing. {said}", pytrace=False)
    outcome = page.outcome.result()
    if "broken" in outcome:
        pytest.fail(f"The page is broken: {outcome['broken']}. {said}", pytrace=False)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"the endpoint leaves tasks: {left}"
    return outcome | {"asked": stranger.asked}


def test_the_browser_guards_other_origins(outcome: Report) -> None:
    assert outcome["guarded"] == {"origins": 3, "allowed": "readable", "forbidden": "TypeError"}


def test_messages(outcome: Report, fmt: str) -> None:
    assert outcome[f"messages {fmt}"] == {
        "received": [["text", "ann", "halo 😊"], ["object", "ann", {"seq": 1}], ["bytes", "ann", [0, 255]]],
        "denied": [40160, 401],
        "state": "connected",
    }


def test_presence(outcome: Report, fmt: str) -> None:
    assert outcome[f"presence {fmt}"] == {
        "seen": [
            ["enter", "ann", {"typing": False}],
            ["update", "ann", {"typing": True}],
            ["leave", "ann", {"typing": True}],
        ],
        "present": [["ann", {"typing": True}]],
        "afterwards": 0,
    }


def test_history_by_pages(outcome: Report, fmt: str) -> None:
    assert outcome[f"history {fmt}"] == {
        "backwards": [[4, 3], [2, 1], [0]],
        "forwards": [[0, 1, 2], [3, 4]],
        "requested": [[4, 3, 2, 1], [0]],
    }


def test_a_refusal_is_readable(outcome: Report, fmt: str) -> None:
    """In MessagePack that takes an envelope: without one the SDK reads only errors in JSON."""
    denied = outcome[f"denied {fmt}"]
    assert denied["history"] == [40160, 401, REFUSED.format("history")]
    assert denied["request"] == [False, 401, 40160]
    # It publishes without an envelope.
    code, status, _ = denied["publish"]
    assert (code, status) == (40160 if fmt == "json" else code, 401)


def test_edits_are_refused(outcome: Report, fmt: str) -> None:
    edits, immutable = outcome[f"edits {fmt}"], [93002, 400]
    assert edits[:2] == [immutable, immutable]
    if fmt == "json":
        assert edits[2:] == [immutable, immutable]
    # In MessagePack no envelope is asked for, so the SDK reads the status alone.
    assert [status for _, status in edits[2:]] == [400, 400]


def test_a_capability_that_is_gained(outcome: Report, fmt: str) -> None:
    assert outcome[f"gained {fmt}"] == {"before": 40160, "heard": "after"}


def test_the_modular_build_by_fetch(outcome: Report, fmt: str) -> None:
    assert outcome[f"fetched {fmt}"] == {
        "pages": [[4, 3], [2, 1], [0]],
        "denied": [40160, 401, REFUSED.format("history")],
    }


def test_the_envelope(outcome: Report) -> None:
    good, denied = outcome["envelope"]["good"], outcome["envelope"]["denied"]
    assert (good["status"], good["statusCode"], good["response"]) == (200, 200, [])
    assert "./messages?limit=1" in good["headers"]["Link"]
    assert (denied["status"], denied["statusCode"]) == (200, 401)
    assert denied["headers"]["X-Ably-Errorcode"] == "40160"
    assert denied["response"]["error"]["code"] == 40160


def test_links_and_error_codes_in_headers(outcome: Report) -> None:
    assert outcome["links"] == {"pages": [[4, 3], [2, 1], [0]], "refused": [401, "40160"]}


def test_renewal_through_another_origin(outcome: Report) -> None:
    assert outcome["renewal"] == {
        "update": ["connected", None],
        "sameConnection": True,
        "sameToken": False,
    }
    # Its page's own header makes the browser ask for permission first; that may be remembered.
    assert outcome["asked"][:2] == ["OPTIONS x-page", "GET yes"]
    assert outcome["asked"].count("GET yes") == 2

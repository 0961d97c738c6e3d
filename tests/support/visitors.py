"""People at the pages of `/app`, each in a browser window of their own, as Playwright drives them."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from playwright.async_api import async_playwright

from handlers.pages.static_files import WEB
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, BrowserContext, Locator, Page

    from tests.support.service import Person, Service

AXE: Final = WEB / "node_modules" / "axe-core" / "axe.min.js"
#: How long a browser on a busy machine may take to show something.
PATIENCE_MS: Final = 30_000.0
_OPTIONS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A microphone that gives a tone, and needs no leave.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
_WATCH: Final = """
addEventListener('securitypolicyviolation', (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""
_REMEMBERED: Final = "sessionStorage.setItem('rdchat:person', 'signed in');"


class Visitor:
    """One person's window. What it must never do is collected; `allow` says what a test expects of it."""

    def __init__(self, context: BrowserContext, page: Page, base: str) -> None:
        self.context = context
        self.page = page
        self.base = base
        self.faults: list[str] = []
        self.allowed: list[str] = []
        self._host = urlsplit(base).hostname
        page.on("console", lambda message: self._say(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self._say(f"thrown: {error}"))
        page.on("request", lambda request: self._look(request.url))

    @property
    def composer(self) -> Locator:
        """Where the chat on the screen is written in."""
        return self.page.locator(".composer textarea")

    def allow(self, *parts: str) -> None:
        """Take what contains one of these as expected: the browser itself writes down each failed request."""
        self.allowed.extend(parts)

    def check(self) -> None:
        """Fail on what should not have happened."""
        unexpected = [one for one in self.faults if not any(part in one for part in self.allowed)]
        assert not unexpected, unexpected

    async def go(self, path: str = "") -> None:
        """Open a page of `/app`."""
        await self.page.goto(f"{self.base}/app{path}")

    async def see(self, selector: str, *, within: float = PATIENCE_MS) -> Any:
        """Wait until something is shown. Return the first that is."""
        found = self.page.locator(selector).first
        await found.wait_for(timeout=within)
        return found

    async def is_in_state(self, state: str) -> None:
        """Wait until the chat on the screen is in a state of the client's: live, offline, over ..."""
        await self.page.wait_for_selector(f"[data-chat-state={state}]", state="attached", timeout=PATIENCE_MS)

    async def write(self, text: str) -> None:
        """Write and send, with the keyboard; again while the chat has only just come to the front."""
        await self.composer.fill(text)

        async def is_taken() -> bool:
            await self.composer.press("Enter")
            return await self.composer.input_value() == ""

        await until(is_taken, PATIENCE_MS / 1000, every=0.2)

    async def texts(self, selector: str = ".messages li[data-seq] .bubble") -> list[str]:
        """List what the messages on the screen say."""
        return [text.strip() for text in await self.page.locator(selector).all_inner_texts()]

    async def audit(self) -> list[str]:
        """List what axe finds wrong with the screen and the frames in it, as rule and place."""
        # By the debugger's own way in: the page's policy would refuse a script of others.
        for frame in self.page.frames:
            if not await frame.evaluate("'axe' in window"):
                await frame.evaluate(AXE.read_text(encoding="utf-8"))
        found = await self.page.evaluate("axe.run({resultTypes: ['violations']})")
        return [
            f"{one['id']}: {node['html'][:200]} ({node['failureSummary'][:300]})"
            for one in found["violations"]
            for node in one["nodes"]
        ]

    def _say(self, text: str) -> None:
        self.faults.append(text)

    def _look(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname != self._host:
            self.faults.append(f"asked another host: {url}")


class Visitors:
    """Windows on the pages of a service."""

    def __init__(self, browser: Browser, service: Service) -> None:
        self.browser = browser
        self.service = service
        self._opened: list[Visitor] = []

    async def open(self, person: Person | None = None, **options: Any) -> Visitor:
        """Open a window; a person is signed in by a token, as an identity provider's would be."""
        given = {"viewport": {"width": 1280, "height": 800}, "locale": "id-ID", "timezone_id": "Asia/Jakarta"}
        context = await self.browser.new_context(**(given | options))
        context.set_default_timeout(PATIENCE_MS)
        page = await context.new_page()
        visitor = Visitor(context, page, self.service.base)
        await context.add_init_script(_WATCH)
        if person is not None:
            await context.add_init_script(_REMEMBERED)
            await self._sign_in(visitor, person)
        self._opened.append(visitor)
        return visitor

    async def another_tab(self, visitor: Visitor, person: Person) -> Visitor:
        """Open a second tab of the same person, in the same browser."""
        tab = Visitor(visitor.context, await visitor.context.new_page(), visitor.base)
        await self._sign_in(tab, person)
        self._opened.append(tab)
        return tab

    def check(self) -> None:
        """Fail on what no window should have done."""
        for visitor in self._opened:
            visitor.check()

    async def _sign_in(self, visitor: Visitor, person: Person) -> None:
        body = json.dumps({"success": True, "data": {"token": person.token}})

        async def answer(route: Any) -> None:
            await route.fulfill(status=200, content_type="application/json", body=body)

        await visitor.page.route("**/app/sign-in", answer)


@asynccontextmanager
async def visiting(browser: str, service: Service) -> AsyncIterator[Visitors]:
    """Start a browser; end it, and fail if a page did what none may."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=browser, args=list(_OPTIONS))
        visitors = Visitors(started, service)
        try:
            yield visitors
        finally:
            await started.close()
    visitors.check()

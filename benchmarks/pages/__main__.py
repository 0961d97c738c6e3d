"""The pages as their users feel them, on a processor that is slowed four times."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import click
from playwright.async_api import async_playwright

from benchmarks.machine import describe
from benchmarks.page import write_section
from benchmarks.pages.long_history import answer_history
from benchmarks.pages.serving import PagesServing, find_chromium, rehearse

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

_SLOWED: Final = 4
_MESSAGES: Final = 10_000
_KEYS: Final = 200
_STEPS: Final = 60
_PATIENCE_MS: Final = 60_000.0
#: What must hold: the first screen, a key, a long task, all in milliseconds.
_FIRST_SCREEN_MS, _KEY_MS, _TASK_MS = 1_000, 50, 100

_WATCH: Final = """
globalThis.watched = { ready: null, keys: [], tasks: [] };
new MutationObserver((_, self) => {
  if (!document.querySelector('.people button')) return;
  self.disconnect();
  // Painted, and the main thread is free again.
  requestAnimationFrame(() => setTimeout(() => { watched.ready = performance.now(); }, 0));
}).observe(document, { childList: true, subtree: true });
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) watched.tasks.push(one.duration);
}).observe({ type: 'longtask', buffered: true });
// From the key to the end of what it causes, the next picture included.
addEventListener('keydown', () => {
  const began = performance.now();
  requestAnimationFrame(() => setTimeout(() => watched.keys.push(performance.now() - began), 0));
}, true);
"""

_HAS_OLDER: Final = "seen => +document.querySelector('[data-seq]').dataset.seq < seen"
_NUMBERS: Final = "[...document.querySelectorAll('[data-seq]')].map(one => +one.dataset.seq)"

_PROSE: Final = """## The pages

`.venv/bin/python -m benchmarks.pages --write`. {machine}. Chromium without a window,
its processor slowed {slowed} times.

| | measured | must be below |
|---|--:|--:|
| first screen of `/app`, until it can be used (median of {visits}) | {first:.0f} ms | {first_limit} ms |
| loaded for it, compressed | {kilobytes:.0f} KB | |
| a key in a chat of {messages:,} messages, until it is shown: p50 | {key_p50:.0f} ms | |
| the same: p99 | {key_p99:.0f} ms | {key_limit} ms |
| the longest task while scrolling through {scrolled:,} of them | {task:.0f} ms | {task_limit} ms |
| messages in the page at most | {most} | 400 |
"""


@dataclass(slots=True)
class Felt:
    """What was measured: milliseconds and bytes."""

    first_screens: list[float]
    loaded: int
    keys: list[float]
    longest_task: float
    most_in_page: int
    scrolled: int


async def measure(visits: int) -> Felt:
    """Start a service and a browser, and measure."""
    browser_path = find_chromium()
    with tempfile.TemporaryDirectory(prefix="rdchat-pages-") as directory:
        serving = PagesServing(Path(directory))
        try:
            base = await serving.start()
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(
                    executable_path=browser_path, args=["--no-sandbox", "--disable-background-networking"]
                )
                first_screens, loaded = await _first_screens(browser, base, visits)
                felt = Felt(first_screens, loaded, [], 0.0, 0, 0)
                await _long_chat(browser, base, felt)
                await browser.close()
        finally:
            await serving.stop()
    return felt


async def _slowed(browser: Browser) -> Page:
    context = await browser.new_context(viewport={"width": 390, "height": 844})
    context.set_default_timeout(_PATIENCE_MS)
    await context.add_init_script(_WATCH)
    page = await context.new_page()
    session = await context.new_cdp_session(page)
    await session.send("Emulation.setCPUThrottlingRate", {"rate": _SLOWED})
    return page


async def _first_screens(browser: Browser, base: str, visits: int) -> tuple[list[float], int]:
    found, loaded = [], 0
    for _ in range(visits):
        page = await _slowed(browser)
        await page.goto(f"{base}/app")
        await page.wait_for_function("() => watched.ready !== null")
        found.append(float(await page.evaluate("watched.ready")))
        loaded = await page.evaluate(
            "[...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')]"
            ".filter(one => !one.name.endsWith('.woff2')).reduce((sum, one) => sum + one.encodedBodySize, 0)"
        )
        await page.context.close()
    return found, loaded


async def _long_chat(browser: Browser, base: str, felt: Felt) -> None:
    rehearsal = await rehearse(base)
    token, session_id = rehearsal["client"]["token"], rehearsal["sessionId"]
    page = await _slowed(browser)
    await page.add_init_script("sessionStorage.setItem('rdchat:person', 'signed in')")
    told = {"success": True, "data": {"token": token}}
    await page.route("**/app/sign-in", lambda route: route.fulfill(json=told))
    session = {"id": session_id, **{one: rehearsal[one]["person"] for one in ("client", "psychologist")}}

    async def history(route: Any) -> None:  # noqa: ANN401 - Playwright's
        await route.fulfill(json=answer_history(route.request.url, session, _MESSAGES))

    await page.route("**/api/v1/chat/history*", history)
    await page.goto(f"{base}/app/chat/{session_id}")
    await page.wait_for_selector(".composer textarea")
    await page.wait_for_selector("[data-chat-state=live]", state="attached")
    await page.evaluate("watched.keys.length = 0")
    await page.locator(".composer textarea").press_sequentially("halo, saya " * (_KEYS // 11), delay=30)
    felt.keys = await page.evaluate("watched.keys")
    await page.evaluate("watched.tasks.length = 0")
    seen = _MESSAGES
    for _ in range(_STEPS):
        await page.evaluate("document.querySelector('.messages').scrollTop = 0")
        await page.wait_for_function(
            "seen => +document.querySelector('[data-seq]').dataset.seq < seen", arg=seen
        )
        numbers = await page.evaluate(
            "[...document.querySelectorAll('[data-seq]')].map(one => +one.dataset.seq)"
        )
        seen = numbers[0]
        felt.most_in_page = max(felt.most_in_page, len(numbers))
    felt.scrolled = _MESSAGES - seen
    felt.longest_task = max(await page.evaluate("watched.tasks"), default=0.0)
    await page.context.close()


@click.command()
@click.option("--visits", default=9, show_default=True, help="How often the first screen is opened.")
@click.option("--write", is_flag=True, help="Write the section of docs/benchmarks.md.")
def main(visits: int, *, write: bool) -> None:
    """Measure the pages in Chromium, its processor slowed four times."""
    felt = asyncio.run(measure(visits))
    keys = sorted(felt.keys)
    first, key_p99 = median(felt.first_screens), keys[int(len(keys) * 0.99)]
    text = _PROSE.format(
        machine="{cpu}, {cores} cores, {kernel}, Python {python}".format(**describe()),
        slowed=_SLOWED,
        visits=visits,
        first=first,
        first_limit=f"{_FIRST_SCREEN_MS:,}",
        kilobytes=felt.loaded / 1000,
        messages=_MESSAGES,
        key_p50=median(keys),
        key_p99=key_p99,
        key_limit=_KEY_MS,
        scrolled=felt.scrolled,
        task=felt.longest_task,
        task_limit=_TASK_MS,
        most=felt.most_in_page,
    )
    click.echo(text)
    if write:
        write_section("pages", text)
    if first >= _FIRST_SCREEN_MS or key_p99 >= _KEY_MS or felt.longest_task >= _TASK_MS:
        raise click.ClickException("a limit is not kept")


if __name__ == "__main__":
    main()

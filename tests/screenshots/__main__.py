"""Play a session in a browser, and keep what its people see as pictures."""

from __future__ import annotations

import asyncio
import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import click
from PIL import Image
from playwright.async_api import async_playwright

from benchmarks.pages.serving import PagesServing, find_chromium, rehearse

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

_IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"
_PATIENCE_MS: Final = 150_000.0
_GAP: Final = 24
_PAPER: Final = (226, 222, 215)
_COLOURS: Final = 200
_TALK: Final = (
    ("client", "Selamat pagi, Bu. Akhir-akhir ini saya susah tidur."),
    ("client", "Pikiran saya ke skripsi terus 😔"),
    ("psychologist", "Terima kasih sudah bercerita. Sejak kapan Anda merasakannya?"),
    ("client", "Kira-kira tiga minggu, sejak sidang ditunda."),
    ("psychologist", "Itu berat. Mari kita lihat satu malam dulu: apa yang terjadi menjelang tidur?"),
)


class Photographer:
    """Opens pages as people, and keeps pictures of them."""

    def __init__(self, browser: Browser, base: str) -> None:
        self._browser = browser
        self._base = base

    async def open(self, person: dict[str, Any], path: str, **options: Any) -> Page:
        """Open a page as a person of the service, in Indonesian."""
        given: dict[str, Any] = {"locale": "id-ID", "timezone_id": "Asia/Jakarta", "device_scale_factor": 1.5}
        context = await self._browser.new_context(**(given | options))
        context.set_default_timeout(_PATIENCE_MS)
        page = await context.new_page()
        if "token" in person:
            await page.route(
                "**/app/sign-in", lambda route: route.fulfill(json={"data": {"token": person["token"]}})
            )
        person_id = person.get("person", person)["id"]
        await page.add_init_script(f"sessionStorage.setItem('rdchat:person', '{person_id}')")
        await page.goto(f"{self._base}/app{path}")
        return page

    async def people(self) -> list[dict[str, Any]]:
        """List who can be signed in."""
        async with aiohttp.ClientSession() as http, http.get(f"{self._base}/app/people") as answer:
            people: list[dict[str, Any]] = (await answer.json())["data"]
            return people


async def take_all(say: Any) -> None:
    """Start a service and a browser, and take every picture."""
    with tempfile.TemporaryDirectory(prefix="rdchat-screenshots-") as directory:
        serving = PagesServing(Path(directory))
        try:
            base = await serving.start()
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(
                    executable_path=find_chromium(), args=["--no-sandbox", "--disable-background-networking"]
                )
                photographer = Photographer(browser, base)
                await _sign_in(browser, base)
                say("sign-in")
                await _session(photographer, await rehearse(base), say)
                await _others(photographer, say)
                await browser.close()
        finally:
            await serving.stop()


async def _sign_in(browser: Browser, base: str) -> None:
    context = await browser.new_context(viewport={"width": 1100, "height": 700}, locale="en-GB")
    page = await context.new_page()
    await page.goto(f"{base}/app")
    await page.wait_for_selector(".people button")
    await _keep(page, "page-start")
    await context.close()


async def _session(photographer: Photographer, rehearsal: dict[str, Any], say: Any) -> None:
    session_id = rehearsal["sessionId"]
    phone = {"width": 390, "height": 800}
    pages = {
        "client": await photographer.open(rehearsal["client"], f"/chat/{session_id}", viewport=phone),
        "psychologist": await photographer.open(
            rehearsal["psychologist"], f"/chats/{session_id}", viewport={"width": 1280, "height": 800}
        ),
    }
    client, psychologist = pages["client"], pages["psychologist"]
    await client.wait_for_selector(".waiting-room .countdown")
    await client.wait_for_selector(".message.automated")
    waiting = await client.screenshot()
    for page in pages.values():
        await page.wait_for_selector(".composer textarea")
        await page.wait_for_selector("[data-chat-state=live]", state="attached")
    for who, text in _TALK:
        composer = pages[who].locator(".composer textarea")
        await composer.fill(text)
        while await composer.input_value():
            await composer.press("Enter")
            await pages[who].wait_for_timeout(100)
        for page in pages.values():
            await page.wait_for_selector(f".message[data-seq]:has-text('{text[:20]}')")
    await client.locator(".composer textarea").press_sequentially("Biasanya saya")
    await psychologist.wait_for_selector(".typing:has-text('mengetik')")
    _join("page-chat", [await client.screenshot(), await psychologist.screenshot()])
    say("chat")
    await client.wait_for_selector(".ending")
    ending = await client.screenshot()
    await client.wait_for_selector(".chat-over h2")
    _join("page-session", [waiting, ending, await client.screenshot()])
    say("session")
    for page in pages.values():
        await page.context.close()


async def _others(photographer: Photographer, say: Any) -> None:
    people = {one["role"]: one for one in await photographer.people()}
    wide = {"width": 1280, "height": 800}
    booking = await photographer.open(people["client"], "/book", viewport=wide)
    await booking.locator(".day[data-free]").first.click()
    await booking.wait_for_selector(".time")
    await _keep(booking, "page-booking")
    say("booking")
    console = await photographer.open(people["super_admin"], "/", viewport={"width": 1280, "height": 1000})
    await console.wait_for_selector(".uplot")
    await _keep(console, "page-console")
    say("console")
    await console.locator("nav a[href$='/sessions']").click()
    await console.locator("[data-session] a, a[data-session]").first.click()
    await console.wait_for_selector(".diagram")
    await _keep(console, "page-diagram")
    say("diagram")


async def _keep(page: Page, name: str) -> None:
    await page.evaluate("document.fonts.ready")
    _join(name, [await page.screenshot()])


def _join(name: str, shots: list[bytes]) -> None:
    """Put pictures side by side, and keep them as one that is small."""
    pictures = [Image.open(io.BytesIO(shot)).convert("RGB") for shot in shots]
    width = sum(one.width for one in pictures) + _GAP * (len(pictures) - 1)
    whole = Image.new("RGB", (width, max(one.height for one in pictures)), _PAPER)
    left = 0
    for one in pictures:
        whole.paste(one, (left, 0))
        left += one.width + _GAP
    whole.quantize(_COLOURS, dither=Image.Dither.NONE).save(_IMAGES / f"{name}.png", optimize=True)


@click.command()
def main() -> None:
    """Take the pictures of docs/images again, in about three minutes."""
    asyncio.run(take_all(lambda name: click.echo(f"  {name}")))


if __name__ == "__main__":
    main()

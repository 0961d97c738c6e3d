"""Voice messages in a real browser, on a page of another origin: an `<audio>` plays and seeks in each."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from tests.support.browser import browsing, find_browser
from tests.support.forms import upload
from tests.support.recordings import FORMS, recording
from tests.support.sessions import opened

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.service import Service

pytestmark = pytest.mark.xdist_group("javascript")

PATIENCE = 60.0
PAGE = """<!doctype html><script type="module">
const happened = (player, name) => new Promise((resolve, reject) => {
  player.addEventListener(name, resolve, {once: true});
  player.addEventListener("error", () => reject(new Error(player.error.message)), {once: true});
});
const open = async (element, url) => {
  const player = Object.assign(document.createElement(element), {muted: true, preload: "metadata"});
  const ready = happened(player, "loadedmetadata");
  player.src = url;
  await ready;
  const duration = player.duration;
  const seeked = happened(player, "seeked");
  player.currentTime = duration - 0.5;
  await seeked;
  return player;
};
const play = async (url) => {
  const audio = await open("audio", url);
  // Without a person's click, only a muted video may begin; it plays sound alone as well.
  const player = await open("video", url);
  const from = player.currentTime;
  const ended = happened(player, "ended");
  await player.play();
  await ended;
  const ready = audio.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
  return {duration: audio.duration, ready, from, to: player.currentTime};
};
const outcome = {};
for (const [form, url] of Object.entries(await (await fetch("/links")).json()))
  outcome[form] = await play(url).catch((error) => ({broken: String(error)}));
await fetch("/outcome", {method: "POST", body: JSON.stringify(outcome)});
</script>
"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = find_browser()
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("No browser is installed: whether it plays voice messages is not shown", pytrace=False)
    return found or pytest.skip("No browser is installed; `make browser` installs one")


async def test_a_browser_plays_every_kind_and_from_its_middle(
    service: Service, browser: str, tmp_path: Path
) -> None:
    client, _, session_id = await opened(service)
    links = {}
    for form in FORMS:
        sent = (await upload(client, session_id, recording(form, 4.0))).data["attachment"]
        links[form] = service.base + sent["url"]
    outcome: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def show(_request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def give(_request: web.Request) -> web.Response:
        return web.json_response(links)

    async def take(request: web.Request) -> web.Response:
        outcome.set_result(await request.json())
        return web.Response()

    application = web.Application()
    application.add_routes([web.get("/", show), web.get("/links", give), web.post("/outcome", take)])
    async with AsyncExitStack() as stack:
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        directory = tmp_path / "browser"
        directory.mkdir()
        url = f"http://localhost:{runner.addresses[0][1]}/"
        await stack.enter_async_context(browsing(browser, directory, url))
        done, _ = await asyncio.wait([outcome], timeout=PATIENCE)
        assert done, (directory / "stderr").read_text(errors="replace")
    for form, played in outcome.result().items():
        assert "broken" not in played, (form, played)
        assert played["ready"], form
        assert played["duration"] == pytest.approx(4.0, abs=0.1), form
        # It was sought, not played until there.
        assert played["from"] == pytest.approx(played["duration"] - 0.5, abs=0.1), form
        assert played["to"] == pytest.approx(played["duration"], abs=0.1), form
    assert outcome.result().keys() == FORMS.keys()

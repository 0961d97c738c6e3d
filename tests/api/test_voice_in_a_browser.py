"""Voice messages in a real browser, on a page of another origin: an `<audio>` plays and seeks in each."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pytest
from aiohttp import web

from tests.support.browser import browsing
from tests.support.forms import upload
from tests.support.recordings import FORMS, recording
from tests.support.sessions import opened

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.service import Service

pytestmark = pytest.mark.xdist_group("javascript")

PATIENCE = 60.0
#: What pages record with, and what that is to us. Not every browser has each.
RECORDED = {
    "audio/webm;codecs=opus": "audio/webm",
    "audio/mp4;codecs=opus": "audio/mp4",
    "audio/mp4;codecs=mp4a.40.2": "audio/mp4",
    "audio/ogg;codecs=opus": "audio/ogg",
}
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
// What a microphone gives, without one: a tone, as fast as it is heard.
const record = async (mimeType) => {
  if (!MediaRecorder.isTypeSupported(mimeType)) return null;
  const track = new MediaStreamTrackGenerator({kind: "audio"});
  const recorder = new MediaRecorder(new MediaStream([track]), {mimeType});
  const parts = [];
  recorder.addEventListener("dataavailable", ({data}) => parts.push(data));
  const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve));
  recorder.start(200);
  const writer = track.writable.getWriter();
  const begun = performance.now();
  for (let frame = 0; frame < 150; frame++) {
    const data = Float32Array.from({length: 480}, (_, n) => Math.sin((480 * frame + n) / 20) / 4);
    const about = {format: "f32", sampleRate: 48000, numberOfFrames: 480, numberOfChannels: 1};
    await writer.write(new AudioData({...about, timestamp: frame * 10000, data}));
    while (performance.now() < begun + 10 * frame) await new Promise((resolve) => setTimeout(resolve));
  }
  recorder.stop();
  await stopped;
  return new Blob(parts);
};
for (const type of await (await fetch("/types")).json()) {
  const made = await record(type);
  if (made) await fetch(`/recorded?${new URLSearchParams({type})}`, {method: "POST", body: made});
}
const outcome = {};
for (const [form, url] of Object.entries(await (await fetch("/links")).json()))
  outcome[form] = await play(url).catch((error) => ({broken: String(error)}));
await fetch("/outcome", {method: "POST", body: JSON.stringify(outcome)});
</script>
"""


async def test_a_browser_plays_every_kind_and_what_it_records_is_taken(
    service: Service, browser: str, tmp_path: Path
) -> None:
    client, _, session_id = await opened(service)
    links = {}
    for form in FORMS:
        sent = (await upload(client, session_id, recording(form, 4.0))).data["attachment"]
        links[form] = urljoin(service.base, sent["url"])
    recorded: dict[str, Any] = {}
    outcome: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def show(_request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def give(_request: web.Request) -> web.Response:
        return web.json_response(links)

    async def name_types(_request: web.Request) -> web.Response:
        return web.json_response(list(RECORDED))

    async def keep(request: web.Request) -> web.Response:
        content_type = request.query["type"]
        reply = await upload(
            client, session_id, await request.read(), "suara", client_message_id=content_type
        )
        assert reply.status == 201, (content_type, reply.json)
        attachment = reply.data["attachment"]
        recorded[content_type] = attachment
        links[content_type] = urljoin(service.base, attachment["url"])
        return web.Response()

    async def take(request: web.Request) -> web.Response:
        outcome.set_result(await request.json())
        return web.Response()

    application = web.Application()
    application.add_routes([web.get("/", show), web.get("/links", give), web.post("/outcome", take)])
    application.add_routes([web.get("/types", name_types), web.post("/recorded", keep)])
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
        told = recorded[form]["durationSeconds"] if form in recorded else 4.0
        assert played["duration"] == pytest.approx(told, abs=0.1), form
        # It was sought, not played until there.
        assert played["from"] == pytest.approx(played["duration"] - 0.5, abs=0.1), form
        assert played["to"] == pytest.approx(played["duration"], abs=0.1), form
    assert outcome.result().keys() == FORMS.keys() | recorded.keys()
    assert "audio/webm;codecs=opus" in recorded
    for content_type, attachment in recorded.items():
        assert attachment["contentType"] == RECORDED[content_type]
        assert attachment["durationSeconds"] == pytest.approx(1.5, abs=0.5)

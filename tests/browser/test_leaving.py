"""What must not be lost when people leave, and what must not stay for the next at the same device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.soon import session_soon
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.service import Person, Service
    from tests.support.visitors import Visitor, Visitors

pytestmark = pytest.mark.xdist_group("browser")

_FAILED_REQUESTS = ("Failed to load resource", "WebSocket connection", "net::ERR")


async def _open_chat(visitors: Visitors, client: Person, **options: Any) -> tuple[Visitor, str]:
    session_id = await session_soon(client, 0.5, 60)
    visitor = await visitors.open(client, **options)
    await visitor.go(f"/chat/{session_id}")
    await visitor.see(".composer textarea")
    await visitor.is_in_state("live")
    return visitor, session_id


async def _kept(visitor: Visitor) -> int:
    """How much lies on the device."""
    found: int = await visitor.page.evaluate(
        """() => new Promise((resolve, reject) => {
          const opening = indexedDB.open('rdchat', 1);
          opening.onerror = () => reject(opening.error);
          opening.onsuccess = () => {
            const counting = opening.result.transaction('kept').objectStore('kept').count();
            counting.onsuccess = () => { opening.result.close(); resolve(counting.result); };
          };
        })"""
    )
    return found


async def test_what_was_typed_at_the_last_moment_is_there_again(
    practice: Service, visitors: Visitors
) -> None:
    client = practice.person(name="Budi")
    await practice.psychologist()
    budi, _ = await _open_chat(visitors, client)
    for n in range(5):
        # The field and the reload in one go: no time passes between them.
        await budi.page.evaluate(
            """(text) => {
              const area = document.querySelector('.composer textarea');
              area.value = text;
              area.dispatchEvent(new Event('input', {bubbles: true}));
              location.reload();
            }""",
            f"saya takut {n}",
        )
        await budi.page.wait_for_load_state("load")
        await budi.see(".composer textarea")
        assert await budi.composer.input_value() == f"saya takut {n}"


async def test_a_chat_left_and_entered_while_it_loads_still_sends(
    practice: Service, visitors: Visitors
) -> None:
    client = practice.person(name="Budi")
    await practice.psychologist()
    session_id = await session_soon(client, 0.5, 60)
    budi = await visitors.open(client)
    waiting: list[Any] = []

    async def hold(route: Any) -> None:
        waiting.append(route)

    await budi.page.route(f"**/api/v1/chat/sessions/{session_id}", hold)
    await budi.go()
    await budi.see("h1:has-text('Sesi')")
    go = "async (to) => (await import(`${JSON.parse(settings.textContent).static}/app/router.js`)).go(to)"
    await budi.page.evaluate(go, f"/chat/{session_id}")
    await until(lambda: len(waiting) == 1, 30)
    await budi.page.evaluate(go, "/")
    await budi.see("h1")
    await budi.page.evaluate(go, f"/chat/{session_id}")
    await budi.page.unroute(f"**/api/v1/chat/sessions/{session_id}")
    for route in waiting:
        await route.continue_()
    await budi.see(".composer textarea")
    await budi.write("ada yang dengar?")

    async def arrived() -> bool:
        return "ada yang dengar?" in [one["message"] for one in await client.history(session_id)]

    await until(arrived, 30)


async def test_signing_out_asks_before_it_loses_and_leaves_nothing(
    practice: Service, visitors: Visitors
) -> None:
    client = practice.person(name="Budi")
    await practice.psychologist()
    budi, _ = await _open_chat(visitors, client)
    # A chat fills the screen: the menu is on the others.
    await budi.composer.fill("belum selesai")
    await budi.page.locator(".chat-head button").first.click()
    leave = budi.page.locator(".menu button.item")
    await budi.page.locator(".top .menu > button").last.click()
    await leave.click()
    await budi.see("dialog[open]")
    await budi.page.locator("dialog .actions button").first.click()
    assert await _kept(budi) == 1
    await budi.page.locator(".top .menu > button").last.click()
    await leave.click()
    async with budi.page.expect_navigation():
        await budi.page.locator("dialog .actions .danger").click()
    assert await _kept(budi) == 0


async def test_what_was_being_written_when_the_chat_ended_can_be_copied(
    practice: Service, visitors: Visitors
) -> None:
    client = practice.person(name="Budi")
    psychologist = await practice.psychologist()
    session_id = await session_soon(client, 0.5, 12)
    budi = await visitors.open(client)
    await budi.go(f"/chat/{session_id}")
    await budi.see(".composer textarea")
    await budi.composer.fill("masih ingin saya katakan")
    await psychologist.say(session_id, "sampai jumpa")
    left = await budi.see(".chat-over .unfinished textarea")
    assert await left.input_value() == "masih ingin saya katakan"
    assert await budi.audit() == []
    await budi.page.locator(".unfinished button").click()
    await budi.page.locator(".unfinished").wait_for(state="detached")


async def test_a_recording_whose_microphone_is_taken_away_waits_to_be_sent(
    practice: Service, visitors: Visitors
) -> None:
    client = practice.person(name="Budi")
    await practice.psychologist()
    budi, session_id = await _open_chat(visitors, client)
    await budi.page.evaluate(
        """() => {
          const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          navigator.mediaDevices.getUserMedia = async (given) => (window.stream = await ask(given));
          const Usual = MediaRecorder;
          window.MediaRecorder = class extends Usual {
            constructor(...given) { super(...given); window.recorder = this; }
          };
        }"""
    )
    await budi.page.locator(".composer [aria-label='Rekam suara']").click()

    async def is_recording() -> bool:
        return bool(await budi.page.evaluate("window.recorder?.state === 'recording'"))

    await until(is_recording, 30)
    await budi.page.wait_for_timeout(500)  # something to hear
    # As when it is unplugged: all tracks end, and nobody has pressed anything.
    await budi.page.evaluate("window.recorder.stop()")
    await budi.see(".composer-note:has-text('voice.webm')")
    assert [one for one in await client.history(session_id) if not one["isAutomated"]] == []


async def test_the_next_person_sees_nothing_of_the_one_before(practice: Service, visitors: Visitors) -> None:
    client, other = practice.person(name="Budi"), practice.person(name="Citra")
    await practice.psychologist()
    budi, _ = await _open_chat(visitors, client)
    budi.allow(*_FAILED_REQUESTS)
    tokens: list[str] = []

    def note(request: Any) -> None:
        if "rahasia" in (request.post_data or ""):
            tokens.append(request.headers.get("authorization", ""))

    budi.page.on("request", note)
    # A message of Budi's is refused for its token's sake only when Citra is signed in.
    held: list[Any] = []

    async def hold(route: Any) -> None:
        held.append(route)

    await budi.page.route("**/api/v1/chat/messages", hold)
    await budi.write("rahasia")
    await until(lambda: len(held) == 1, 30)
    await budi.page.unroute("**/app/sign-in")

    async def answer(route: Any) -> None:
        await route.fulfill(json={"success": True, "data": {"token": other.token}})

    await budi.page.route("**/app/sign-in", answer)
    await budi.page.evaluate(
        """async () => {
          const root = JSON.parse(document.getElementById('settings').textContent).static;
          const { signInAs, signOut } = await import(`${root}/app/identity.js`);
          const { go } = await import(`${root}/app/router.js`);
          await signOut();
          await signInAs('citra');
          go('/');
        }"""
    )
    await budi.see("h1:has-text('Sesi')")
    await held[0].fulfill(status=401, json={"success": False, "code": "UNAUTHENTICATED", "message": "x"})
    await budi.page.wait_for_load_state("networkidle")
    assert tokens == [f"Bearer {client.token}"]
    assert (
        await budi.page.evaluate(
            """async () => {
          const root = JSON.parse(document.getElementById('settings').textContent).static;
          return (await import(`${root}/app/identity.js`)).identity.value.me.fullName;
        }"""
        )
        == "Citra"
    )
    assert await _kept(budi) == 0

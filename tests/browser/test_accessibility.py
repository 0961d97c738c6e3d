"""Every screen of every role, for all who use it: by screen reader, by keyboard alone, small, in the dark."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from rdchat.domain.person import Role
from statemachine import AutomationKind
from tests.support.console import dead_webhook, fail_automation
from tests.support.service import Service, service_settings, whole_second
from tests.support.soon import book_soon, session_soon

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.visitors import Visitor, Visitors

pytestmark = pytest.mark.xdist_group("browser")

LONG_NAME = "Dr. Raden Ajeng Sri Kusumaningtyas Wulandari Hadiningrat, M.Psi., Psikolog"
LONG_CLIENT = "Muhammad Bintang Alamsyah Putra Nusantara Kusumawardhana Simanjuntak"
LARGE = {"width": 1440, "height": 900}
SMALL = {"width": 360, "height": 740}
#: Nothing moves: what fades in has other contrasts meanwhile.
STILL: dict[str, Any] = {"viewport": LARGE, "reduced_motion": "reduce", "locale": "id-ID"}
ENDING = timedelta(seconds=30)
#: What has the focus: its tag, its words, and whether a line around it, or around what it is in, shows it.
_FOCUSED = """(() => {
  const at = document.activeElement;
  const shows = (one) => one && !["none", "0px"].some((no) => getComputedStyle(one).outline.includes(no));
  const isShown = shows(at) || shows(at.nextElementSibling) || getComputedStyle(at).boxShadow !== "none";
  const words = at.tagName === "MAIN" ? "" : at.innerText.slice(0, 80);
  return [at.tagName, isShown ? "outlined" : "plain", at.cloneNode(false).outerHTML, words].join(" ");
})()"""


@pytest.fixture
async def practice(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Service]:
    """A service in which the end is near for long enough to look at it."""
    settings = replace(
        service_settings(tmp_path, jwt_secret_is_generated=True),
        end_warning_lead=ENDING,
        max_active_per_client=5,
    )
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        yield service


async def examine(visitor: Visitor) -> None:
    """Look at what is shown, small and dark, then large and light."""
    page = visitor.page
    for size, scheme in ((SMALL, "dark"), (LARGE, "light")):
        await page.set_viewport_size(size)  # type: ignore[arg-type]
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert await visitor.audit() == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert await page.locator("h1:visible").count() == 1


async def open_by_button(visitor: Visitor, name: str, shown: str = "dialog[open]") -> None:
    await visitor.page.get_by_role("button", name=name, exact=True).first.click()
    await visitor.see(shown)


async def leave_dialog(visitor: Visitor) -> None:
    await visitor.page.keyboard.press("Escape")
    await visitor.page.locator("dialog[open]").wait_for(state="detached")


async def test_before_one_is_signed_in(visitors: Visitors) -> None:
    guest = await visitors.open(**STILL)
    await guest.go()
    await guest.see(".people li")
    await examine(guest)
    await open_by_button(guest, "Bantuan darurat")
    await examine(guest)
    await leave_dialog(guest)
    await guest.go("/see")
    await guest.see("iframe")
    for frame in guest.page.frames[1:]:
        await frame.wait_for_selector("[data-chat-state=live]", state="attached")
    assert await guest.audit() == []


async def test_the_next_person_starts_with_a_page_of_their_own(visitors: Visitors) -> None:
    window = await visitors.open(**STILL)
    await window.go()
    await window.page.get_by_role("button", name="Dr. Sari Wulandari").click()
    await window.see("h1:has-text('Hari ini')")
    assert await window.page.locator("link[href*='desk.css']").count() == 1
    await window.page.get_by_role("button", name="Menu: Dr. Sari Wulandari").click()
    await window.page.get_by_role("button", name="Keluar").click()
    await window.page.get_by_role("button", name="Budi Santoso").click()
    await window.see("h1:has-text('Sesi saya')")
    assert await window.page.locator("link[href*='desk.css']").count() == 0


async def test_the_client_s_screens(practice: Service, visitors: Visitors) -> None:
    client, psychologist = practice.person(name=LONG_CLIENT), await practice.psychologist(LONG_NAME)
    window = await visitors.open(client, **STILL)
    await window.go()
    await window.see(".empty")
    await examine(window)
    await open_by_button(window, f"Menu: {LONG_CLIENT}", ".menu .segments")
    await examine(window)
    await window.page.keyboard.press("Escape")

    await window.go("/book")
    await window.see("[data-free]")
    await examine(window)
    await window.page.locator("[data-free]").last.click()
    await window.see("[data-starts-at]")
    await examine(window)
    await window.page.locator("[data-starts-at]").first.click()
    await window.see(".options")
    await examine(window)
    await window.page.get_by_role("button", name="Buat janji").click()
    await window.see(".then")
    await examine(window)
    await open_by_button(window, "Semua sesi di kalender Anda")
    await examine(window)
    await leave_dialog(window)

    await window.page.get_by_role("link", name="Ke sesi ini").click()
    await window.see("[data-status=pending]")
    await examine(window)
    await open_by_button(window, "Batalkan sesi")
    await examine(window)
    await leave_dialog(window)
    await window.page.get_by_role("link", name="Pindahkan").click()
    await window.see("[data-free]")
    await examine(window)

    gone = (await book_soon(client, 7200, 3600)).data
    await psychologist.put(f"/counselings/{gone['id']}/cancel", {"reason": "Saya sakit, mohon maaf."})
    await window.go(f"/counselings/{gone['id']}")
    await window.see("[data-status=cancelled]")
    await examine(window)
    await window.go("/news")
    await window.see("[data-notification]")
    await examine(window)
    await window.go()
    await window.see(".rows")
    await examine(window)
    await window.go("/nowhere")
    await window.see(".empty")
    await examine(window)


async def test_a_chat_in_each_of_its_states(practice: Service, visitors: Visitors) -> None:
    client, psychologist = practice.person(name=LONG_CLIENT), await practice.psychologist(LONG_NAME)
    window = await visitors.open(client, **STILL)
    waiting = (await book_soon(client, 3000, 600)).data
    await window.go(f"/chat/{waiting['chatSession']['sessionId']}")
    await window.see(".waiting-room .countdown")
    await window.is_in_state("live")
    await examine(window)
    await psychologist.put(f"/counselings/{waiting['id']}/cancel", {})
    await window.see(".chat-over")
    await examine(window)

    running = await session_soon(client, 1, 600)
    await window.go(f"/chat/{running}")
    await window.see(".composer textarea")
    await window.is_in_state("live")
    await psychologist.say(running, "Selamat pagi. Apa kabar hari ini? " * 8)
    await window.write("https://example.org/" + "panjang" * 30)
    await window.see(".message.theirs")
    await examine(window)

    ending = await session_soon(client, 1, ENDING.total_seconds() + 1)
    await window.go(f"/chat/{ending}")
    await window.see(".ending button")
    await examine(window)
    await open_by_button(window, "Akhiri sesi")
    assert await window.audit() == []
    await window.page.locator("dialog .danger").click()
    await window.see(".chat-over")
    await examine(window)


async def test_the_desk(practice: Service, visitors: Visitors) -> None:
    psychologist = await practice.psychologist(LONG_NAME)
    clients = [practice.person(name=LONG_CLIENT), practice.person(name="Ayu Lestari")]
    desk = await visitors.open(psychologist, **STILL)
    await desk.go("/chats")
    await desk.see(".empty")
    await examine(desk)
    of = {"psychologistId": str(psychologist.id)}
    ahead = (await book_soon(clients[0], 7200, 3600, notes="Susah tidur sejak bulan lalu.", **of)).data
    chats = [await session_soon(one, 1, 600, **of) for one in clients]
    await psychologist.post(
        "/quick-replies", {"title": "Salam pembuka", "text": "Selamat datang. Apa kabar?"}
    )

    for path, shown in (
        ("", ".now .button"),
        ("/week", ".page-wide h1"),
        ("/hours", ".hours-save"),
        ("/replies", "[data-reply]"),
        (f"/counselings/{ahead['id']}", "[data-action=cancel]"),
    ):
        await desk.go(path)
        await desk.see(shown)
        await examine(desk)
    for action in ("move", "hand-over", "cancel"):
        await desk.page.locator(f"[data-action={action}]").click()
        await desk.see("dialog[open] .actions")
        await examine(desk)
        await leave_dialog(desk)

    await desk.go(f"/chats/{chats[0]}")
    for session_id in chats:
        await desk.see(f'.desk-column[data-chat="{session_id}"] textarea')
    await clients[1].say(chats[1], "Selamat pagi, Bu.")
    await desk.see(".mark.warn")
    await examine(desk)
    await open_by_button(desk, "Pintasan papan ketik")
    await examine(desk)
    await leave_dialog(desk)
    await desk.page.locator(".desk-column.front [data-action=replies]").click()
    await desk.see(".picker [role=option]")
    await examine(desk)


async def test_the_console(practice: Service, visitors: Visitors) -> None:
    client, psychologist = practice.person(name=LONG_CLIENT), await practice.psychologist(LONG_NAME)
    session_id = await client.book_session(whole_second(3600), whole_second(7200))
    for kind in (AutomationKind.END_WARNING, AutomationKind.AUTO_END):
        await fail_automation(practice, session_id, kind)
    await dead_webhook(practice)
    admin = practice.person(Role.SUPER_ADMIN, name=LONG_NAME)
    await admin.put(f"/psychologists/{psychologist.id}", {"isActive": False})
    console = await visitors.open(admin, **STILL)
    for path, shown in (
        ("", "[data-part=clock]"),
        ("/dead-letters", "[data-letter]"),
        ("/actions", "[data-action]"),
        ("/sessions", "[data-session]"),
        (f"/sessions/{session_id}", ".diagram svg"),
        ("/report", "[data-report]"),
        ("/psychologists", ".console .list, .empty"),
        ("/nowhere", ".empty"),
    ):
        await console.go(path)
        await console.see(shown)
        await examine(console)


async def test_the_page_speaks_the_chosen_language(practice: Service, visitors: Visitors) -> None:
    window = await visitors.open(practice.person(), locale="en-GB")
    await window.go("/book")
    await window.see("h1:has-text('Book a session')")
    assert await window.page.get_attribute("html", "lang") == "en"
    await window.page.get_by_role("button", name="Menu: Budi").click()
    await window.page.get_by_label("Indonesia").check()
    await window.see("h1:has-text('Buat janji')")
    assert await window.page.get_attribute("html", "lang") == "id"
    assert await window.page.title() == "Buat janji · Ruang Diri"
    await window.page.reload()
    await window.see("h1:has-text('Buat janji')")
    assert await window.page.get_attribute("html", "lang") == "id"


async def focused(visitor: Visitor) -> str:
    """Say what has the focus, which must be something that can be seen to have it."""
    said: str = await visitor.page.evaluate(_FOCUSED)
    assert " outlined " in said, said
    return said


async def press_until(visitor: Visitor, key: str, part: str) -> None:
    """Press a key until what has the focus says something, as who looks for it would."""
    for _ in range(60):
        # Behind the last place of a page is the browser's own frame.
        if await visitor.page.evaluate("document.activeElement !== document.body") and part in await focused(
            visitor
        ):
            return
        await visitor.page.keyboard.press(key)
    pytest.fail(f"{key} does not lead to {part}")


async def test_a_client_books_and_talks_by_keyboard_alone(practice: Service, visitors: Visitors) -> None:
    client, psychologist = practice.person(name="Ayu Lestari"), await practice.psychologist(LONG_NAME)
    window = await visitors.open(client, **STILL)
    await book_by_keyboard(window)
    # What is near is the next one, on the first screen.
    await session_soon(client, 2, ENDING.total_seconds() + 1, psychologistId=str(psychologist.id))
    await talk_by_keyboard(window)


async def book_by_keyboard(window: Visitor) -> None:
    keyboard = window.page.keyboard
    await window.go()
    await window.see(".empty")

    await keyboard.press("Tab")
    assert "Langsung ke isi" in await focused(window)
    await keyboard.press("Enter")
    await press_until(window, "Tab", "Buat janji")
    await keyboard.press("Enter")
    await window.see("[data-free]")
    await focused(window)
    await press_until(window, "Tab", "data-day")
    await keyboard.press("PageDown")
    await window.see(".month:not([aria-busy]) [data-free]")
    await keyboard.press("ArrowRight")
    assert "data-free" in await focused(window)
    await keyboard.press("Enter")
    await window.see("[data-starts-at]")
    await press_until(window, "Tab", "data-starts-at")
    await keyboard.press("Enter")
    await window.see(".options")
    await press_until(window, "Tab", 'value="chat"')
    await keyboard.press("Tab")
    await keyboard.type("Susah tidur.")
    await press_until(window, "Tab", "Buat janji")
    await keyboard.press("Enter")
    await window.see(".then")
    assert "Janji Anda sudah dibuat" in await focused(window)


async def talk_by_keyboard(window: Visitor) -> None:
    keyboard = window.page.keyboard
    await press_until(window, "Shift+Tab", "Sesi saya")
    await keyboard.press("Enter")
    await window.see(".next-session .primary")
    await focused(window)
    await press_until(window, "Tab", "/chat/")
    await keyboard.press("Enter")
    await window.see(".composer textarea")
    await window.is_in_state("live")
    await press_until(window, "Tab", "TEXTAREA")
    await keyboard.type("Selamat pagi.")
    await keyboard.press("Enter")
    await window.see(".message.mine:has-text('Selamat pagi.')")
    await focused(window)
    await window.see(".ending button")
    await press_until(window, "Shift+Tab", "Akhiri sesi")
    await keyboard.press("Enter")
    await window.see("dialog[open]")
    await press_until(window, "Tab", "danger")
    await keyboard.press("Enter")
    await window.see(".chat-over")
    await focused(window)
    await press_until(window, "Tab", "Kembali")
    await keyboard.press("Enter")
    await window.see(".rows")
    await focused(window)


async def test_the_desk_and_the_console_keep_the_focus(practice: Service, visitors: Visitors) -> None:
    client, psychologist = practice.person(name="Ayu Lestari"), await practice.psychologist(LONG_NAME)
    session_id = await client.book_session(whole_second(3600), whole_second(7200))
    for person, names in (
        (psychologist, ("Chat", "Jam kerja", "Balasan cepat", "Hari ini")),
        (practice.person(Role.SUPER_ADMIN), ("Gagal", "Laporan", "Psikolog", "Sesi")),
    ):
        window = await visitors.open(person, **STILL)
        await window.go()
        await window.see("h1")
        for name in names:
            await (
                window.page.get_by_role("navigation").get_by_role("link", name=name, exact=True).first.focus()
            )
            await window.page.keyboard.press("Enter")
            await window.see(f".top [aria-current=page]:has-text('{name}')")
            await focused(window)
    await window.see(f"[data-session='{session_id}']")
    await press_until(window, "Tab", session_id)
    await window.page.keyboard.press("Enter")
    await window.see(".diagram svg")
    await focused(window)


async def test_screens_that_cannot_be_loaded_say_what_they_are_and_lead_back(
    practice: Service, visitors: Visitors
) -> None:
    psychologist = await practice.psychologist(LONG_NAME)

    async def fail(route: Any) -> None:
        await route.fulfill(status=503, content_type="application/json", body="{}")

    for person, paths in (
        (
            practice.person(),
            ("", "/book", "/news", f"/counselings/{psychologist.id}", f"/chat/{psychologist.id}"),
        ),
        (psychologist, ("", "/week", "/hours", "/replies", f"/counselings/{psychologist.id}")),
        (practice.person(Role.SUPER_ADMIN), ("", "/sessions", "/report", f"/sessions/{psychologist.id}")),
    ):
        window = await visitors.open(person, **STILL)
        window.allow("Failed to load resource")
        await window.page.route("**/api/v1/**", fail)
        for path in paths:
            await window.go(path)
            await window.see(".problem button")
            await examine(window)
            way_back = "nav a, .back, button[aria-label=Kembali]"
            assert await window.page.locator(way_back).count() > 0

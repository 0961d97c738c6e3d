"""The psychologist's desk: several people at once, notes that are never lost, and changes of plan."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.support.soon import session_soon
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.service import Person, Service
    from tests.support.visitors import Visitor, Visitors

pytestmark = pytest.mark.xdist_group("browser")

WIDE = {"width": 1440, "height": 900}


async def with_two_clients(practice: Service) -> tuple[Person, list[tuple[Person, str]]]:
    """Return a psychologist, and two clients whose sessions open in a moment, in the order of the desk."""
    sari = await practice.psychologist("Dr. Sari Wulandari")
    held = []
    for name, starts_in in (("Ayu Lestari", 4), ("Budi Santoso", 5)):
        client = practice.person(name=name)
        held.append((client, await session_soon(client, starts_in, 600, psychologistId=str(sari.id))))
    return sari, held


async def in_front(desk: Visitor, session_id: str) -> str:
    """Wait until a chat is in front, with the cursor where one writes. Return the selector of its column."""
    column = f'.desk-column.front[data-chat="{session_id}"]'
    await desk.see(f"{column} textarea")
    await desk.page.wait_for_function(
        "(id) => document.activeElement?.closest('[data-chat]')?.dataset.chat === id", arg=session_id
    )
    return column


async def test_what_is_written_goes_to_the_chat_in_front_alone(practice: Service, visitors: Visitors) -> None:
    sari, [(ayu, first), (budi, second)] = await with_two_clients(practice)
    reply = {"title": "Salam pembuka", "text": "Selamat datang. Apa kabar?"}
    assert (await sari.post("/quick-replies", reply)).status == 201
    desk = await visitors.open(sari, viewport=WIDE)
    await desk.go("/chats")
    for session_id in (first, second):
        await desk.see(f'.desk-column[data-chat="{session_id}"] textarea')
    await budi.say(second, "Halo, Bu.")
    await desk.see(f'[data-row="{second}"] .mark.warn:has-text("Menunggu")')

    await desk.page.keyboard.press("Alt+Digit1")
    ayus = await in_front(desk, first)
    await desk.page.keyboard.type("Halo, Ayu.")
    await desk.page.keyboard.press("Alt+ArrowDown")
    await in_front(desk, second)
    # Back, and sent before anyone can have seen it: refused, and still there.
    await desk.page.evaluate(
        """async (id) => {
          const chat = () => document.querySelector(`.desk-column.front[data-chat="${id}"] textarea`);
          const key = (more) => new KeyboardEvent('keydown', {bubbles: true, cancelable: true, ...more});
          dispatchEvent(key({code: 'Digit1', key: '1', altKey: true}));
          while (document.activeElement !== (chat() ?? 0)) await new Promise(requestAnimationFrame);
          chat().dispatchEvent(key({key: 'Enter'}));
        }""",
        first,
    )
    await desk.see(".toast:has-text('baru saja berganti')")
    assert await desk.page.input_value(f"{ayus} textarea") == "Halo, Ayu."

    async def is_sent() -> bool:
        await desk.page.press(f"{ayus} textarea", "Enter")
        return await desk.page.input_value(f"{ayus} textarea") == ""

    await until(is_sent, 10)
    await desk.see(f"{ayus} .message.mine[data-seq]:has-text('Halo, Ayu.')")
    assert [one["message"] for one in await ayu.history(first) if not one["isAutomated"]] == ["Halo, Ayu."]
    assert [one["message"] for one in await budi.history(second) if not one["isAutomated"]] == ["Halo, Bu."]

    # A quick reply is put in and not sent.
    await desk.page.keyboard.type("/")
    await desk.see(f"{ayus} .picker [role=option]")
    await desk.page.keyboard.type("salam")
    await desk.page.keyboard.press("Enter")
    await desk.page.wait_for_function(
        "(place) => document.querySelector(place).value === 'Selamat datang. Apa kabar?'",
        arg=f"{ayus} textarea",
    )

    # The title says how much, and nothing of what or from whom.
    await budi.say(second, "Rahasia.")
    await desk.page.wait_for_function("() => document.title.startsWith('(')")
    assert await desk.page.title() in {"(1) Chat · Ruang Diri", "(2) Chat · Ruang Diri"}
    assert await desk.audit() == []


async def test_keys_that_come_before_the_switch_is_drawn_reach_no_one(
    practice: Service, visitors: Visitors
) -> None:
    """On a slow machine all keys are there before anything is drawn: they were meant for the next chat."""
    sari, [(ayu, first), (_, second)] = await with_two_clients(practice)
    desk = await visitors.open(sari, viewport=WIDE)
    await desk.go("/chats")
    for session_id in (first, second):
        await desk.see(f'.desk-column[data-chat="{session_id}"] textarea')
    await desk.page.keyboard.press("Alt+Digit1")
    ayus = await in_front(desk, first)
    await desk.page.keyboard.type("Untuk Ayu")

    async def can_be_sent() -> bool:
        return bool(
            await desk.page.evaluate(
                """async (id) => {
                  const root = JSON.parse(document.getElementById('settings').textContent).static;
                  const { rdchat } = (await import(`${root}/app/identity.js`)).identity.value;
                  const chat = await rdchat.openChat(id);
                  rdchat.closeChat(chat);
                  return rdchat.isVisible(chat);
                }""",
                first,
            )
        )

    await until(can_be_sent, 10)
    press = """(codes) => {
      const key = (more) => new KeyboardEvent('keydown', {bubbles: true, cancelable: true, ...more});
      const area = document.activeElement;
      for (const code of codes) dispatchEvent(key({code, key: code.slice(-1), altKey: true}));
      area.dispatchEvent(key({key: 'Enter'}));
      return document.activeElement === area;
    }"""
    assert await desk.page.evaluate(press, ["Digit2"]) is False
    await in_front(desk, second)
    await desk.see(".toast:has-text('baru saja berganti')")
    assert await desk.page.input_value(f"{ayus} textarea".replace(".front", "")) == "Untuk Ayu"
    assert [one for one in await ayu.history(first) if not one["isAutomated"]] == []
    # There and back before anything is drawn: one is where one wanted to be.
    await desk.page.evaluate(press, ["Digit1", "Digit2", "Digit1"])
    await in_front(desk, first)
    await until(can_be_sent, 10)
    await desk.page.press(f"{ayus} textarea", "Enter")
    await desk.see(f"{ayus} .message.mine[data-seq]:has-text('Untuk Ayu')")


async def test_notes_outlive_another_window_and_a_reload(practice: Service, visitors: Visitors) -> None:
    sari, [(ayu, first), _] = await with_two_clients(practice)
    notes = f"/clients/{ayu.id}/notes"
    desk = await visitors.open(sari, viewport=WIDE)
    desk.allow("412")
    await desk.go(f"/chats/{first}")
    field = await desk.see(".desk-panel .notes textarea")
    await field.fill("Tidur membaik.")
    await desk.see("[data-notes=saved]")
    assert (await sari.get(notes)).data["text"] == "Tidur membaik."

    await sari.put(notes, {"text": "Dari jendela lain."})
    await field.fill("Tidur membaik. Makan juga.")
    await desk.see("[data-notes=conflict] .notes-theirs:has-text('Dari jendela lain.')")
    await desk.page.reload()
    await desk.see("[data-notes=conflict]")
    assert await field.input_value() == "Tidur membaik. Makan juga."
    await desk.page.get_by_role("button", name="Gabungkan keduanya").click()
    await desk.see("[data-notes=saved]")
    assert (await sari.get(notes)).data["text"] == "Dari jendela lain.\n\nTidur membaik. Makan juga."


async def test_hours_show_what_no_longer_fits_and_lead_to_it(practice: Service, visitors: Visitors) -> None:
    sari = await practice.psychologist("Dr. Sari Wulandari")
    client = practice.person(name="Ayu Lestari")
    await session_soon(client, 4000, 600, psychologistId=str(sari.id))
    desk = await visitors.open(sari, viewport={"width": 360, "height": 740})
    await desk.go("/hours")
    await desk.see("text=klien bisa memesan kapan saja")
    # One day of the week has hours by now; that in which the session lies is not among them.
    booked = (await sari.get("/counselings")).data["data"][0]
    weekday = await desk.page.evaluate("(at) => (new Date(at + 3 * 864e5).getDay() + 6) % 7 + 1", _ms(booked))
    await desk.page.click(f'[data-weekday="{weekday}"] [data-action=add-interval]')
    assert await desk.page.evaluate("document.documentElement.scrollWidth") <= 360
    assert await desk.audit() == []
    await desk.page.get_by_role("button", name="Simpan").click()
    await (await desk.see('[data-affected="1"] a:has-text("Ayu Lestari")')).click()

    await (await desk.see("[data-action=cancel]")).click()
    await desk.page.get_by_label("Alasan").fill("Saya sakit.")
    await desk.page.get_by_role("button", name="Batalkan konseling").click()
    await desk.see(".facts:has-text('Saya sakit.')")
    assert (await client.get(f"/counselings/{booked['id']}")).data["cancelReason"] == "Saya sakit."


def _ms(counseling: dict[str, str]) -> float:
    return datetime.fromisoformat(counseling["scheduledAt"]).timestamp() * 1000

"""Five chats at once on one desk: each answer reaches whom it is for, by the keyboard alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.soon import book_at, second_ahead
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.async_api import Locator

    from tests.support.service import Person, Service
    from tests.support.visitors import Visitors

pytestmark = pytest.mark.xdist_group("browser")


async def said(client: Person, session_id: str) -> list[str]:
    return [one["message"] for one in await client.history(session_id) if not one["isAutomated"]]


async def test_five_are_answered_by_the_keyboard_and_none_hears_anothers_words(
    practice: Service, visitors: Visitors
) -> None:
    psychologist = await practice.psychologist("Dr. Sari Wulandari")
    clients = {f"Klien {number}": practice.person(name=f"Klien {number}") for number in range(1, 6)}
    # Five bookings take a while on a busy machine.
    starts_at = second_ahead(2)
    booked = {name: await book_at(client, starts_at, 120) for name, client in clients.items()}
    sessions = {reply.data["chatSession"]["sessionId"]: name for name, reply in booked.items()}
    sari = await visitors.open(psychologist, viewport={"width": 1900, "height": 1000})
    await sari.go("/chats")
    await sari.see("[data-row] >> nth=4")
    await sari.see(".front .composer textarea")

    async def write_all() -> None:
        for session_id, name in sessions.items():
            reply = await clients[name].say(session_id, f"halo dari {name}")
            assert reply.status == 201, reply.json

    await write_all()
    rows = await sari.page.locator("[data-row]").evaluate_all("rows => rows.map(one => one.dataset.row)")
    assert sorted(rows) == sorted(sessions), "each number leads to a chat of its own"
    for number, session_id in enumerate(rows, 1):
        name, column = sessions[session_id], f".front[data-chat='{session_id}']"
        await sari.page.keyboard.press(f"Alt+{number}")
        await sari.see(f"{column} .message.theirs:has-text('halo dari {name}')")
        box = sari.page.locator(f"{column} .composer textarea")
        await box.focus()
        await sari.page.keyboard.type(f"jawaban untuk {name}")

        async def is_taken(box: Locator = box) -> bool:
            await sari.page.keyboard.press("Enter")
            return await box.input_value() == ""

        await until(is_taken, 30, every=0.2)

    async def all_have_theirs() -> bool:
        heard = await asyncio.gather(*(said(clients[name], one) for one, name in sessions.items()))
        return heard == [[f"halo dari {name}", f"jawaban untuk {name}"] for name in sessions.values()]

    await until(all_have_theirs, 30)

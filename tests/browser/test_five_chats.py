"""Five chats at once on one desk: each answer reaches whom it is for, by the keyboard alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.service import whole_second
from tests.support.soon import book_at
from tests.support.waiting import until

if TYPE_CHECKING:
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
    starts_at = whole_second(1)
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
    answered = set()
    for number in range(1, 6):
        await sari.page.keyboard.press(f"Alt+{number}")
        front = await sari.see(".front[data-chat]")
        session_id = await front.get_attribute("data-chat") or ""
        name = sessions[session_id]
        await sari.see(f".front .message.theirs:has-text('halo dari {name}')")
        box = sari.page.locator(".front .composer textarea")
        await box.focus()
        await sari.page.keyboard.type(f"jawaban untuk {name}")

        async def is_taken(box: object = box) -> bool:
            await sari.page.keyboard.press("Enter")
            return bool(await box.input_value() == "")  # type: ignore[attr-defined]

        await until(is_taken, 30, every=0.2)
        answered.add(name)
    assert answered == set(clients), "each number leads to a chat of its own"

    async def all_have_theirs() -> bool:
        heard = await asyncio.gather(*(said(clients[name], one) for one, name in sessions.items()))
        return heard == [[f"halo dari {name}", f"jawaban untuk {name}"] for name in sessions.values()]

    await until(all_have_theirs, 30)

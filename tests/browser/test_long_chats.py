"""A chat of thousands of messages: a small part of it is in the page, and all of it can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.pages.long_history import answer_history
from tests.support.soon import session_soon

if TYPE_CHECKING:
    from tests.support.service import Service
    from tests.support.visitors import Visitors

pytestmark = pytest.mark.xdist_group("browser")

MESSAGES = 2_000
MOST_IN_THE_PAGE = 400
#: So many come to a page at least each time that one scrolls to its beginning.
STEP = 20


async def test_thousands_of_messages_are_read_from_end_to_beginning(
    practice: Service, visitors: Visitors
) -> None:
    client = practice.person(name="Budi")
    await practice.psychologist()
    session_id = await session_soon(client, 0.5, 300)
    session = await client.session(session_id)
    budi = await visitors.open(client)

    async def history(route: Any) -> None:
        """Answer as the service would, had they written so much."""
        await route.fulfill(json=answer_history(route.request.url, session, MESSAGES))

    await budi.page.route("**/api/v1/chat/history*", history)
    await budi.go(f"/chat/{session_id}")
    await budi.see(f".message[data-seq='{MESSAGES}']")
    most, seen = 0, MESSAGES
    box = budi.page.locator(".messages")
    for _ in range(MESSAGES // STEP):
        await box.evaluate("list => { list.scrollTop = 0; }")
        await budi.page.wait_for_function(
            "seen => Number(document.querySelector('[data-seq]').dataset.seq) < seen || seen === 1", arg=seen
        )
        seen = int(await budi.page.locator("[data-seq]").first.get_attribute("data-seq") or 0)
        most = max(most, await budi.page.locator("[data-seq]").count())
        if seen == 1:
            break
    assert seen == 1
    assert most <= MOST_IN_THE_PAGE
    # What is in the page is without a gap, also on the way back.
    for _ in range(5):
        await box.evaluate("list => { list.scrollTop = list.scrollHeight; }")
        numbers = await budi.page.evaluate(
            "[...document.querySelectorAll('[data-seq]')].map(one => +one.dataset.seq)"
        )
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    await budi.page.get_by_role("button", name="Ke pesan terbaru").click()
    await budi.see(f".message[data-seq='{MESSAGES}']")


async def test_what_is_read_stays_in_its_place_while_older_messages_come(
    practice: Service, visitors: Visitors
) -> None:
    client, psychologist = practice.person(name="Budi"), await practice.psychologist()
    session_id = await session_soon(client, 0.5, 300)
    budi = await visitors.open(client)
    await budi.go(f"/chat/{session_id}")
    await budi.see(".composer textarea")
    for n in range(120):
        await psychologist.say(session_id, f"pesan {n} " + "panjang " * (n % 20))
    await budi.page.reload()
    await budi.see(".message:has-text('pesan 119')")
    box = budi.page.locator(".messages")
    first = await budi.page.locator("[data-seq]").first.get_attribute("data-seq")
    await box.evaluate("list => { list.scrollTop = 150; }")
    place = f"document.querySelector('[data-seq=\"{first}\"]').getBoundingClientRect().top"
    before = await budi.page.evaluate(place)
    await budi.page.wait_for_function(
        "first => Number(document.querySelector('[data-seq]').dataset.seq) < Number(first)", arg=first
    )
    assert abs(await budi.page.evaluate(place) - before) < 3

    # What comes meanwhile does not pull the reader to the end, and is marked as new.
    await psychologist.say(session_id, "yang terbaru")
    await (await budi.see("button.to-end")).click()
    await budi.see(".message:has-text('yang terbaru')")

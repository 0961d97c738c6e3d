"""The transcript as a page, opened out of the app: drawn as it is meant, and nothing in it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.soon import session_soon

if TYPE_CHECKING:
    from tests.support.service import Service
    from tests.support.visitors import Visitors

pytestmark = pytest.mark.xdist_group("browser")


async def test_it_is_drawn_and_runs_nothing(practice: Service, visitors: Visitors) -> None:
    client = practice.person(name="<script>document.title='run'</script>Budi")
    psychologist = await practice.psychologist()
    session_id = await session_soon(client, 0.5, 12)
    budi = await visitors.open(client)
    await budi.go(f"/chat/{session_id}")
    await budi.see(".composer textarea")
    await client.say(session_id, "<img src=x onerror=\"document.title='run'\">")
    await psychologist.say(session_id, "<a href=\"javascript:document.title='run'\">di sini</a>")
    await budi.see(".chat-over")
    async with budi.context.expect_page() as opening:
        await budi.page.locator(".chat-over button:has-text('Baca sebagai halaman')").click()
    page = await opening.value
    await page.wait_for_load_state()
    assert "run" not in await page.title()
    assert await page.locator("img, script, a[href]").count() == 0
    # What the page says of its own looks holds: no other page's policy takes it away.
    assert await page.evaluate("document.styleSheets.length") == 1

"""Two people and a session, from the waiting room to the closed chat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.forms import photo
from tests.support.soon import session_soon

if TYPE_CHECKING:
    from tests.support.service import Service
    from tests.support.visitors import Visitors

pytestmark = pytest.mark.xdist_group("browser")


async def test_two_people_through_a_whole_session(practice: Service, visitors: Visitors) -> None:
    client, psychologist = (
        practice.person(name="Budi Santoso"),
        await practice.psychologist("Dr. Sari Wulandari"),
    )
    session_id = await session_soon(client, 8, 30)
    budi = await visitors.open(client, viewport={"width": 360, "height": 740})
    sari = await visitors.open(psychologist, color_scheme="dark")
    await budi.go(f"/chat/{session_id}")
    await sari.go(f"/chats/{session_id}")

    # The waiting room counts down, and shows the first message, marked as automated.
    await budi.see(".waiting-room .countdown")
    await budi.see("text=Mohon tunggu sebentar")
    await budi.see("text=Pesan otomatis")
    assert await budi.composer.count() == 0

    # It opens by itself, for both.
    await budi.see(".composer textarea")
    await sari.see(".composer textarea")
    await budi.is_in_state("live")

    # Typing, presence, a message, read.
    await sari.see(".avatar .here")
    await budi.composer.press_sequentially("Sel")
    await sari.see(".typing:has-text('mengetik')")
    await budi.write("Selamat pagi, Bu 🙂 שלום")
    await sari.see(".message.theirs:has-text('Selamat pagi')")
    await budi.see(".message.mine .read")
    assert await budi.page.locator("[data-pending]").count() == 0

    # What the other has written is read out once.
    await sari.write("Selamat pagi, Budi.")
    await budi.see(".message.theirs:has-text('Selamat pagi, Budi.')")
    await budi.page.wait_for_selector("[role=log] p:has-text('Selamat pagi, Budi.')", state="attached")
    said = await budi.page.locator("[role=log] p").all_inner_texts()
    assert sum("Selamat pagi, Budi." in one for one in said) == 1

    # A picture.
    await budi.page.set_input_files(
        "input[type=file]", {"name": "foto.png", "mimeType": "image/png", "buffer": photo()}
    )
    await budi.write("Ini fotonya")
    shown = await sari.see(".message.theirs .attachment img[src]")
    await sari.see(".message.theirs:has-text('Ini fotonya')")
    await shown.evaluate("image => image.decode()")

    # Near the end both may end it, and one does.
    await budi.see(".ending button")
    await (await sari.see(".ending button")).click()
    await (await sari.see("dialog .button.danger")).click()
    await budi.see(".chat-over h2:has-text('Sesi telah berakhir')")
    await sari.see(".chat-over")
    assert await budi.composer.count() == 0
    texts = await budi.texts()
    assert texts[2:5] == ["Selamat pagi, Bu 🙂 שלום", "Selamat pagi, Budi.", "Ini fotonya"]
    assert "telah berakhir" in texts[5]
    async with budi.page.expect_download() as download:
        await budi.page.get_by_role("button", name="Simpan percakapan").click()
    kept = await (await download.value).path()
    assert "Selamat pagi, Budi." in kept.read_text(encoding="utf-8")

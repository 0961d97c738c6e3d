"""Files in the chat: sent with a message, opened by a link, and by nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.forms import photo, upload
from tests.support.sessions import opened

if TYPE_CHECKING:
    from tests.support.service import Service


async def test_a_picture_is_sent_and_opened(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    reply = await upload(client, session_id, photo(), caption="Ini fotonya", client_message_id="a")
    assert reply.status == 201, reply.json
    a = reply.data["attachment"]
    async with service.client.get(service.base + a["url"]):
        pass
    for _person in (client, psychologist):
        pass

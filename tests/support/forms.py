"""Sending files as clients do, and pictures to send."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import aiohttp
import pillow_heif
from PIL import Image

if TYPE_CHECKING:
    from tests.support.service import Person, Reply


pillow_heif.register_heif_opener()


def photo(
    width: int = 60, height: int = 40, form: str = "PNG", *, mode: str = "RGB", **options: Any
) -> bytes:
    """A picture: its left half is red, its right half blue."""
    picture = Image.new(mode, (width, height), "blue")
    picture.paste("red", (0, 0, width // 2, height))
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def form(
    session_id: str,
    content: bytes,
    name: str = "foto.png",
    *,
    caption: str | None = None,
    client_message_id: str | None = None,
) -> aiohttp.FormData:
    """An upload as browsers send it, with the file last."""
    made = aiohttp.FormData({"sessionId": session_id}, quote_fields=False)
    if caption is not None:
        made.add_field("message", caption)
    if client_message_id is not None:
        made.add_field("clientMessageId", client_message_id)
    for character, escaped in (("\n", "%0A"), ("\r", "%0D"), ('"', "%22")):
        name = name.replace(character, escaped)
    # What the client says that it is must not matter.
    made.add_field("file", io.BytesIO(content), filename=name, content_type="application/octet-stream")
    return made


async def upload(
    person: Person, session_id: str, content: bytes, name: str = "foto.png", **more: Any
) -> Reply:
    return await person.call("POST", "/chat/messages/upload", data=form(session_id, content, name, **more))

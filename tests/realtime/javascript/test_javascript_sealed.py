"""Encrypted channels, heard by Ably's genuine JavaScript SDK, and what the reference client takes of them."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
import pytest

from rdchat.events import channels
from rdchat.events.outbox_entry import Event
from rdchat.realtime.ably_client import AblyClient
from rdchat.realtime.channel_cipher import EventSealer
from rdchat.security.encryption import Encryptor

if TYPE_CHECKING:
    from rdchat.local.ably import AblyLocal

Mint = Callable[..., str]
Run = Callable[..., Awaitable[dict[str, Any]]]

pytestmark = pytest.mark.xdist_group("javascript")

SESSION = UUID("00000000-0000-4000-8000-000000000001")
NAME = channels.chat_channel(SESSION, sealed=True)
KEYS = Encryptor(b"d" * 32).channel_keys
WRONG = Encryptor(b"e" * 32).channel_keys
#: What is written otherwise by one of the two languages would be taken for a forgery.
SAID = [
    {"seq": 7, "content": 'Saya 💙 مرحبا \u2028 \u2029 \x7f \x00\x1f\b\t\n\f\r "kutip" \\ / </script> é'},
    {"attachment": {"durationSeconds": 12, "width": None}, "isAutomated": False},
    {"attachment": {"durationSeconds": 12.345, "size": 2**53 - 1}},
    {"attachment": {"durationSeconds": 0.001}, "content": ""},
]


def text_of(key: bytes) -> str:
    return base64.b64encode(key).decode()


async def test_sealed(run: Run, endpoint: AblyLocal, key: tuple[str, str], mint: Mint, fmt: str) -> None:
    client = AblyClient(":".join(key), endpoint=endpoint.address, server_token=mint)

    async def publish() -> None:
        group = [
            Event(channels.chat_channel(SESSION), f"g:{index}", channels.MESSAGE, orjson.dumps(one).decode())
            for index, one in enumerate(SAID)
        ]
        assert await client.publish([[EventSealer(KEYS).seal(event) for event in group]]) == [None]

    given = mint(), NAME, text_of(KEYS.cipher), text_of(KEYS.proof), text_of(WRONG.cipher)
    outcome = await run("sealed", endpoint, fmt, *given, asked={"publish": publish})
    await client.close()
    encoding = "json/utf-8/cipher+aes-256-cbc"
    # With another key the SDK leaves all as it came, and over JSON that is a text.
    as_it_came = ["string", f"{encoding}/base64"] if fmt == "json" else ["bytes", encoding]
    assert outcome == {
        "opened": SAID,
        "others": None,
        "unread": [as_it_came, ["bytes", encoding]],
        "believed": [],
    }


async def test_presence_on_a_sealed_channel(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    """What the SDK encrypts of `enter()` without data is no payload; who is there, both know."""
    given = mint(client_id="ann"), mint(client_id="ben"), NAME, text_of(KEYS.cipher), text_of(KEYS.proof)
    outcome = await run("sealedPresence", endpoint, fmt, *given)
    assert outcome == {
        "found": [
            [["ann", "undefined"], ["ben", {}]],
            [["ann", "bytes"], ["ben", {}]],
        ]
    }

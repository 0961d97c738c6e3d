"""Encrypted channels, heard by Ably's genuine Python SDK: with the key, with another one, and with none."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
import pytest
from ably import AblyRealtime

from rdchat.common.json import as_json
from rdchat.events import channels
from rdchat.events.outbox_entry import Event
from rdchat.realtime import ably_client
from rdchat.realtime.ably_client import AblyClient
from rdchat.realtime.channel_cipher import EventSealer
from rdchat.security.encryption import Encryptor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rdchat.local.ably import AblyLocal

MakeRealtime = Callable[..., Awaitable[AblyRealtime]]
Mint = Callable[..., str]
PATIENCE = 10.0
SESSION = UUID("00000000-0000-4000-8000-000000000001")
NAME = channels.chat_channel(SESSION, sealed=True)
KEYS = Encryptor(b"d" * 32).channel_keys
WRONG = Encryptor(b"e" * 32).channel_keys


def said(number: int) -> dict[str, Any]:
    return {"sessionId": str(SESSION), "seq": number, "content": f"rahasia {number} 💙"}


async def soon(awaitable: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(awaitable, PATIENCE)


@pytest.fixture
async def publish(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    endpoint: AblyLocal,
    key: tuple[str, str],
    mint: Mint,
) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """Publish as the service does: a group of messages, with the session's keys or with others.

    With the SDK's own transport, where a test asks for that.
    """
    if getattr(request, "param", None) is not None:
        monkeypatch.setattr(ably_client, "replace_client", lambda *_, **__: False)
    client = AblyClient(":".join(key), endpoint=endpoint.address, server_token=mint)

    async def do(*numbers: int, keys: Any = KEYS) -> None:
        group = [
            Event(
                channels.chat_channel(SESSION),
                f"group-{numbers[0]}:{index}",
                channels.MESSAGE,
                as_json(said(number)).decode(),
            )
            for index, number in enumerate(numbers)
        ]
        assert await client.publish([[EventSealer(keys).seal(event) for event in group]]) == [None]

    yield do
    await client.close()


def options(keys: Any) -> dict[str, Any]:
    """As the answer with the token says it."""
    return {"cipher": {"key": base64.b64encode(keys.cipher).decode()}}


async def subscribed(client: AblyRealtime, **given: Any) -> tuple[Any, asyncio.Queue[Any]]:
    channel, inbox = client.channels.get(NAME, **given), asyncio.Queue[Any]()
    await channel.subscribe(inbox.put_nowait)
    return channel, inbox


@pytest.mark.parametrize("publish", [None, "httpx"], indirect=True)
async def test_with_the_key_one_hears_what_the_contract_says(
    endpoint: AblyLocal, realtime: MakeRealtime, publish: Callable[..., Awaitable[None]]
) -> None:
    _, inbox = await subscribed(await realtime(endpoint), **options(KEYS))
    await publish(1, 2)
    for number in (1, 2):
        heard = await soon(inbox.get())
        proof = heard.data.pop("proof")
        assert (heard.name, heard.data) == ("message", said(number))
        assert proof == EventSealer(KEYS).prove("message", orjson.dumps(said(number)).decode())
    published = [one["data"] for _, one in endpoint.published]
    assert all(isinstance(data, bytes) and b"rahasia" not in data for data in published)
    assert len(published) == 2


async def test_with_another_key_the_whole_publication_is_lost(
    endpoint: AblyLocal, realtime: MakeRealtime, publish: Callable[..., Awaitable[None]]
) -> None:
    """One message that does not decrypt takes along those beside it: so all of a channel have one key."""
    client = await realtime(endpoint)
    _, inbox = await subscribed(client, **options(KEYS))
    await publish(1, 2, keys=WRONG)
    await publish(3)
    assert (await soon(inbox.get())).data["seq"] == 3
    assert inbox.empty()
    assert client.connection.state == "connected"


async def test_without_a_key_one_hears_bytes_that_are_no_words(
    endpoint: AblyLocal, realtime: MakeRealtime, publish: Callable[..., Awaitable[None]]
) -> None:
    _, inbox = await subscribed(await realtime(endpoint))
    await publish(1)
    heard = await soon(inbox.get())
    assert isinstance(heard.data, bytes | bytearray), "neither a text nor an object with a content"
    assert heard.encoding == "json/utf-8/cipher+aes-256-cbc"
    assert b"rahasia" not in heard.data


async def test_presence_is_kept_with_and_without_the_key(
    endpoint: AblyLocal, realtime: MakeRealtime, mint: Mint
) -> None:
    ann, ben = (
        await realtime(endpoint, mint(client_id="ann")),
        await realtime(endpoint, mint(client_id="ben")),
    )
    hers, _ = await subscribed(ann, **options(KEYS))
    his, _ = await subscribed(ben)
    await soon(hers.presence.enter({"mood": "rahasia"}))
    await soon(his.presence.enter())
    for channel in (hers, his):
        members = {one.client_id: one.data for one in await soon(channel.presence.get())}
        assert set(members) == {"ann", "ben"}
        assert (members["ann"] == {"mood": "rahasia"}) == (channel is hers)

"""Clients whose connections drop at any moment, and whose tokens change: each gets everything once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from rdchat.local.ably import AblyLocal

if TYPE_CHECKING:
    import aiohttp

Mint = Callable[..., str]
Connect = Callable[..., Awaitable[Any]]
MakeEndpoint = Callable[..., Awaitable[AblyLocal]]

CLIENTS, PUBLICATIONS = 8, 100
RESUMED = 1 << 2
CAPABILITIES = [{"c": ["subscribe"]}, {"c": ["subscribe", "publish"]}, {"*": ["*"]}]


@dataclass
class Unsteady:
    """A client that loses its connection again and again, and comes back to where it was."""

    endpoint: AblyLocal
    connect: Connect
    token: Callable[[], str]
    chance: random.Random
    first: str = ""
    serial: str | None = None
    key: str | None = None
    drops: int = 0
    heard: list[int] = field(default_factory=list)

    async def listen(self, last: asyncio.Future[int]) -> None:
        """Listen until the last message has come."""
        while not (last.done() and self.heard[-1:] == [last.result()]):
            resume = {} if self.key is None else {"resume": self.key}
            client = await self.connect(self.endpoint, self.token(), **resume)
            self.key = (await client.receive(4))["connectionDetails"]["connectionKey"]
            await self._attach(client)
            await self._hear(client, last)
            self.drops += 1
            client.websocket._response.connection.transport.abort()  # noqa: SLF001 - an abrupt loss

    async def _attach(self, client: Any) -> None:
        if self.serial is None:
            attached = await client.attach("c", params={"rewind": str(self.chance.randint(1, 9))})
            self.first = attached["channelSerial"]
        else:
            attached = await client.attach("c", channelSerial=self.serial, flags=32)
            assert attached["flags"] & RESUMED
        self.serial = attached["channelSerial"]

    async def _hear(self, client: Any, last: asyncio.Future[int]) -> None:
        """Listen until the connection is to drop: it may do so before anything has come."""
        while self.chance.random() < 0.8 and not (last.done() and self.heard[-1:] == [last.result()]):
            frame = await client.receive(15)
            self.serial = frame["channelSerial"]
            self.heard += [int(message["data"]) for message in frame["messages"]]
            if self.chance.random() < 0.2:
                await client.send(action=17, auth={"accessToken": self.token()})
            if self.chance.random() < 0.1:
                await client.send(action=10, channel="c", channelSerial=self.serial)


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_drops_nothing_is_lost_and_nothing_comes_twice(
    make_endpoint: MakeEndpoint, connect: Connect, mint: Mint, http: aiohttp.ClientSession, seed: int
) -> None:
    endpoint = await make_endpoint(channel_publishes=1e6)
    channel = endpoint.apps.get("app").channels.get("c")
    chance = random.Random(seed)  # noqa: S311 - nothing secret is made of it
    published = 0

    def publish() -> None:
        nonlocal published
        count = chance.randint(1, 5)
        channel.publish([{"data": str(published + index)} for index in range(count)])
        published += count

    for _ in range(5):
        publish()
    last: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    clients = [
        Unsteady(endpoint, connect, lambda: mint(chance.choice(CAPABILITIES), "ann"), chance)
        for _ in range(CLIENTS)
    ]
    listening = asyncio.gather(*(client.listen(last) for client in clients))
    for _ in range(PUBLICATIONS):
        publish()
        await asyncio.sleep(chance.random() * 0.01)  # so that drops fall between, before and behind them
    last.set_result(published)
    channel.publish([{"data": str(published)}])
    async with asyncio.timeout(30):
        await listening
    url, headers = f"http://{endpoint.address}/channels/c/messages", {"Authorization": f"Bearer {mint()}"}
    for client in clients:
        # What was said before it attached, and what it heard, are all there is.
        query = {"from_serial": client.first, "direction": "forwards", "limit": "1000"}
        async with http.get(url, params=query, headers=headers) as answer:
            before = [int(message["data"]) for message in await answer.json()]
        assert before + client.heard == list(range(published + 1))
    assert min(client.drops for client in clients) > 5

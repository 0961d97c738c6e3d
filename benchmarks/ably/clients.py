"""All clients, in a process of their own: those who publish, and those who are attached.

Most subscribers are bare websockets, since two thousand Python SDK clients would need more processor than
what they measure; some are the genuine SDK. A message's data is the instant at which it was due (monotonic,
ns), and its number: delivery is counted from when it should have been published, even by a late publisher.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson
import uvloop
from ably import AblyRealtime

from benchmarks.side_process import SideProcess, answer, next_order

if TYPE_CHECKING:
    from collections.abc import Callable

#: How far apart the publishers' rounds are; in each, what is due is published.
_ROUND_SECONDS = 0.002
_ATTACH, _ATTACHED, _MESSAGE = 10, 11, 15
#: How many connect at a time.
_CONNECTING = 50


class Clients(SideProcess):
    """The process, as its owner sees it; once started, all are connected and attached.

    `sdk` of the `subscribers` are the genuine Python SDK; `key` is None for a server that wants none.
    """

    def __init__(
        self, address: str, key: str | None, *, channels: int, subscribers: int, sdk: int, publishers: int
    ) -> None:
        script = {
            "address": address,
            "key": key,
            "channels": channels,
            "subscribers": subscribers,
            "sdk": sdk,
            "publishers": publishers,
        }
        super().__init__("benchmarks.ably.clients", script)

    async def publish(self, *, rate: int, messages: int) -> dict[str, Any]:
        """Publish `messages` at `rate` a second.

        Answers `{delivered, missing, repeated, sdk, latencies}`: latencies in ms, ascending; `sdk` of them
        were heard by the genuine SDK.
        """
        return await self.ask({"rate": rate, "messages": messages})


class _Crowd:
    def __init__(self, script: dict[str, Any], http: aiohttp.ClientSession) -> None:
        self._script = script
        self._http = http
        self._names = [f"bench:{number}" for number in range(script["channels"])]
        self._per_channel = script["subscribers"] // script["channels"]
        self._publishers: list[aiohttp.ClientWebSocketResponse] = []
        self._readers: list[asyncio.Task[None]] = []
        self._sdk: list[AblyRealtime] = []
        self._latencies: list[float] = []
        self._heard: set[int] = set()
        self._repeated = 0
        self._heard_by_sdk = 0
        self._said = 0

    async def connect(self) -> None:
        """Connect and attach all clients."""
        owners = list(enumerate(self._names * self._per_channel))
        sdk = self._script["sdk"]
        for first in range(sdk, len(owners), _CONNECTING):
            await asyncio.gather(*(self._attach(*owner) for owner in owners[first : first + _CONNECTING]))
        for number, name in owners[:sdk]:
            await self._attach_sdk(number, name)
        for _ in range(self._script["publishers"]):
            publisher = await self._open(echo="false")
            self._publishers.append(publisher)
            self._readers.append(asyncio.create_task(_swallow(publisher)))

    async def publish(self, rate: int, messages: int) -> dict[str, Any]:
        """Publish at an even rate, and wait until everything has arrived, or for five seconds in vain."""
        self._latencies, self._repeated, self._heard_by_sdk = [], 0, 0
        self._heard.clear()
        began = time.perf_counter_ns()
        sent = 0
        while sent < messages:
            due = min(messages, int((time.perf_counter_ns() - began) * rate / 1e9))
            for number in range(sent, due):
                await self._say(began + int(number * 1e9 / rate))
            sent = due
            await asyncio.sleep(_ROUND_SECONDS)
        expected = messages * self._per_channel
        for _ in range(500):
            if len(self._latencies) >= expected:
                break
            await asyncio.sleep(0.01)
        return {
            "delivered": len(self._latencies),
            "missing": expected - len(self._latencies),
            "repeated": self._repeated,
            "sdk": self._heard_by_sdk,
            "latencies": sorted(self._latencies),
        }

    async def close(self) -> None:
        """Leave."""
        for client in self._sdk:
            await client.close()
        for reader in self._readers:
            reader.cancel()

    async def _say(self, due: int) -> None:
        # Never the same number again: the endpoint would take it for a message that is sent a second time.
        number = self._said
        self._said += 1
        frame = {
            "action": _MESSAGE,
            "channel": self._names[number % len(self._names)],
            "msgSerial": number,
            "messages": [{"name": "n", "data": f"{due}:{number}:{'x' * 100}"}],
        }
        publisher = self._publishers[number % len(self._publishers)]
        await publisher.send_str(orjson.dumps(frame).decode())

    async def _open(self, **query: str) -> aiohttp.ClientWebSocketResponse:
        if self._script["key"] is not None:
            query["key"] = self._script["key"]
        return await self._http.ws_connect(f"http://{self._script['address']}/", params=query)

    async def _attach(self, owner: int, name: str) -> None:
        websocket = await self._open()
        await websocket.send_str(orjson.dumps({"action": _ATTACH, "channel": name}).decode())
        while orjson.loads((await websocket.receive()).data)["action"] != _ATTACHED:
            pass
        self._readers.append(asyncio.create_task(_read(websocket, lambda data: self._hear(owner, data))))

    async def _attach_sdk(self, owner: int, name: str) -> None:
        key_name, _, secret = self._script["key"].partition(":")

        async def authenticate(_params: Any) -> dict[str, Any]:  # noqa: ANN401 - the SDK has no types
            request = await client.auth.create_token_request({}, key_name=key_name, key_secret=secret)
            signed: dict[str, Any] = request.to_dict()
            return signed

        def hear(message: Any) -> None:  # noqa: ANN401
            self._heard_by_sdk += 1
            self._hear(owner, message.data)

        client = AblyRealtime(auth_callback=authenticate, endpoint=f"{self._script['address']}/", tls=False)
        await client.channels.get(name).subscribe(hear)
        self._sdk.append(client)

    def _hear(self, owner: int, data: str) -> None:
        due, number, _ = data.split(":")
        self._latencies.append((time.perf_counter_ns() - int(due)) / 1e6)
        heard = int(number) * self._per_channel + owner // len(self._names)
        if heard in self._heard:
            self._repeated += 1
        self._heard.add(heard)


async def _read(websocket: aiohttp.ClientWebSocketResponse, hear: Callable[[str], None]) -> None:
    async for frame in websocket:
        message = orjson.loads(frame.data)
        if message["action"] == _MESSAGE:
            for one in message["messages"]:
                hear(one["data"])


async def _swallow(websocket: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in websocket:
        pass


async def _attend() -> None:
    # What the SDK forgets when its connection is closed is no news.
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    script = await next_order()
    if script is None:
        return
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        crowd = _Crowd(script, http)
        await crowd.connect()
        answer({})
        while order := await next_order():
            answer(await crowd.publish(order["rate"], order["messages"]))
        await crowd.close()


if __name__ == "__main__":
    logging.getLogger("ably").setLevel(logging.CRITICAL)
    uvloop.run(_attend())

"""What the tests of the local Ably endpoint share: the endpoint, tokens for it, and clients of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import jwt
import msgpack
import pytest
from ably import AblyRealtime, AblyRest

from rdchat.local.ably import AblyLocal, Limits

KEY = "app.key"
SECRET = "long enough, whichever hash it signs with; " * 2
PATIENCE = 10.0


def _mint(
    capability: dict[str, list[str]] | None = None,
    client_id: str | None = None,
    *,
    lifetime: float = 600.0,
    key: str = KEY,
    secret: str = SECRET,
    revocation_key: str | None = None,
    algorithm: str = "HS256",
    claims: dict[str, Any] | None = None,
) -> str:
    """Sign an Ably JWT. A negative lifetime is one that ended so many seconds ago; `claims` replace all."""
    now = time.time()
    if claims is None:
        claims = {"iat": now + min(2 * lifetime, 0.0), "exp": now + lifetime}
    if capability is not None:
        claims["x-ably-capability"] = json.dumps(capability)
    if client_id is not None:
        claims["x-ably-clientId"] = client_id
    if revocation_key is not None:
        claims["x-ably-revocation-key"] = revocation_key
    return jwt.encode(claims, secret, algorithm=algorithm, headers={"kid": key})


@pytest.fixture(scope="session")
def mint() -> Callable[..., str]:
    """Make Ably JWTs; see `_mint` for what may differ from a good, unrestricted one."""
    return _mint


@pytest.fixture(scope="session")
def key() -> tuple[str, str]:
    """The name and the secret of the endpoint's only key."""
    return KEY, SECRET


class RawClient:
    """A websocket that speaks the protocol by hand, to say what no SDK would."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse, *, binary: bool) -> None:
        self.websocket = websocket
        self.binary = binary

    async def send(self, **frame: Any) -> None:
        if self.binary:
            await self.websocket.send_bytes(msgpack.packb(frame))
        else:
            await self.websocket.send_str(json.dumps(frame))

    async def receive(self, *actions: int) -> dict[str, Any]:
        """The next frame with one of these actions; the ones before it are skipped."""
        async with asyncio.timeout(PATIENCE):
            while True:
                frame = await self._frame()
                if frame["action"] in actions:
                    return frame

    async def frames_until(self, action: int) -> list[dict[str, Any]]:
        """All the frames up to one with that action."""
        frames: list[dict[str, Any]] = []
        async with asyncio.timeout(PATIENCE):
            while not frames or frames[-1]["action"] != action:
                frames.append(await self._frame())
        return frames

    async def attach(self, channel: str, **more: Any) -> dict[str, Any]:
        await self.send(action=10, channel=channel, **more)
        return await self.receive(11)

    async def closed(self) -> None:
        """Wait until the server has ended the websocket."""
        async with asyncio.timeout(PATIENCE):
            while not self.websocket.closed:
                await self.websocket.receive()

    async def _frame(self) -> dict[str, Any]:
        message = await self.websocket.receive()
        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            raise ConnectionError(f"the websocket ended: {message!r}")
        frame: dict[str, Any] = msgpack.unpackb(message.data) if self.binary else json.loads(message.data)
        return frame


Connect = Callable[..., Awaitable[RawClient]]
MakeEndpoint = Callable[..., Awaitable[AblyLocal]]


@pytest.fixture
async def make_endpoint() -> AsyncIterator[MakeEndpoint]:
    """Start endpoints with limits of one's own; none of them may leave a task behind."""
    before = asyncio.all_tasks()
    started: list[AblyLocal] = []

    async def make(**limits: Any) -> AblyLocal:
        endpoint = AblyLocal(keys={KEY: SECRET}, limits=Limits(**limits))
        await endpoint.start()
        started.append(endpoint)
        return endpoint

    yield make
    for endpoint in started:
        await endpoint.close()
    ours = [task for task in asyncio.all_tasks() - before if "ably_local" in repr(task.get_coro())]
    assert ours == []


@pytest.fixture
async def endpoint(make_endpoint: MakeEndpoint) -> AblyLocal:
    return await make_endpoint()


@pytest.fixture(params=["json", "msgpack"])
def fmt(request: pytest.FixtureRequest) -> str:
    """The format that the SDK of a test speaks: such a test runs once for each."""
    return str(request.param)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Closes the clients of a test, before their endpoint closes."""
    async with AsyncExitStack() as exits:
        yield exits


def _options(endpoint: AblyLocal, token: str | Callable[[], str]) -> dict[str, Any]:
    async def auth_callback(_params: object) -> str:
        return token if isinstance(token, str) else token()

    return {"auth_callback": auth_callback, "endpoint": f"{endpoint.address}/", "tls": False}


@pytest.fixture
def rest(endpoint: AblyLocal, stack: AsyncExitStack, fmt: str) -> Callable[..., AblyRest]:
    """Make genuine REST clients."""

    def make(token: str | Callable[[], str] = _mint, **options: Any) -> AblyRest:
        client = AblyRest(**(_options(endpoint, token) | {"use_binary_protocol": fmt == "msgpack"} | options))
        stack.push_async_callback(client.close)
        return client

    return make


@pytest.fixture
def realtime(stack: AsyncExitStack, fmt: str) -> Callable[..., Awaitable[AblyRealtime]]:
    """Make genuine realtime clients, connected."""

    async def make(
        endpoint: AblyLocal, token: str | Callable[[], str] = _mint, **options: Any
    ) -> AblyRealtime:
        client = AblyRealtime(
            **(_options(endpoint, token) | {"use_binary_protocol": fmt == "msgpack"} | options)
        )
        stack.push_async_callback(client.close)
        async with asyncio.timeout(PATIENCE):
            await client.connection.once_async("connected")
        return client

    return make


@pytest.fixture
async def http(stack: AsyncExitStack) -> aiohttp.ClientSession:
    return await stack.enter_async_context(aiohttp.ClientSession())


@pytest.fixture
def connect(http: aiohttp.ClientSession) -> Connect:
    """Open raw websockets; the first frame that comes (CONNECTED, or an ERROR) is left to the test."""

    async def make(
        endpoint: AblyLocal, token: str | None = None, *, binary: bool = False, **query: str
    ) -> RawClient:
        query = {"format": "msgpack" if binary else "json", "v": "5", **query}
        if "key" not in query:
            query["accessToken"] = _mint() if token is None else token
        return RawClient(await http.ws_connect(f"http://{endpoint.address}/", params=query), binary=binary)

    return make

"""The genuine Python SDK, whose tokens end: what it gets meanwhile, and how often it comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from ably import AblyRealtime, AblyRest
from ably.types.tokendetails import TokenDetails

from rdchat.local.ably import AblyLocal
from tests.support.waiting import until

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

Mint = Callable[..., str]
MakeEndpoint = Callable[..., Awaitable[AblyLocal]]
MakeRealtime = Callable[..., Awaitable[AblyRealtime]]
PATIENCE = 10.0


@pytest.mark.parametrize(("margin", "states"), [(None, ["disconnected", "connected"]), (0.5, ["update"])])
async def test_a_revoked_token_that_is_renewed_loses_and_repeats_nothing(
    *,
    make_endpoint: MakeEndpoint,
    realtime: MakeRealtime,
    stack: AsyncExitStack,
    mint: Mint,
    margin: float | None,
    states: list[str],
) -> None:
    endpoint = await make_endpoint(revocation_margin=margin or 1.0, channel_publishes=10_000)
    capabilities = [{"kept": ["subscribe"], "lost": ["subscribe"]}, {"kept": ["subscribe"]}]

    async def renewed(_params: object) -> TokenDetails:
        token = mint(capabilities.pop(0), "ann", revocation_key="one")
        return TokenDetails(token, client_id="ann")

    client = await realtime(endpoint, auth_callback=renewed)
    connection_id = client.connection.connection_manager.connection_id
    heard: list[int] = []
    kept, lost = client.channels.get("kept"), client.channels.get("lost")
    await kept.subscribe(lambda message: heard.append(int(message.data)))
    await lost.attach()
    changes: list[Any] = []
    client.connection.on(lambda change: changes.append(change))  # noqa: PLW0108 - it takes functions alone
    server = AblyRest(token=mint(), endpoint=f"{endpoint.address}/", tls=False)
    stack.push_async_callback(server.close)
    published = 0
    ended = asyncio.Event()

    async def publish() -> None:
        nonlocal published
        while not ended.is_set():
            await server.channels.get("kept").publish("n", str(published))
            published += 1

    publishing = asyncio.create_task(publish())
    await until(lambda: heard)
    body = {"targets": ["revocationKey:one"], "allowReauthMargin": margin is not None}
    answer = await server.request("POST", "/keys/app.key/revokeTokens", version="3", body=body)
    applies_at = answer.items[0]["results"][0]["appliesAt"] / 1000
    await until(lambda: len(changes) >= len(states) and lost.state == "failed")
    await until(lambda: time.time() > applies_at)
    ended.set()
    await publishing
    await until(lambda: len(heard) >= published)
    assert heard == list(range(published))
    told = [change.event if change.event == "update" else change.current for change in changes]
    assert [state for state in told if state != "connecting"] == states
    assert client.connection.connection_manager.connection_id == connection_id
    assert lost.error_reason.code == 40160
    assert kept.state == "attached"
    assert capabilities == []


async def expiring(
    realtime: MakeRealtime, endpoint: AblyLocal, mint: Mint, *, helped: bool
) -> tuple[AblyRealtime, list[Any], list[int]]:
    """A client whose tokens live a second; its changes of state, and when it asked for a token.

    `helped`: it does what docs/realtime.md says.
    """
    changes: list[Any] = []
    asked: list[int] = []
    helping: set[asyncio.Task[Any]] = set()

    async def short(_params: object) -> TokenDetails:
        asked.append(len(changes))
        return TokenDetails(mint(client_id="ann", lifetime=1.0), client_id="ann")

    client = await realtime(endpoint, auth_callback=short, disconnected_retry_timeout=100)

    def changed(change: Any) -> None:
        changes.append(change)
        code = change.reason.code if change.reason is not None else 0
        if helped and change.current == "disconnected" and 40140 <= code < 40150:
            helping.add(asyncio.ensure_future(client.auth.authorize()))

    client.connection.on(changed)
    return client, changes, asked


def expiries(changes: list[Any]) -> int:
    """How often a connection was left because its token had expired."""
    return sum(change.previous == "connected" for change in changes if change.current == "disconnected")


async def test_by_itself_the_python_sdk_renews_an_expired_token_once(
    endpoint: AblyLocal, realtime: MakeRealtime, mint: Mint
) -> None:
    client, changes, asked = await expiring(realtime, endpoint, mint, helped=False)
    await until(lambda: expiries(changes) == 2)
    # From then on it comes back with the token that has expired. docs/realtime.md says what helps.
    await until(lambda: sum(change.current == "connecting" for change in changes) > 3)
    assert len(asked) == 2
    assert client.connection.state != "connected"


async def test_asked_to_authorize_it_renews_each_time_and_loses_nothing(
    endpoint: AblyLocal, realtime: MakeRealtime, mint: Mint
) -> None:
    client, changes, asked = await expiring(realtime, endpoint, mint, helped=True)
    heard: list[int] = []
    await client.channels.get("c").subscribe(lambda message: heard.append(int(message.data)))
    channel = endpoint.apps.get("app").channels.get("c")
    published = 0
    while expiries(changes) < 3:
        channel.publish([{"data": str(published)}])
        published += 1
        await asyncio.sleep(0.05)  # at a pace that spreads the messages over the renewals
    await until(lambda: len(heard) >= published)
    assert heard == list(range(published))
    assert len(asked) >= 4


async def test_a_callback_that_fails_in_band_is_asked_again_at_the_end(
    make_endpoint: MakeEndpoint, realtime: MakeRealtime, mint: Mint
) -> None:
    endpoint = await make_endpoint(reauth_lead=0.8)
    asked: list[float] = []

    async def failing(_params: object) -> TokenDetails:
        asked.append(time.monotonic())
        if len(asked) == 2:
            raise ConnectionError("no token today")
        lifetime = 1.0 if len(asked) == 1 else 60.0
        return TokenDetails(mint(client_id="ann", lifetime=lifetime), client_id="ann")

    client = await realtime(endpoint, auth_callback=failing)
    connection_id = client.connection.connection_manager.connection_id
    heard = asyncio.Queue[Any]()
    await client.channels.get("c").subscribe(heard.put_nowait)
    change = await asyncio.wait_for(client.connection.once_async("disconnected"), PATIENCE)
    assert change.reason.code == 40142
    endpoint.apps.get("app").channels.get("c").publish([{"data": "meanwhile"}])
    assert (await asyncio.wait_for(heard.get(), PATIENCE)).data == "meanwhile"
    assert client.connection.connection_manager.connection_id == connection_id
    assert len(asked) == 3

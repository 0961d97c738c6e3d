"""What the local endpoint grants of the modes that a client asked for, when its token changes in band."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from ably import AblyException, AblyRealtime
from ably.types.channelmode import ChannelMode
from ably.types.channeloptions import ChannelOptions

if TYPE_CHECKING:
    from rdchat.local.ably import AblyLocal

Mint = Callable[..., str]
Connect = Callable[..., Awaitable[Any]]
MakeRealtime = Callable[..., Awaitable[AblyRealtime]]

HAS_PRESENCE, RESUMED = 1 << 0, 1 << 2
PRESENCE, PUBLISH, SUBSCRIBE, PRESENCE_SUBSCRIBE = (1 << bit for bit in range(16, 20))
READING = SUBSCRIBE | PRESENCE_SUBSCRIBE
PATIENCE = 10.0


async def authorize(client: Any, token: str) -> None:
    await client.send(action=17, auth={"accessToken": token})
    await client.receive(4)


async def publish(client: Any, channel: str, data: str, serial: int) -> int | None:
    """Publish; return the code with which that is refused, None when it is not."""
    await client.send(action=15, channel=channel, msgSerial=serial, messages=[{"data": data}])
    answer = await client.receive(1, 2)
    code: int | None = answer.get("error", {}).get("code")
    return code


async def heard(client: Any) -> list[str]:
    """The messages that have come until now."""
    await client.send(action=0)
    frames = await client.frames_until(0)
    return [message["data"] for frame in frames for message in frame.get("messages", ())]


async def test_a_token_that_gains_a_capability_may_use_it_at_once(
    endpoint: AblyLocal, connect: Connect, mint: Mint
) -> None:
    client = await connect(endpoint, mint({"c": ["subscribe"]}))
    assert (await client.attach("c", params={"rewind": "1"}))["flags"] == READING
    assert await publish(client, "c", "too early", 0) == 40160
    await authorize(client, mint({"c": ["subscribe", "publish"]}))
    attached = await client.receive(11)
    # The SDKs take over what it says: modes, params, and that nothing was missed.
    assert attached["flags"] == READING | PUBLISH | RESUMED
    assert attached["params"] == {"rewind": "1"}
    assert "error" not in attached
    assert await publish(client, "c", "in time", 1) is None
    assert len(endpoint.published) == 1


async def test_a_token_that_loses_a_capability_has_lost_it_at_once(
    endpoint: AblyLocal, connect: Connect, mint: Mint
) -> None:
    client, other = await connect(endpoint, mint({"c": ["subscribe", "publish"]})), await connect(endpoint)
    await client.attach("c")
    await authorize(client, mint({"c": ["publish"]}))
    attached = await client.receive(11)
    assert (attached["flags"], attached["error"]["code"]) == (PUBLISH | RESUMED, 40160)
    assert await publish(other, "c", "no longer for this client", 0) is None
    assert await heard(client) == []
    await authorize(client, mint({"c": ["subscribe"]}))
    assert (await client.receive(11))["flags"] == READING | RESUMED
    assert await publish(client, "c", "no longer by this client", 0) == 40160
    await publish(other, "c", "for this client again", 1)
    assert await heard(client) == ["for this client again"]


async def test_no_token_grants_more_than_was_asked_for(
    endpoint: AblyLocal, connect: Connect, mint: Mint
) -> None:
    client, other = await connect(endpoint, mint({"c": ["publish"]})), await connect(endpoint)
    assert (await client.attach("c", flags=PUBLISH | PRESENCE))["flags"] == PUBLISH
    await authorize(client, mint(client_id="ann"))
    assert (await client.receive(11))["flags"] == PUBLISH | PRESENCE | RESUMED
    await publish(other, "c", "not asked for", 0)
    assert await heard(client) == []
    # The modes of the last ATTACH count.
    await client.attach("c", flags=SUBSCRIBE)
    await authorize(client, mint({"c": ["subscribe", "publish"]}, "ann"))
    await publish(other, "c", "asked for", 1)
    assert await heard(client) == ["asked for"]
    assert await publish(client, "c", "x", 0) == 40165


async def test_a_token_that_changes_nothing_tells_nothing(
    endpoint: AblyLocal, connect: Connect, mint: Mint
) -> None:
    client = await connect(endpoint, mint({"c": ["subscribe"]}))
    await client.attach("c")
    await authorize(client, mint({"c": ["subscribe", "history"], "d": ["publish"]}))
    await client.send(action=0)
    assert [frame["action"] for frame in await client.frames_until(0)] == [0]


async def test_members_leave_with_the_capability_and_come_to_be_known_with_it(
    endpoint: AblyLocal, connect: Connect, mint: Mint
) -> None:
    ann, ben = await connect(endpoint, mint(client_id="ann")), await connect(endpoint, mint(client_id="ben"))
    for client in (ann, ben):
        await client.attach("room")
    await ann.send(action=14, channel="room", msgSerial=0, presence=[{"action": 2}])
    await ben.receive(14)
    late = await connect(endpoint, mint({"room": ["publish"]}))
    await late.attach("room")
    await authorize(late, mint({"room": ["publish", "presence-subscribe"]}))
    assert (await late.receive(11))["flags"] & (HAS_PRESENCE | READING) == HAS_PRESENCE | PRESENCE_SUBSCRIBE
    assert [member["clientId"] for member in (await late.receive(16))["presence"]] == ["ann"]
    await authorize(ann, mint({"room": ["subscribe"]}, "ann"))
    for client in (ben, late):
        leave = (await client.receive(14))["presence"][0]
        assert (leave["action"], leave["clientId"]) == (3, "ann")


@pytest.mark.parametrize("asked", [{}, {"flags": SUBSCRIBE}])
async def test_members_leave_who_attach_again_without_presence(
    endpoint: AblyLocal, connect: Connect, mint: Mint, asked: dict[str, int]
) -> None:
    ann, ben = await connect(endpoint, mint(client_id="ann")), await connect(endpoint)
    key = (await ann.receive(4))["connectionDetails"]["connectionKey"]
    for client in (ben, ann):
        await client.attach("room")
    await ann.send(action=14, channel="room", msgSerial=0, presence=[{"action": 2}])
    await ben.receive(14)
    if not asked:
        # It comes back with a token that allows less.
        ann = await connect(endpoint, mint({"room": ["subscribe"]}, "ann"), resume=key)
    await ann.attach("room", **asked)
    leave = (await ben.receive(14))["presence"][0]
    assert (leave["action"], leave["clientId"]) == (3, "ann")


async def test_the_python_sdk_uses_what_a_new_token_allows(
    endpoint: AblyLocal, realtime: MakeRealtime, mint: Mint
) -> None:
    capabilities = [["subscribe"], ["subscribe", "publish"], ["subscribe"]]
    client = await realtime(endpoint, lambda: mint({"c": capabilities.pop(0)}))
    inbox = asyncio.Queue[Any]()
    channel = client.channels.get("c", ChannelOptions(modes=[ChannelMode.SUBSCRIBE, ChannelMode.PUBLISH]))
    await channel.subscribe(inbox.put_nowait)
    with pytest.raises(AblyException) as refused:
        await channel.publish("n", "before")
    assert refused.value.code == 40160
    await client.auth.authorize()
    await channel.publish("n", "between")
    assert (await asyncio.wait_for(inbox.get(), PATIENCE)).data == "between"
    assert set(channel.modes) == {ChannelMode.SUBSCRIBE, ChannelMode.PUBLISH}
    await client.auth.authorize()
    with pytest.raises(AblyException) as refused:
        await channel.publish("n", "after")
    assert refused.value.code == 40160
    assert channel.state == "attached"
    assert channel.modes == [ChannelMode.SUBSCRIBE]

"""The local endpoint spoken to by hand: what no SDK sends, and what none of them shows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rdchat.local.ably import AblyLocal
from tests.support.frames import publish, texts

Mint = Callable[..., str]
Connect = Callable[..., Awaitable[Any]]
MakeEndpoint = Callable[..., Awaitable[AblyLocal]]

HAS_PRESENCE = 1 << 0
PRESENCE, PUBLISH, SUBSCRIBE, PRESENCE_SUBSCRIBE = 1 << 16, 1 << 17, 1 << 18, 1 << 19


async def test_connected_tells_the_details(endpoint: AblyLocal, connect: Connect) -> None:
    client = await connect(endpoint)
    connected = await client.receive(4)
    details = connected["connectionDetails"]
    assert details["connectionKey"].startswith(connected["connectionId"] + "!")
    assert (details["maxIdleInterval"], details["connectionStateTtl"]) == (15_000, 120_000)
    assert details["maxMessageSize"] == 65_536


MALFORMED = {
    "no JSON": "{",
    "no object": "[1]",
    "no action": "{}",
    "action that is no number": '{"action": "15"}',
    "not a number": '{"action": NaN}',
    "huge integer": '{"action": 15, "msgSerial": ' + "9" * 5_000 + "}",
    "half a surrogate pair": '{"action": 15, "channel": "\\ud800"}',
    "too deep": '{"action": 15, "extras": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "channel that is no text": '{"action": 10, "channel": 7}',
    "no channel": '{"action": 15, "msgSerial": 0}',
    "no serial": '{"action": 15, "channel": "c", "messages": []}',
    "AUTH without a token": '{"action": 17, "auth": "x"}',
}


@pytest.mark.parametrize("case", MALFORMED)
async def test_a_malformed_frame_ends_its_own_connection_only(
    endpoint: AblyLocal, connect: Connect, case: str
) -> None:
    good, bad = await connect(endpoint), await connect(endpoint)
    await good.attach("c")
    await bad.receive(4)
    await bad.websocket.send_str(MALFORMED[case])

    assert (await bad.receive(9))["error"]["code"] in (40000, 40001)
    await bad.closed()
    await publish(good, "c", "still here")
    assert endpoint.published[-1][1]["data"] == "still here"


@pytest.mark.parametrize("frame", [b"\xc1", b"\x91" * 2_000, b"\xa2\xff\xfe", b"", b"\x81\x01\x01"])
async def test_malformed_msgpack(endpoint: AblyLocal, connect: Connect, frame: bytes) -> None:
    client = await connect(endpoint, binary=True)
    await client.receive(4)
    await client.websocket.send_bytes(frame)
    assert (await client.receive(9))["error"]["code"] == 40001
    await client.closed()


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"action": 15, "messages": []}, 40001),
        ({"action": 15, "messages": [7]}, 40001),
        ({"action": 15, "messages": [{"data": 7}]}, 40013),
        ({"action": 15, "messages": [{"data": "x" * 70_000}]}, 40009),
        ({"action": 15, "messages": [{"clientId": "ben"}]}, 40012),
        ({"action": 14, "presence": [{"action": 2}]}, 90001),
        ({"action": 14, "presence": "x", "channel": "room"}, 40001),
        ({"action": 14, "presence": [{"action": 9}], "channel": "room"}, 40001),
    ],
)
async def test_what_is_answered_with_nack(
    endpoint: AblyLocal, connect: Connect, mint: Mint, frame: dict[str, Any], code: int
) -> None:
    client = await connect(endpoint, mint(client_id="ann"))
    await client.attach("room")
    await client.send(**({"channel": "c", "msgSerial": 3} | frame))
    nack = await client.receive(2)
    assert (nack["msgSerial"], nack["count"], nack["error"]["code"]) == (3, 1, code)
    await publish(client, "c", "goes on", serial=4)


async def test_presence_needs_a_client_id(endpoint: AblyLocal, connect: Connect) -> None:
    client = await connect(endpoint)
    await client.attach("room")
    await client.send(action=14, channel="room", msgSerial=0, presence=[{"action": 2}])
    assert (await client.receive(2))["error"]["code"] == 91000


@pytest.mark.parametrize("name", ["", "[meta]", ":c", "a\nb"])
async def test_channel_names_that_are_not_allowed(endpoint: AblyLocal, connect: Connect, name: str) -> None:
    client = await connect(endpoint)
    await client.send(action=10, channel=name)
    failed = await client.receive(9)
    assert (failed["channel"], failed["error"]["code"]) == (name, 40010)


async def test_unknown_actions_are_ignored(endpoint: AblyLocal, connect: Connect) -> None:
    client = await connect(endpoint)
    await client.send(action=99)
    await client.send(action=0, id="ping")
    assert (await client.receive(0))["id"] == "ping"


async def test_modes_are_those_asked_for_and_granted(
    endpoint: AblyLocal, connect: Connect, mint: Mint
) -> None:
    client = await connect(endpoint, mint({"c": ["publish", "subscribe"]}))
    assert (await client.attach("c"))["flags"] == PUBLISH | SUBSCRIBE | PRESENCE_SUBSCRIBE
    other = await connect(endpoint, mint({"c": ["publish", "subscribe"]}))
    assert (await other.attach("c", flags=PUBLISH))["flags"] == PUBLISH
    client = other
    await client.send(action=15, channel="c", msgSerial=0, messages=[{"data": "x"}])
    assert [frame["action"] for frame in await client.frames_until(1)] == [1]


@pytest.mark.parametrize(
    ("frame", "modes", "params"),
    [
        ({"params": {"modes": "publish,presence"}}, PRESENCE | PUBLISH, {"modes": "publish,presence"}),
        ({"params": {"modes": "SUBSCRIBE"}, "flags": PUBLISH}, SUBSCRIBE, {"modes": "SUBSCRIBE"}),
        ({"params": {"colour": "red"}, "flags": PUBLISH}, PUBLISH, None),
        ({"params": {"rewind": 1}, "flags": SUBSCRIBE}, SUBSCRIBE, {"rewind": "1"}),
    ],
)
async def test_params_of_a_channel(
    endpoint: AblyLocal, connect: Connect, frame: dict[str, Any], modes: int, params: dict[str, str] | None
) -> None:
    attached = await (await connect(endpoint)).attach("c", **frame)
    assert attached["flags"] == modes
    assert attached.get("params") == params


async def test_params_of_any_length_are_not_kept(endpoint: AblyLocal, connect: Connect) -> None:
    client = await connect(endpoint)
    for name in ("modes", "echo", "rewind"):
        await client.send(action=10, channel="c", params={name: "x" * 1_001})
        failed = await client.receive(9)
        assert (failed["channel"], failed["error"]["code"]) == ("c", 40003)
    assert not endpoint.apps.get("app").channels.get("c").attachments


async def test_modes_are_enforced(endpoint: AblyLocal, connect: Connect, mint: Mint) -> None:
    client, other = await connect(endpoint, mint(client_id="ann")), await connect(endpoint)
    await client.attach("c", flags=PRESENCE_SUBSCRIBE)
    await client.send(action=15, channel="c", msgSerial=0, messages=[{"data": "x"}])
    await client.send(action=14, channel="c", msgSerial=1, presence=[{"action": 2}])
    for serial in range(2):
        refused = await client.receive(2)
        assert (refused["msgSerial"], refused["error"]["code"]) == (serial, 40165)
        assert refused["error"]["statusCode"] == 401
    await publish(other, "c", "not for those who do not subscribe")
    await publish(client, "without attaching", "x", serial=2)
    assert len(endpoint.published) == 2


async def test_echo_may_be_off_for_one_channel(endpoint: AblyLocal, connect: Connect) -> None:
    client = await connect(endpoint)
    await client.attach("quiet", params={"echo": "false"})
    await client.attach("loud")
    for serial, channel in enumerate(("quiet", "loud")):
        await client.send(action=15, channel=channel, msgSerial=serial, messages=[{"data": "x"}])
    assert (await client.receive(15))["channel"] == "loud"


async def test_who_enters_twice_updates_and_old_news_are_ignored(
    endpoint: AblyLocal, connect: Connect, mint: Mint
) -> None:
    ann, watcher = await connect(endpoint, mint(client_id="ann")), await connect(endpoint)
    connection_id = (await ann.receive(4))["connectionId"]
    await watcher.attach("room")
    await ann.attach("room")
    for serial, data in enumerate(("first", "second")):
        await ann.send(action=14, channel="room", msgSerial=serial, presence=[{"action": 2, "data": data}])
        await ann.receive(1)
    stale = {"action": 2, "data": "first", "id": f"{connection_id}:0:0"}
    await ann.send(action=14, channel="room", msgSerial=2, presence=[stale])
    await ann.receive(1)
    told = [(await watcher.receive(14))["presence"][0] for _ in range(2)]
    assert [(one["action"], one["data"]) for one in told] == [(2, "first"), (4, "second")]
    late = await connect(endpoint)
    await late.attach("room")
    assert [one["data"] for one in (await late.receive(16))["presence"]] == ["second"]


async def test_how_long_members_remain_may_be_said(endpoint: AblyLocal, connect: Connect, mint: Mint) -> None:
    brief, watcher = (
        await connect(endpoint, mint(client_id="ann"), remainPresentFor="0"),
        await connect(endpoint),
    )
    await watcher.attach("room")
    await brief.attach("room")
    await brief.send(action=14, channel="room", msgSerial=0, presence=[{"action": 2}])
    assert (await watcher.receive(14))["presence"][0]["action"] == 2
    await brief.websocket.close()
    assert (await watcher.receive(14))["presence"][0]["action"] == 3


async def test_too_many_channels(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    endpoint = await make_endpoint(channels_per_connection=2)
    client = await connect(endpoint)
    await client.attach("a")
    await client.attach("b")
    await client.send(action=10, channel="c")
    assert (await client.receive(9))["error"]["code"] == 90010
    await client.send(action=12, channel="a")
    await client.receive(13)
    await client.attach("c")


async def test_sync_comes_in_pages_and_ends_with_an_empty_cursor(
    make_endpoint: MakeEndpoint, connect: Connect, mint: Mint
) -> None:
    endpoint = await make_endpoint(sync_page=2)
    crowd = await connect(endpoint, mint(client_id="*"))
    await crowd.attach("room")
    members = [{"action": 2, "clientId": f"c{number}"} for number in range(3)]
    await crowd.send(action=14, channel="room", msgSerial=0, presence=members)
    await crowd.receive(1)
    late = await connect(endpoint)
    assert (await late.attach("room"))["flags"] & HAS_PRESENCE
    pages = [await late.receive(16) for _ in range(2)]
    assert [len(page["presence"]) for page in pages] == [2, 1]
    assert [page["channelSerial"].partition(":")[2] for page in pages] == ["2", ""]
    assert {member["action"] for page in pages for member in page["presence"]} == {1}


async def test_heartbeats_unless_they_are_not_wanted(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    endpoint = await make_endpoint(heartbeat_interval=1.0)
    quiet, other = await connect(endpoint, heartbeats="false"), await connect(endpoint)
    # Who does not read does not answer the websocket's own pings either, and is dropped.
    reading = asyncio.create_task(quiet.frames_until(8))
    await other.receive(0)
    await quiet.send(action=7)
    assert [frame["action"] for frame in await reading] == [4, 8]


async def test_an_expired_token_disconnects(endpoint: AblyLocal, connect: Connect, mint: Mint) -> None:
    client = await connect(endpoint, mint(lifetime=1.0))
    frames = await client.frames_until(6)
    assert [frame["action"] for frame in frames] == [4, 6]
    assert frames[-1]["error"]["code"] == 40142
    await client.closed()


async def test_the_same_bytes_go_to_every_reader(endpoint: AblyLocal, connect: Connect) -> None:
    readers = [await connect(endpoint, binary=binary) for binary in (False, True, False, True)]
    for reader in readers:
        await reader.attach("c")
    await publish(readers[0], "c", "halo 😊")
    received = [texts(await reader.receive(15)) for reader in readers[1:]]
    assert received == [["halo 😊"]] * 3

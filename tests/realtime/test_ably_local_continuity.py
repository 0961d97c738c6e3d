"""What the local endpoint keeps for clients that come back, and for how long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

from rdchat.local.ably import AblyLocal
from tests.support.frames import publish, texts

if TYPE_CHECKING:
    import aiohttp

Mint = Callable[..., str]
Connect = Callable[..., Awaitable[Any]]
MakeEndpoint = Callable[..., Awaitable[AblyLocal]]

RESUMED, HAS_BACKLOG = 1 << 2, 1 << 1


async def test_resume_replays_what_was_missed(endpoint: AblyLocal, connect: Connect) -> None:
    client, other = await connect(endpoint), await connect(endpoint, binary=True)
    first = await client.receive(4)
    await client.attach("c")
    await publish(other, "c", "1")
    serial = (await client.receive(15))["channelSerial"]
    await client.websocket.close()
    await publish(other, "c", "2", "3", serial=1)
    await publish(other, "c", "4", serial=2)

    back = await connect(endpoint, resume=first["connectionDetails"]["connectionKey"])
    second = await back.receive(4)
    assert second["connectionId"] == first["connectionId"]
    assert second["connectionDetails"]["connectionKey"] != first["connectionDetails"]["connectionKey"]
    assert "error" not in second
    attached = await back.attach("c", channelSerial=serial, flags=32)
    assert attached["flags"] & (RESUMED | HAS_BACKLOG) == RESUMED | HAS_BACKLOG
    last = [await back.receive(15) for _ in range(2)]
    assert [texts(frame) for frame in last] == [["2", "3"], ["4"]]
    await back.websocket.close()
    again = await connect(endpoint, resume=second["connectionDetails"]["connectionKey"])
    attached = await again.attach("c", channelSerial=last[-1]["channelSerial"], flags=32)
    assert attached["flags"] & (RESUMED | HAS_BACKLOG) == RESUMED


async def test_a_resumed_connection_ends_its_old_websocket(endpoint: AblyLocal, connect: Connect) -> None:
    old = await connect(endpoint)
    connected = await old.receive(4)
    new = await connect(endpoint, resume=connected["connectionDetails"]["connectionKey"])
    assert (await new.receive(4))["connectionId"] == connected["connectionId"]
    await old.closed()
    await new.attach("c")
    await publish(new, "c", "x")


@pytest.mark.parametrize(
    ("given", "code"),
    [("nonsense", 80018), ("_____!fake-key____", 80018), ("0123456789a!0123456789abcdef", 80008)],
)
async def test_what_cannot_be_resumed(endpoint: AblyLocal, connect: Connect, given: str, code: int) -> None:
    connected = await (await connect(endpoint, resume=given)).receive(4)
    assert connected["error"]["code"] == code
    assert connected["connectionId"]


async def test_nobody_resumes_the_connection_of_another(
    endpoint: AblyLocal, connect: Connect, mint: Mint
) -> None:
    ann = await connect(endpoint, mint(client_id="ann"))
    connected = await ann.receive(4)
    key = connected["connectionDetails"]["connectionKey"]
    for token, resume in ((mint(client_id="ben"), key), (mint(client_id="ann"), key[:-1] + "~")):
        other = await (await connect(endpoint, token, resume=resume)).receive(4)
        assert other["error"]["code"] == 80018
        assert other["connectionId"] != connected["connectionId"]


async def test_lost_continuity_is_told(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    endpoint = await make_endpoint(history_messages=2)
    client = await connect(endpoint)
    serial = (await client.attach("c"))["channelSerial"]
    for number in range(3):
        await publish(client, "c", str(number), serial=number)
    late, stranger = await connect(endpoint), await connect(endpoint)
    attached = await late.attach("c", channelSerial=serial)
    assert (attached["flags"] & RESUMED, attached["error"]["code"]) == (0, 90003)
    # What is left is replayed all the same: the oldest is lost.
    assert [texts(await late.receive(15)) for _ in range(2)] == [["1"], ["2"]]
    foreign = await stranger.attach("c", channelSerial="123@elsewhere")
    assert foreign["error"]["code"] == 90003


async def history(http: aiohttp.ClientSession, endpoint: AblyLocal, token: str, **query: str) -> list[str]:
    """What the channel `c` remembers."""
    url, headers = f"http://{endpoint.address}/channels/c/messages", {"Authorization": f"Bearer {token}"}
    async with http.get(url, params={"direction": "forwards", **query}, headers=headers) as answer:
        assert answer.status == 200
        return [message["data"] for message in await answer.json()]


@pytest.mark.parametrize(
    ("how", "replayed", "error"),
    [
        ({"params": {"rewind": "1"}}, [["5"]], None),
        ({"params": {"rewind": "2"}}, [["4"], ["5"]], None),
        ({"params": {"rewind": "3"}}, [["3", "4"], ["5"]], None),
        ({"params": {"rewind": "1m", "rewindLimit": "2"}}, [["4"], ["5"]], None),
        ({"channelSerial": "1@elsewhere"}, [], 90003),
        ({"channelSerial": "first"}, [["2", "3", "4"], ["5"]], 90003),
    ],
)
async def test_a_drop_before_what_is_replayed_loses_and_repeats_nothing(
    *,
    make_endpoint: MakeEndpoint,
    connect: Connect,
    mint: Mint,
    http: aiohttp.ClientSession,
    how: dict[str, Any],
    replayed: list[list[str]],
    error: int | None,
) -> None:
    endpoint = await make_endpoint(history_messages=5)
    publisher = await connect(endpoint)
    first = (await publisher.attach("c"))["channelSerial"]
    for serial, data in enumerate((["0", "1"], ["2", "3", "4"], ["5"])):
        await publish(publisher, "c", *data, serial=serial)
    client = await connect(endpoint)
    key = (await client.receive(4))["connectionDetails"]["connectionKey"]
    how = {**how, "channelSerial": first} if how.get("channelSerial") == "first" else how
    attached = await client.attach("c", **how)
    assert attached.get("error", {}).get("code") == error
    assert bool(attached["flags"] & HAS_BACKLOG) == bool(replayed)
    # It is lost behind ATTACHED: what comes then is what it would have got, and then what is new.
    await client.websocket.close()
    await publish(publisher, "c", "new", serial=9)
    back = await connect(endpoint, resume=key)
    again = await back.attach("c", channelSerial=attached["channelSerial"], flags=32)
    assert again["flags"] & (RESUMED | HAS_BACKLOG) == RESUMED | HAS_BACKLOG
    received = [texts(await back.receive(15)) for _ in [*replayed, "new"]]
    assert received == [*replayed, ["new"]]
    # History until that serial (`untilAttach`) ends where it begins.
    before = await history(http, endpoint, mint(), from_serial=attached["channelSerial"])
    rest = await history(http, endpoint, mint())
    assert before + [text for texts in received for text in texts] == rest
    backwards = await history(
        http, endpoint, mint(), from_serial=attached["channelSerial"], direction="backwards", limit="1"
    )
    assert backwards == before[-1:]


async def test_what_is_not_subscribed_to_is_no_backlog(endpoint: AblyLocal, connect: Connect) -> None:
    client = await connect(endpoint)
    await publish(client, "c", "1")
    attached = await client.attach("c", params={"rewind": "1", "modes": "publish"})
    assert not attached["flags"] & HAS_BACKLOG
    await client.send(action=0)
    assert 15 not in [frame["action"] for frame in await client.frames_until(0)]


async def test_a_backlog_that_is_too_large_is_cut_at_its_beginning(
    make_endpoint: MakeEndpoint, connect: Connect
) -> None:
    endpoint = await make_endpoint(replayed_messages=2, rewound_messages=2)
    client = await connect(endpoint)
    serial = (await client.attach("c"))["channelSerial"]
    for number in range(3):
        await publish(client, "c", str(number), serial=number)
    for how in ({"channelSerial": serial}, {"params": {"rewind": "3"}}, {"params": {"rewind": "1m"}}):
        late = await connect(endpoint)
        attached = await late.attach("c", **how)
        assert (attached["flags"] & RESUMED, attached["error"]["code"]) == (0, 90004)
        assert [texts(await late.receive(15)) for _ in range(2)] == [["1"], ["2"]]


async def test_attaching_again_repeats_nothing(endpoint: AblyLocal, connect: Connect) -> None:
    client, other = await connect(endpoint), await connect(endpoint)
    serial = (await client.attach("c"))["channelSerial"]
    await publish(other, "c", "once")
    assert texts(await client.receive(15)) == ["once"]
    again = await client.attach("c", channelSerial=serial, params={"rewind": "9"})
    assert again["flags"] & RESUMED
    await client.send(action=0)
    assert 15 not in [frame["action"] for frame in await client.frames_until(0)]


@pytest.mark.parametrize(
    ("rewind", "expected"), [("2", [["2"], ["3"]]), ("9", [["1", "2"], ["3"]]), ("1m", [["1", "2"], ["3"]])]
)
async def test_rewind(endpoint: AblyLocal, connect: Connect, rewind: str, expected: list[list[str]]) -> None:
    client = await connect(endpoint)
    await publish(client, "c", "1", "2")
    await publish(client, "c", "3", serial=1)
    attached = await client.attach("c", params={"rewind": rewind})
    assert attached["flags"] & HAS_BACKLOG
    assert attached["params"] == {"rewind": rewind}
    assert [texts(await client.receive(15)) for _ in expected] == expected
    assert not (await client.attach("empty", params={"rewind": rewind}))["flags"] & HAS_BACKLOG


async def test_members_of_a_dropped_connection_leave_after_a_while(
    make_endpoint: MakeEndpoint, connect: Connect, mint: Mint
) -> None:
    endpoint = await make_endpoint(presence_grace=0.05)
    ann, watcher = await connect(endpoint, mint(client_id="ann")), await connect(endpoint)
    connection_id = (await ann.receive(4))["connectionId"]
    await watcher.attach("room")
    await ann.attach("room")
    await ann.send(action=14, channel="room", msgSerial=5, presence=[{"action": 2}])
    assert (await watcher.receive(14))["presence"][0]["id"] == f"{connection_id}:5:0"
    ann.websocket._response.connection.transport.abort()  # noqa: SLF001 - an abrupt loss has no public name

    leave = (await watcher.receive(14))["presence"][0]
    assert (leave["action"], leave["clientId"], leave["connectionId"]) == (3, "ann", connection_id)
    assert not leave["id"].startswith(connection_id)


async def test_members_stay_where_a_resumed_connection_attaches_again_and_nowhere_else(
    make_endpoint: MakeEndpoint, connect: Connect, mint: Mint
) -> None:
    endpoint = await make_endpoint(presence_grace=1.0)
    ann, watcher = await connect(endpoint, mint(client_id="ann")), await connect(endpoint)
    key = (await ann.receive(4))["connectionDetails"]["connectionKey"]
    for serial, channel in enumerate(("kept", "left")):
        await watcher.attach(channel)
        await ann.attach(channel)
        await ann.send(action=14, channel=channel, msgSerial=serial, presence=[{"action": 2}])
        await watcher.receive(14)
    await ann.websocket.close()
    back = await connect(endpoint, mint(client_id="ann"), resume=key)
    await back.attach("kept", flags=32)
    # Its client detached from the other one while it was away, and does not say so.
    leave = await watcher.receive(14)
    assert (leave["channel"], leave["presence"][0]["action"]) == ("left", 3)
    for channel, members in (("left", 0), ("kept", 1)):
        assert len(endpoint.apps.get("app").channels.get(channel).presence) == members
    await back.websocket.close()
    assert (await watcher.receive(14))["channel"] == "kept"


async def test_members_leave_with_a_connection_that_is_forgotten_before(
    make_endpoint: MakeEndpoint, connect: Connect, mint: Mint
) -> None:
    endpoint = await make_endpoint(connection_state_ttl=0.05, presence_grace=60.0)
    ann, watcher = await connect(endpoint, mint(client_id="ann")), await connect(endpoint)
    await watcher.attach("room")
    await ann.attach("room")
    await ann.send(action=14, channel="room", msgSerial=0, presence=[{"action": 2}])
    assert (await watcher.receive(14))["presence"][0]["action"] == 2
    await ann.websocket.close()
    assert (await watcher.receive(14))["presence"][0]["action"] == 3


async def test_a_message_sent_again_after_resuming_is_not_repeated(
    endpoint: AblyLocal, connect: Connect
) -> None:
    client = await connect(endpoint)
    await client.receive(4)
    assert (await publish(client, "c", "x", serial=7))["res"] == (await publish(client, "c", "x", serial=7))[
        "res"
    ]
    assert len(endpoint.published) == 1


async def test_started_again_on_the_same_port_with_its_history(endpoint: AblyLocal, connect: Connect) -> None:
    client = await connect(endpoint)
    serial = (await client.attach("c"))["channelSerial"]
    await publish(client, "c", "kept")
    port = endpoint.port
    with pytest.raises(RuntimeError, match="running already"):
        await endpoint.start()
    await endpoint.close()
    await endpoint.close()
    await client.closed()
    await endpoint.start(port=port)
    assert endpoint.address == f"127.0.0.1:{port}"
    again = await connect(endpoint)
    assert (await again.attach("c", channelSerial=serial))["flags"] & RESUMED
    assert texts(await again.receive(15)) == ["kept"]


def test_old_history_is_forgotten() -> None:
    now = [1_000.0]
    endpoint = AblyLocal(keys={"app.key": "secret"}, clock=lambda: now[0])
    channels = endpoint.apps.get("app").channels
    channel = channels.get("c")
    channel.publish([{"id": "a", "data": "x"}])
    now[0] += 121
    channel.publish([{"id": "a", "data": "x"}])
    assert [len(message["data"]) for _, message in endpoint.published] == [1, 1]
    channels.sweep()
    assert [publication.messages[0]["id"] for publication in channel.messages] == ["a"]
    now[0] += 242
    channels.sweep()
    assert channels.get("c") is not channel

"""What is too much: sizes, rates and memory. Each refusal is told, and nobody else is concerned."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

from rdchat.local.ably import AblyLocal, Limits
from rdchat.local.ably.rates import Rate
from tests.support.waiting import until

if TYPE_CHECKING:
    import aiohttp

Mint = Callable[..., str]
UNHURRIED = {"channel_bytes": 1e9, "channel_publishes": 1e9, "connection_messages": 1e9}
Connect = Callable[..., Awaitable[Any]]
MakeEndpoint = Callable[..., Awaitable[AblyLocal]]


async def publish(client: Any, channel: str, serial: int, *data: str) -> None:
    await client.send(
        action=15, channel=channel, msgSerial=serial, messages=[{"name": "n", "data": text} for text in data]
    )


def test_a_rate_fills_up_evenly() -> None:
    rate = Rate(10, 0.0)
    assert rate.take(10, 0.0)
    assert not rate.take(1, 0.05)
    assert rate.take(1, 0.1)
    assert not rate.take(11, 60.0)
    assert rate.take(10, 60.0)
    assert not rate.take(1, 59.0), "a clock that is set back fills nothing"


async def test_a_connection_publishes_so_many_messages_a_second(
    make_endpoint: MakeEndpoint, connect: Connect
) -> None:
    endpoint = await make_endpoint(connection_messages=3.0)
    eager, other = await connect(endpoint), await connect(endpoint)
    await publish(eager, "c", 0, "1", "2")
    await publish(eager, "c", 1, "3", "4")
    refused = await eager.receive(2)
    assert (refused["msgSerial"], refused["error"]["code"], refused["error"]["statusCode"]) == (1, 42911, 429)
    await publish(eager, "c", 2, "3")
    await eager.receive(1)
    await publish(other, "c", 0, "4")
    await other.receive(1)
    assert [message["data"] for _, message in endpoint.published] == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("limits", "code"), [({"connection_messages_fatal": 2.0}, 42921), ({"connection_frames": 2.0}, 42924)]
)
async def test_far_too_much_ends_the_connection(
    make_endpoint: MakeEndpoint, connect: Connect, limits: dict[str, float], code: int
) -> None:
    endpoint = await make_endpoint(**limits)
    client, other = await connect(endpoint), await connect(endpoint)
    for serial in range(3):
        await publish(client, "c", serial, "x")
    assert (await client.receive(9))["error"]["code"] == code
    await client.closed()
    await publish(other, "c", 0, "x")
    await other.receive(1)


async def test_a_channel_takes_so_many_publishes_a_second_from_whomever(
    make_endpoint: MakeEndpoint, connect: Connect, http: aiohttp.ClientSession, mint: Mint
) -> None:
    endpoint = await make_endpoint(channel_publishes=2.0)
    client = await connect(endpoint)
    await publish(client, "c", 0, *"many messages are one publish")
    await client.receive(1)
    headers = {"Authorization": f"Bearer {mint()}"}
    url = f"http://{endpoint.address}/channels/c/messages"
    statuses = []
    for _ in range(2):
        async with http.post(url, json={"data": "x"}, headers=headers) as answer:
            statuses.append((answer.status, answer.headers.get("X-Ably-Errorcode")))
    assert statuses == [(201, None), (429, "42913")]
    spec = {"channels": ["c", "d"], "messages": [{"data": "x"}]}
    async with http.post(f"http://{endpoint.address}/messages", json=spec, headers=headers) as answer:
        results = (await answer.json())["results"]
    assert results[0]["error"]["code"] == 42913
    assert "error" not in results[1]
    await publish(client, "c", 1, "x")
    assert (await client.receive(2))["error"]["code"] == 42913


async def test_a_channel_takes_so_many_bytes_a_second(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    endpoint = await make_endpoint(channel_bytes=100.0)
    client = await connect(endpoint)
    await publish(client, "c", 0, "x" * 90)
    await client.receive(1)
    await publish(client, "c", 1, "x" * 90)
    assert (await client.receive(2))["error"]["code"] == 42913
    await publish(client, "d", 2, "x" * 90)
    await client.receive(1)


async def test_the_size_of_a_publish(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    endpoint = await make_endpoint(message_size=20)
    client = await connect(endpoint)
    assert (await client.receive(4))["connectionDetails"]["maxMessageSize"] == 20
    good: list[dict[str, Any]] = [
        {"name": "n" * 10, "data": "d" * 10},
        {"data": "ü" * 10},
        # Base64 counts as the bytes that it stands for.
        {"data": "A" * 24 + "AA==", "encoding": "base64"},
        {"extras": {"headers": {"a": 1}}} | {"extras": {"ephemeral": True}},
    ]
    for serial, message in enumerate(good):
        if message.get("encoding") == "base64":
            message["data"] = "A" * 26 + "=="  # 20 bytes, less one
        await client.send(action=15, channel="c", msgSerial=serial, messages=[message])
        assert (await client.receive(1))["msgSerial"] == serial
    for serial, message in enumerate(
        [{"data": "ü" * 11}, {"name": "ü" * 5, "data": "d" * 11}, {"data": "A" * 32, "encoding": "base64"}],
        10,
    ):
        await client.send(action=15, channel="c", msgSerial=serial, messages=[message])
        error = (await client.receive(2))["error"]
        assert (error["code"], error["statusCode"]) == (40009, 413)


async def test_memory_is_bounded_for_the_app_as_a_whole() -> None:
    limits = Limits(memory_messages=100, memory_bytes=100_000, channel_publishes=1e9, recorded=10)
    now = [1_000.0]
    endpoint = AblyLocal(keys={"app.key": "secret"}, limits=limits, clock=lambda: now[0])
    channels = endpoint.apps.get("app").channels
    for number in range(1_000):
        channels.get(f"c{number % 50}").publish([{"id": f"m{number}:0", "data": "x"}])
    kept = [len(channels.get(f"c{number}").messages) for number in range(50)]
    assert kept == [2] * 50, "the oldest are forgotten first, wherever they are"
    assert channels.memory.messages == 100
    # An id counts as well, although not against the size of a publish.
    for channel in ("c0", "c1"):
        channels.get(channel).publish([{"id": "i" * 60_000, "data": "x"}])
    assert len(channels.get("c1").messages) == 1
    assert sum(len(channels.get(f"c{number}").messages) for number in range(50)) < 100
    assert channels.memory.bytes <= 100_000
    now[0] += 500
    channels.sweep()
    assert (channels.memory.messages, channels.memory.bytes) == (0, 0)


def test_what_is_forgotten_takes_no_memory() -> None:
    limits = Limits(history_messages=10, memory_messages=100_000, channel_publishes=1e9, channel_bytes=1e9)
    endpoint = AblyLocal(keys={"app.key": "secret"}, limits=limits)
    channels = endpoint.apps.get("app").channels
    for _ in range(5_000):
        channels.get("c").publish([{"data": "x"}])
    assert channels.memory.messages == 10
    assert len(vars(channels.memory)["_kept"]) < 2_000


def test_the_record_is_bounded_in_bytes() -> None:
    limits = Limits(recorded_bytes=10_000, channel_publishes=1e9)
    endpoint = AblyLocal(keys={"app.key": "secret"}, limits=limits)
    channel = endpoint.apps.get("app").channels.get("c")
    for _ in range(20):
        channel.publish([{"data": "x" * 1_000}])
    assert len(endpoint.published) == 10
    endpoint.published.clear()
    channel.publish([{"data": "x"}])
    assert len(endpoint.published) == 1


@pytest.mark.parametrize("over_rest", [True, False])
async def test_one_publish_holds_so_many_messages(
    endpoint: AblyLocal, connect: Connect, http: aiohttp.ClientSession, mint: Mint, *, over_rest: bool
) -> None:
    many: list[dict[str, Any]] = [{}] * 1_001
    if over_rest:
        url = f"http://{endpoint.address}/channels/c/messages"
        async with http.post(url, json=many, headers={"Authorization": f"Bearer {mint()}"}) as answer:
            assert (answer.status, answer.headers["X-Ably-Errorcode"]) == (400, "40034")
    else:
        client = await connect(endpoint)
        await client.send(action=15, channel="c", msgSerial=0, messages=many)
        assert (await client.receive(2))["error"]["code"] == 40034


async def test_a_batch_names_so_many_channels(
    endpoint: AblyLocal, http: aiohttp.ClientSession, mint: Mint
) -> None:
    headers = {"Authorization": f"Bearer {mint()}"}
    for names, code in ((["c"] * 1_001, "40001"), ([f"c{number}" for number in range(101)], "90010")):
        spec = {"channels": names, "messages": [{}]}
        async with http.post(f"http://{endpoint.address}/messages", json=spec, headers=headers) as answer:
            assert (answer.status, answer.headers["X-Ably-Errorcode"]) == (400, code)


@pytest.mark.parametrize("depth", [200, 248, 252, 300])
async def test_extras_that_could_not_be_told_are_refused(
    endpoint: AblyLocal, connect: Connect, depth: int
) -> None:
    deep: list[Any] = []
    for _ in range(depth):
        deep = [deep]
    writer, reader = await connect(endpoint, binary=True), await connect(endpoint)
    await reader.attach("c")
    message = {"data": "x", "extras": {"ref": deep}}
    await writer.send(action=15, channel="c", msgSerial=0, messages=[message])
    answer = (await writer.frames_until(1 if depth == 200 else 2))[-1]
    if depth == 200:
        assert (await reader.receive(15))["messages"][0]["data"] == "x"
    else:
        assert answer["error"]["code"] == 40032


async def test_nothing_is_sent_behind_a_gap(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    endpoint = await make_endpoint(**UNHURRIED, outbox_bytes=300_000, outbox_patience=0.0)
    reader = await connect(endpoint)
    connected = await reader.receive(4)
    await reader.attach("c")
    channel = endpoint.apps.get("app").channels.get("c")
    for number in range(20):  # all in one turn of the loop: nobody could have read them
        channel.publish([{"name": str(number), "data": "x" * 60_000}])
    frames = await reader.frames_until(6)
    heard = [frame["messages"][0]["name"] for frame in frames if frame["action"] == 15]
    # Else its channelSerial would be one behind the gap, and resuming there would bring back nothing.
    assert heard == [str(number) for number in range(len(heard))]
    assert len(heard) < 20
    await reader.closed()
    assert connected["connectionId"] in [one.id for one in endpoint.apps.get("app").connections]


async def test_who_reads_well_resumes_whatever_was_missed(
    make_endpoint: MakeEndpoint, connect: Connect
) -> None:
    endpoint = await make_endpoint(**UNHURRIED)
    reader, writer = await connect(endpoint), await connect(endpoint)
    connected = await reader.receive(4)
    serials = [(await reader.attach(f"c{number}"))["channelSerial"] for number in range(6)]
    await reader.websocket.close()
    for number in range(6 * 24):  # nine megabytes, each channel's within what is replayed
        await publish(writer, f"c{number % 6}", number, "x" * 60_000)
        await writer.receive(1)
    back = await connect(endpoint, resume=connected["connectionDetails"]["connectionKey"])
    await back.receive(4)
    for number, serial in enumerate(serials):
        await back.send(action=10, channel=f"c{number}", channelSerial=serial, flags=32)
    heard = [await back.receive(15) for _ in range(6 * 24)]
    assert len({frame["messages"][0]["id"] for frame in heard}) == 6 * 24


async def test_a_duplicate_is_known_as_long_as_its_message() -> None:
    now = [1_000.0]
    endpoint = AblyLocal(keys={"app.key": "secret"}, limits=Limits(memory_messages=2), clock=lambda: now[0])
    channel = endpoint.apps.get("app").channels.get("c")
    first = channel.publish([{"id": "a:0", "data": "x"}])
    assert channel.publish([{"id": "a:0", "data": "x"}]) == first
    for name in "bc":
        channel.publish([{"id": f"{name}:0", "data": "x"}])
    assert channel.publish([{"id": "a:0", "data": "x"}]) != first
    assert not [message for message in vars(channel)["_accepted"] if message == "b:0"]


async def test_ephemeral_messages_are_not_kept(endpoint: AblyLocal, connect: Connect) -> None:
    client = await connect(endpoint)
    await client.attach("c")
    late = await connect(endpoint)
    messages = [{"data": "passing", "extras": {"ephemeral": True}}, {"data": "lasting"}]
    await client.send(action=15, channel="c", msgSerial=0, messages=messages)
    assert [m["data"] for m in (await client.receive(15))["messages"]] == ["passing", "lasting"]
    await late.attach("c", params={"rewind": "9"})
    assert [m["data"] for m in (await late.receive(15))["messages"]] == ["lasting"]


async def test_a_reader_who_is_too_slow_is_told_and_may_come_back(
    make_endpoint: MakeEndpoint, connect: Connect
) -> None:
    endpoint = await make_endpoint(**UNHURRIED, outbox_bytes=300_000, outbox_patience=0.0, closing_grace=30.0)
    slow, other, third = [await connect(endpoint) for _ in range(3)]
    connected = await slow.receive(4)
    await slow.attach("c")
    await third.attach("c")
    transport = slow.websocket._response.connection.transport  # noqa: SLF001 - so that it reads nothing
    transport.pause_reading()
    attached = endpoint.apps.get("app").channels.get("c").attachments
    for serial in range(200):  # far more than the sockets' own buffers hold
        await publish(other, "c", serial, "x" * 60_000)
        await other.receive(1)
        assert (await third.receive(15))["messages"][0]["id"].endswith(f":{serial}:0"), "others go on"
        if connected["connectionId"] not in attached:
            break
    else:
        pytest.fail("who does not read was never disconnected")
    transport.resume_reading()
    assert (await slow.receive(6))["error"]["code"] == 80020
    await slow.closed()
    assert slow.websocket.close_code == 1013
    back = await connect(endpoint, resume=connected["connectionDetails"]["connectionKey"])
    assert (await back.receive(4))["connectionId"] == connected["connectionId"]


async def test_a_reader_who_never_reads_again_is_cut_off(
    make_endpoint: MakeEndpoint, connect: Connect
) -> None:
    endpoint = await make_endpoint(
        **UNHURRIED, outbox_bytes=300_000, outbox_patience=0.0, closing_grace=0.1, connection_state_ttl=0.1
    )
    slow, other = await connect(endpoint), await connect(endpoint)
    await slow.attach("c")
    slow.websocket._response.connection.transport.pause_reading()  # noqa: SLF001 - so that it reads nothing
    app = endpoint.apps.get("app")
    for serial in range(200):
        await publish(other, "c", serial, "x" * 60_000)
        await other.receive(1)
        if not app.channels.get("c").attachments:
            break
    await until(lambda: len(list(app.connections)) == 1, 5)


async def test_a_half_open_socket_is_noticed_and_its_members_leave(
    make_endpoint: MakeEndpoint, connect: Connect, mint: Mint
) -> None:
    endpoint = await make_endpoint(
        heartbeat_interval=0.2, pong_wait=0.1, presence_grace=0.05, connection_state_ttl=0.1
    )
    gone, watcher = await connect(endpoint, mint(client_id="ann")), await connect(endpoint)
    await watcher.attach("room")
    await gone.attach("room")
    await gone.send(action=14, channel="room", msgSerial=0, presence=[{"action": 2}])
    await watcher.receive(14)
    # Its computer is off: nothing is read any more, no ping answered, and no FIN ever arrives.
    gone.websocket._response.connection.transport.pause_reading()  # noqa: SLF001 - there is no other way
    assert (await watcher.receive(14))["presence"][0]["action"] == 3
    connections = endpoint.apps.get("app").connections
    await until(lambda: len(list(connections)) == 1, 5)


async def test_a_frame_that_is_too_large_is_told(make_endpoint: MakeEndpoint, connect: Connect) -> None:
    endpoint = await make_endpoint(frame_size=1_000)
    somewhat, far, other = [await connect(endpoint) for _ in range(3)]
    await somewhat.receive(4)
    await far.receive(4)
    await somewhat.websocket.send_str(" " * 1_500)
    error = (await somewhat.receive(9))["error"]
    assert (error["code"], error["statusCode"]) == (40009, 413)
    await somewhat.closed()
    assert somewhat.websocket.close_code == 1009
    await far.websocket.send_str(" " * 3_000)
    await far.closed()
    assert far.websocket.close_code == 1009
    await publish(other, "c", 0, "still here")
    await other.receive(1)

"""The genuine Python realtime client against the local endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from ably import AblyException, AblyRealtime
from ably.types.channeloptions import ChannelOptions
from ably.types.message import Message

from rdchat.local.ably import AblyLocal

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

MakeEndpoint = Callable[..., Awaitable[AblyLocal]]
MakeRealtime = Callable[..., Awaitable[AblyRealtime]]
Mint = Callable[..., str]
PATIENCE = 10.0


async def soon(awaitable: Awaitable[Any]) -> Any:
    """Wait for something that must happen, but not for ever."""
    return await asyncio.wait_for(awaitable, PATIENCE)


async def subscribed(client: AblyRealtime, name: str) -> tuple[Any, asyncio.Queue[Any]]:
    """An attached channel, and the queue of its messages."""
    channel, inbox = client.channels.get(name), asyncio.Queue[Any]()
    await channel.subscribe(inbox.put_nowait)
    return channel, inbox


async def test_a_published_message_reaches_the_subscribers(
    endpoint: AblyLocal, realtime: MakeRealtime
) -> None:
    alice, bob = await realtime(endpoint), await realtime(endpoint)
    channel, own = await subscribed(alice, "chat:session:1")
    _, inbox = await subscribed(bob, "chat:session:1")

    result = await channel.publish([Message("text", "halo 😊"), Message("object", {"seq": 2})])
    await channel.publish("bytes", b"\x00\xff")

    received = [await soon(inbox.get()) for _ in range(3)]
    assert [(message.name, message.data) for message in received] == [
        ("text", "halo 😊"),
        ("object", {"seq": 2}),
        ("bytes", bytearray(b"\x00\xff")),
    ]
    assert result.serials == [message.serial for message in received[:2]]
    assert received[0].connection_id == alice.connection.connection_manager.connection_id
    assert [(await soon(own.get())).id for _ in range(3)] == [message.id for message in received]


async def test_a_rest_publish_reaches_the_subscribers(endpoint: AblyLocal, realtime: MakeRealtime) -> None:
    client = await realtime(endpoint)
    _, inbox = await subscribed(client, "c")
    await client.request(
        "POST", "/messages", version="3", body={"channels": ["c"], "messages": {"data": {"a": 1}}}
    )
    assert (await soon(inbox.get())).data == {"a": 1}


async def test_no_echo_when_it_is_not_wanted(endpoint: AblyLocal, realtime: MakeRealtime) -> None:
    quiet, other = await realtime(endpoint, transport_params={"echo": "false"}), await realtime(endpoint)
    channel, inbox = await subscribed(quiet, "c")
    await channel.publish("mine", "x")
    await other.channels.get("c").publish("theirs", "y")
    assert (await soon(inbox.get())).name == "theirs"


async def test_publishing_needs_no_attachment(endpoint: AblyLocal, realtime: MakeRealtime) -> None:
    await (await realtime(endpoint)).channels.get("c").publish("n", "x")
    assert [channel for channel, _ in endpoint.published] == ["c"]


async def test_after_detaching_nothing_comes(endpoint: AblyLocal, realtime: MakeRealtime) -> None:
    client = await realtime(endpoint)
    channel, inbox = await subscribed(client, "c")
    await channel.detach()
    _, other = await subscribed(client, "other")
    await channel.publish("n", "x")
    await client.channels.get("other").publish("n", "x")
    await soon(other.get())
    assert inbox.empty()


async def test_a_denied_channel_fails_alone(endpoint: AblyLocal, realtime: MakeRealtime, mint: Mint) -> None:
    client = await realtime(endpoint, mint({"open": ["subscribe"]}))
    with pytest.raises(AblyException) as refused:
        await client.channels.get("shut").attach()
    assert (refused.value.code, refused.value.status_code) == (40160, 401)
    channel, _ = await subscribed(client, "open")
    with pytest.raises(AblyException) as refused:
        await channel.publish("n", "x")
    assert refused.value.code == 40160
    assert client.connection.state == "connected"


async def test_presence_enters_updates_and_leaves(
    endpoint: AblyLocal, realtime: MakeRealtime, mint: Mint
) -> None:
    ann, ben = (
        await realtime(endpoint, mint(client_id="ann")),
        await realtime(endpoint, mint(client_id="ben")),
    )
    events: asyncio.Queue[Any] = asyncio.Queue()
    room = ben.channels.get("room")
    await room.presence.subscribe(events.put_nowait)

    presence = ann.channels.get("room").presence
    await presence.enter({"typing": False})
    await presence.update({"typing": True})
    await presence.leave()

    seen = [await soon(events.get()) for _ in range(3)]
    assert [(event.action, event.client_id) for event in seen] == [(2, "ann"), (4, "ann"), (3, "ann")]
    assert [event.data for event in seen[:2]] == [{"typing": False}, {"typing": True}]
    assert await soon(room.presence.get()) == []


async def test_who_comes_later_learns_who_is_there(
    make_endpoint: MakeEndpoint, realtime: MakeRealtime, mint: Mint
) -> None:
    endpoint = await make_endpoint(sync_page=2)
    crowd = await realtime(endpoint, mint(client_id="*"), client_id="*")
    presence = crowd.channels.get("room").presence
    for number in range(5):
        await presence.enter_client(f"client-{number}", str(number))

    late = await realtime(endpoint)
    members = await soon(late.channels.get("room").presence.get())
    assert {member.client_id: member.data for member in members} == {f"client-{n}": str(n) for n in range(5)}


async def test_members_leave_when_their_connection_closes(
    endpoint: AblyLocal, realtime: MakeRealtime, mint: Mint
) -> None:
    ann, ben = await realtime(endpoint, mint(client_id="ann")), await realtime(endpoint)
    events: asyncio.Queue[Any] = asyncio.Queue()
    await ben.channels.get("room").presence.subscribe("leave", events.put_nowait)
    await ann.channels.get("room").presence.enter()
    await ann.close()
    assert (await soon(events.get())).client_id == "ann"


async def test_ping_is_answered(endpoint: AblyLocal, realtime: MakeRealtime) -> None:
    assert await (await realtime(endpoint)).connection.ping() < PATIENCE * 1000


async def test_a_dropped_client_resumes_and_misses_nothing(
    endpoint: AblyLocal, realtime: MakeRealtime
) -> None:
    client, other = await realtime(endpoint), await realtime(endpoint)
    _, inbox = await subscribed(client, "c")
    await other.channels.get("c").publish("n", "before")
    assert (await soon(inbox.get())).data == "before"
    connection_id = client.connection.connection_manager.connection_id

    disconnected = asyncio.ensure_future(client.connection.once_async("disconnected"))
    await asyncio.sleep(0)  # let the listener register
    client.connection.connection_manager.transport.websocket.transport.abort()
    await soon(disconnected)
    connected = asyncio.ensure_future(client.connection.once_async("connected"))
    await other.channels.get("c").publish("n", "meanwhile")
    await soon(connected)
    await other.channels.get("c").publish("n", "after")

    assert client.connection.connection_manager.connection_id == connection_id
    assert [(await soon(inbox.get())).data for _ in range(2)] == ["meanwhile", "after"]


async def test_clients_come_back_after_a_restart(endpoint: AblyLocal, realtime: MakeRealtime) -> None:
    client = await realtime(endpoint, disconnected_retry_timeout=50)
    _, inbox = await subscribed(client, "c")
    connected = asyncio.ensure_future(client.connection.once_async("connected"))
    await asyncio.sleep(0)  # let the listener register
    port = endpoint.port
    await endpoint.close()
    await endpoint.start(port=port)
    await soon(connected)
    await client.channels.get("c").publish("n", "again")
    assert (await soon(inbox.get())).data == "again"


async def test_the_server_asks_for_a_new_token_in_time(
    make_endpoint: MakeEndpoint, realtime: MakeRealtime, mint: Mint
) -> None:
    endpoint = await make_endpoint(reauth_lead=30.0)
    lifetimes = [31.0]
    client = await realtime(endpoint, lambda: mint(lifetime=lifetimes.pop() if lifetimes else 600.0))
    updated = asyncio.ensure_future(client.connection.once_async("update"))
    await soon(updated)
    assert lifetimes == []
    assert client.connection.state == "connected"


async def test_an_expired_token_disconnects_and_is_renewed(
    endpoint: AblyLocal, realtime: MakeRealtime, mint: Mint
) -> None:
    lifetimes = [1.5]
    client = await realtime(endpoint, lambda: mint(lifetime=lifetimes.pop() if lifetimes else 600.0))
    change = await soon(client.connection.once_async("disconnected"))
    assert change.reason.code == 40142
    await soon(client.connection.once_async("connected"))


async def test_authorizing_with_less_fails_the_channels_that_are_lost(
    endpoint: AblyLocal, realtime: MakeRealtime, mint: Mint
) -> None:
    tokens = [mint({"kept": ["subscribe"]}), mint({"kept": ["subscribe"], "lost": ["subscribe"]})]
    client = await realtime(endpoint, tokens.pop)
    kept, _ = await subscribed(client, "kept")
    lost, _ = await subscribed(client, "lost")
    failed = asyncio.ensure_future(lost.once_async("failed"))
    await client.auth.authorize()
    assert (await soon(failed)).reason.code == 40160
    assert kept.state != "failed"


async def test_a_revoked_token_disconnects(
    endpoint: AblyLocal, realtime: MakeRealtime, mint: Mint, key: tuple[str, str]
) -> None:
    server = await realtime(endpoint)
    issued: list[str] = []

    def renewed() -> str:
        # Without a clientId: this SDK takes the renewal of a JWT that has one for another client's.
        issued.append(mint(revocation_key="ann"))
        return issued[-1]

    ann, ben = await realtime(endpoint, renewed), await realtime(endpoint, mint(revocation_key="ben"))
    disconnected = asyncio.ensure_future(ann.connection.once_async("disconnected"))
    path = f"/keys/{key[0]}/revokeTokens"
    answer = await server.request("POST", path, version="3", body={"targets": ["revocationKey:ann"]})
    assert answer.items[0]["successCount"] == 1
    assert (await soon(disconnected)).reason.code == 40141
    await soon(ann.connection.once_async("connected"))
    assert len(issued) == 2
    assert await soon(ben.connection.ping()) >= 0


async def test_too_many_messages_are_refused_and_the_connection_lives(
    make_endpoint: MakeEndpoint, realtime: MakeRealtime
) -> None:
    endpoint = await make_endpoint(connection_messages=2.0, channel_publishes=5.0)
    client = await realtime(endpoint)
    channel = client.channels.get("c")
    outcomes = await asyncio.gather(
        *(channel.publish("n", str(number)) for number in range(4)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, AblyException)]
    assert [(error.code, error.status_code) for error in refused] == [(42911, 429)] * 2
    assert await soon(client.connection.ping()) >= 0
    codes = set()
    for _ in range(10):
        answer = await client.request("POST", "/channels/c/messages", version="3", body={"data": "x"})
        codes.add((answer.status_code, answer.error_code))
    assert codes == {(201, None), (429, "42913")}


async def test_a_rewound_channel_begins_with_what_was_said(
    endpoint: AblyLocal, realtime: MakeRealtime
) -> None:
    client, other = await realtime(endpoint), await realtime(endpoint)
    for text in ("1", "2", "3"):
        await other.channels.get("c").publish("n", text)
    channel = client.channels.get("c", ChannelOptions(params={"rewind": "2"}))
    inbox = asyncio.Queue[Any]()
    await channel.subscribe(inbox.put_nowait)
    assert [(await soon(inbox.get())).data for _ in range(2)] == ["2", "3"]


async def test_only_the_modes_asked_for_are_granted(endpoint: AblyLocal, realtime: MakeRealtime) -> None:
    client = await realtime(endpoint)
    channel = client.channels.get("c", ChannelOptions(params={"modes": "subscribe"}))
    await channel.attach()
    with pytest.raises(AblyException) as refused:
        await channel.publish("n", "x")
    assert (refused.value.code, refused.value.status_code) == (40165, 401)


async def test_a_wrong_token_fails_the_connection(
    endpoint: AblyLocal, stack: AsyncExitStack, fmt: str
) -> None:
    client = AblyRealtime(
        token="no-token-at-all",
        endpoint=f"{endpoint.address}/",
        tls=False,
        use_binary_protocol=fmt == "msgpack",
    )
    stack.push_async_callback(client.close)
    change = await soon(client.connection.once_async("failed"))
    assert (change.reason.code, change.reason.status_code) == (40101, 401)

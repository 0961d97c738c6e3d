"""The genuine Python REST client against the local endpoint."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from ably import AblyException, AblyRest
from ably.types.message import Message

if TYPE_CHECKING:
    from rdchat.local.ably import AblyLocal

MakeRest = Callable[..., AblyRest]
Mint = Callable[..., str]
Connect = Callable[..., Awaitable[Any]]


async def batch(client: AblyRest, specs: Any) -> Any:
    return await client.request("POST", "/messages", version="3", body=specs)


async def test_time_is_the_servers(rest: MakeRest) -> None:
    assert abs(await rest().time() - time.time() * 1000) < 5_000


async def test_published_messages_come_back_from_history(rest: MakeRest, endpoint: AblyLocal) -> None:
    channel = rest().channels.get("chat:session:1")
    await channel.publish("text", "héllo 🙂")
    await channel.publish("object", {"seq": 1})
    await channel.publish("bytes", b"\x00\xff")
    await channel.publish([Message("first", "a"), Message("second", "b")])

    items = (await channel.history(direction="forwards")).items

    assert [(item.name, item.data) for item in items] == [
        ("text", "héllo 🙂"),
        ("object", {"seq": 1}),
        ("bytes", bytearray(b"\x00\xff")),
        ("first", "a"),
        ("second", "b"),
    ]
    assert [message["name"] for _, message in endpoint.published] == [item.name for item in items]
    assert sorted(item.serial for item in items) == [item.serial for item in items]


async def test_publish_answers_a_serial_for_each_message(rest: MakeRest) -> None:
    channel = rest().channels.get("c")
    result = await channel.publish([Message("a", "1"), Message("b", "2")])
    assert len(result.serials) == 2
    assert result.serials[0] < result.serials[1]


async def test_batch_succeeds_and_fails_per_channel(rest: MakeRest, mint: Mint, endpoint: AblyLocal) -> None:
    client = rest(mint({"open:*": ["publish"]}))
    answer = await batch(
        client,
        [
            {"channels": ["open:1", "shut:1"], "messages": [{"id": "m1:0", "name": "n", "data": "d"}]},
            {"channels": "open:2", "messages": {"name": "n", "data": {"seq": 7}}},
        ],
    )

    assert answer.success
    first, second = answer.items
    assert (first["successCount"], first["failureCount"]) == (1, 1)
    assert first["results"][0]["channel"] == "open:1"
    assert first["results"][0]["messageId"] == "m1:0"
    assert first["results"][1]["error"]["code"] == 40160
    assert second["results"][0]["channel"] == "open:2"
    assert [channel for channel, _ in endpoint.published] == ["open:1", "open:2"]
    assert endpoint.published[1][1]["data"] == '{"seq":7}'
    assert endpoint.published[1][1]["encoding"] == "json"


async def test_a_single_spec_is_answered_by_a_single_result(rest: MakeRest) -> None:
    answer = await batch(rest(), {"channels": ["a", "b"], "messages": [{"name": "n"}]})
    assert [result["channel"] for result in answer.items[0]["results"]] == ["a", "b"]


async def test_a_duplicate_id_is_dropped_and_answered_as_success(rest: MakeRest, endpoint: AblyLocal) -> None:
    client = rest()
    spec = [{"channels": ["c"], "messages": [{"id": "x:0", "data": "1"}, {"id": "x:1", "data": "2"}]}]
    first, second = await batch(client, spec), await batch(client, spec)

    assert first.items == second.items
    assert len(endpoint.published) == 2
    elsewhere = await batch(client, [{"channels": ["d"], "messages": [{"id": "x:0", "data": "1"}]}])
    assert elsewhere.items[0]["successCount"] == 1
    assert len(endpoint.published) == 3


async def test_ids_of_a_list_must_be_a_series(rest: MakeRest) -> None:
    with pytest.raises(AblyException) as refused:
        await rest().channels.get("c").publish([Message("a", id="one"), Message("b", id="two")])
    assert (refused.value.code, refused.value.status_code) == (40031, 400)


async def test_history_pages_both_ways(rest: MakeRest) -> None:
    channel = rest().channels.get("paged")
    await channel.publish([Message("n", str(number)) for number in range(3)])
    await channel.publish([Message("n", str(number)) for number in range(3, 7)])

    for direction, expected in (("forwards", "0123456"), ("backwards", "6543210")):
        page = await channel.history(direction=direction, limit=3)
        seen = [item.data for item in page.items]
        while page.has_next():
            page = await page.next()
            seen += [item.data for item in page.items]
        assert "".join(seen) == expected
        assert page.is_last()
        first = await page.first()
        assert [item.data for item in first.items] == list(expected[:3])


async def test_history_between_two_instants(rest: MakeRest) -> None:
    channel = rest().channels.get("timed")
    await channel.publish("n", "x")
    at = (await channel.history()).items[0].timestamp

    assert len((await channel.history(start=at, end=at)).items) == 1
    assert (await channel.history(start=at + 1)).items == []
    assert (await channel.history(end=at - 1)).items == []


async def test_presence_and_occupancy(
    rest: MakeRest, endpoint: AblyLocal, connect: Connect, mint: Mint
) -> None:
    member = await connect(endpoint, mint(client_id="ann"))
    await member.attach("room")
    await member.send(action=14, channel="room", msgSerial=0, presence=[{"action": 2, "data": "here"}])
    await member.receive(1)
    channel = rest().channels.get("room")

    present = (await channel.presence.get()).items
    assert [(item.client_id, item.data, item.action) for item in present] == [("ann", "here", 1)]
    events = (await channel.presence.history()).items
    assert [(item.client_id, item.action) for item in events] == [("ann", 2)]
    metrics = (await channel.status()).status.occupancy.metrics
    assert (metrics.connections, metrics.subscribers, metrics.presence_members) == (1, 1, 1)


async def test_members_come_in_pages(
    rest: MakeRest, endpoint: AblyLocal, connect: Connect, mint: Mint
) -> None:
    crowd = await connect(endpoint, mint(client_id="*"))
    await crowd.attach("room")
    members = [{"action": 2, "clientId": f"c{number}"} for number in range(5)]
    await crowd.send(action=14, channel="room", msgSerial=0, presence=members)
    await crowd.receive(1)
    page = await rest().channels.get("room").presence.get(limit=2)
    pages = [[item.client_id for item in page.items]]
    while page.has_next():
        page = await page.next()
        pages.append([item.client_id for item in page.items])
    assert pages == [["c0", "c1"], ["c2", "c3"], ["c4"]]


async def test_a_batch_of_presence(rest: MakeRest, endpoint: AblyLocal, connect: Connect, mint: Mint) -> None:
    member = await connect(endpoint, mint(client_id="ann"))
    await member.attach("open:1")
    await member.send(action=14, channel="open:1", msgSerial=0, presence=[{"action": 2}])
    await member.receive(1)
    client = rest(mint({"open:*": ["presence"]}))
    answer = await client.request("GET", "/presence?channels=open:1,open:2,shut", version="3")
    (batch_result,) = answer.items
    assert (batch_result["successCount"], batch_result["failureCount"]) == (2, 1)
    here, empty, shut = batch_result["results"]
    assert [one["clientId"] for one in here["presence"]] == ["ann"]
    assert empty == {"channel": "open:2", "presence": []}
    assert shut["error"]["code"] == 40160
    nothing = await client.request("GET", "/presence", version="3")
    assert (nothing.status_code, nothing.error_code) == (400, "40000")


async def test_batches_before_version_3_are_flat(rest: MakeRest, mint: Mint) -> None:
    client = rest(mint({"open:*": ["publish"]}))
    spec = {"channels": ["open:1", "open:2"], "messages": [{"data": "x"}]}
    answer = await client.request("POST", "/messages", version="2", body=spec)
    assert [one["channel"] for one in answer.items] == ["open:1", "open:2"]
    spec["channels"] = ["open:1", "shut"]
    answer = await client.request("POST", "/messages", version="2", body=spec)
    assert (answer.status_code, answer.error_code) == (400, "40020")
    results = answer.items[0]["batchResponse"]
    assert [one.get("error", {}).get("code") for one in results] == [None, 40160]


async def test_publishing_on_behalf_of_a_connection(
    rest: MakeRest, endpoint: AblyLocal, connect: Connect, mint: Mint
) -> None:
    quiet = await connect(endpoint, mint(client_id="ann"), echo="false")
    connected = await quiet.receive(4)
    await quiet.attach("c")
    message = {"data": "x", "connectionKey": connected["connectionDetails"]["connectionKey"]}
    server = rest(mint(client_id="*"))
    answer = await server.request("POST", "/channels/c/messages", version="3", body=message)
    assert answer.success
    published = endpoint.published[0][1]
    assert (published["connectionId"], published["clientId"]) == (connected["connectionId"], "ann")
    await quiet.send(action=0)
    assert 15 not in [frame["action"] for frame in await quiet.frames_until(0)]
    for key, client in (("nonsense", server), (message["connectionKey"], rest(mint(client_id="ben")))):
        answer = await client.request(
            "POST", "/channels/c/messages", version="3", body={"data": "x", "connectionKey": key}
        )
        assert (answer.status_code, answer.error_code) == (400, "40006")


async def test_a_publish_that_is_to_fail_fails(rest: MakeRest, endpoint: AblyLocal) -> None:
    path = "/channels/c/messages?_forceNack=true"
    answer = await rest().request("POST", path, version="3", body={"data": "x"})
    assert (answer.status_code, answer.error_code) == (400, "40099")
    assert not endpoint.published


async def test_there_are_no_stats_but_credentials_are_checked(rest: MakeRest, mint: Mint) -> None:
    assert (await rest().stats()).items == []
    with pytest.raises(AblyException) as refused:
        await rest(mint(key="elsewhere.key")).stats()
    assert (refused.value.code, refused.value.status_code) == (40400, 404)


async def test_a_token_request_is_exchanged_for_a_token(
    rest: MakeRest, endpoint: AblyLocal, key: tuple[str, str]
) -> None:
    async with AblyRest(key=":".join(key)) as signer:
        request = await signer.auth.create_token_request(
            {"client_id": "ann", "capability": {"chat:*": ["publish"]}, "ttl": 60_000}
        )

    async def auth_callback(_params: object) -> dict[str, Any]:
        answer: dict[str, Any] = request.to_dict()
        return answer

    client = rest(auth_callback=auth_callback)
    await client.channels.get("chat:1").publish("n", "x")

    assert client.auth.token_details.client_id == "ann"
    assert endpoint.published[0][1]["clientId"] == "ann"
    with pytest.raises(AblyException) as refused:
        await client.channels.get("other").publish("n", "x")
    assert refused.value.code == 40160
    with pytest.raises(AblyException) as refused:
        await client.auth.authorize()
    assert refused.value.code == 40105  # the same nonce again


async def test_a_message_cannot_speak_for_somebody_else(
    rest: MakeRest, mint: Mint, endpoint: AblyLocal
) -> None:
    answer = await batch(
        rest(mint(client_id="ann")), {"channels": ["c"], "messages": [{"name": "n", "clientId": "ben"}]}
    )
    assert answer.items[0]["results"][0]["error"]["code"] == 40012
    assert not endpoint.published


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ([], 40001),
        ({"channels": [], "messages": [{"name": "n"}]}, 40001),
        ({"messages": [{"name": "n"}]}, 40001),
        ({"channels": [1], "messages": [{"name": "n"}]}, 40001),
        ([{"channels": ["c"], "messages": [{"name": "n"}]}] * 101, 40001),
    ],
)
async def test_a_batch_of_the_wrong_shape_is_refused(rest: MakeRest, spec: object, code: int) -> None:
    answer = await batch(rest(), spec)
    assert (answer.status_code, answer.error_code) == (400, str(code))


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([], 40001),
        ("text", 40001),
        ([{"name": 1}], 40016),
        ([{"clientId": 1}], 40012),
        ([{"id": 1}], 40031),
        ([{"id": ""}], 40031),
        ([{"extras": "x"}], 40032),
        ([{"extras": {"colour": "red"}}], 40032),
        ([{"extras": {"headers": {"a": {"b": 1}}}}], 40032),
        ([{"name": "n"}] * 1_001, 40034),
        ([{"data": 12}], 40013),
        ([{"data": "x" * 65_537}], 40009),
        ([{"data": "x" * 40_000}, {"data": "é" * 20_000}], 40009),
    ],
)
async def test_messages_of_the_wrong_shape_fail_their_channel(
    rest: MakeRest, endpoint: AblyLocal, messages: object, code: int
) -> None:
    answer = await batch(rest(), {"channels": ["c"], "messages": messages})
    assert answer.items[0]["failureCount"] == 1
    assert answer.items[0]["results"][0]["error"]["code"] == code
    assert not endpoint.published

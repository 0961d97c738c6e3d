"""What goes wrong on purpose: in process, and by the control routes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import httpx
import pytest
from ably import AblyException, AblyRealtime, AblyRest

from rdchat.local.ably import AblyLocal
from rdchat.local.ably.faults import Fault, FaultKind, Operation

Mint = Callable[..., str]
Connect = Callable[..., Awaitable[Any]]
MakeRest = Callable[..., AblyRest]
MakeRealtime = Callable[..., Awaitable[AblyRealtime]]

PATIENCE = 10.0


async def publish(client: Any, *, channel: str = "c", serial: int = 0, data: str = "x") -> None:
    await client.send(action=15, channel=channel, msgSerial=serial, messages=[{"name": "n", "data": data}])


async def test_a_refused_publish(endpoint: AblyLocal, rest: MakeRest) -> None:
    endpoint.faults.add(Fault(FaultKind.REFUSE, Operation.PUBLISH, "c", times=1, code=40160, status=401))
    channel = rest().channels.get("c")
    with pytest.raises(AblyException) as refused:
        await channel.publish("n", "lost")
    assert (refused.value.code, refused.value.status_code) == (40160, 401)
    await rest().channels.get("d").publish("n", "elsewhere")
    await channel.publish("n", "again")
    assert [message["data"] for _, message in endpoint.published] == ["elsewhere", "again"]


async def test_a_service_that_is_broken(endpoint: AblyLocal, rest: MakeRest, connect: Connect) -> None:
    number = endpoint.faults.add(Fault(FaultKind.FAIL, status=502))
    with pytest.raises(AblyException) as failed:
        await rest().channels.get("c").history()
    assert failed.value.status_code == 502
    refused = await connect(endpoint)
    # Not ERROR, at which clients give up: they are to come again.
    assert (await refused.receive(6))["error"]["statusCode"] == 502
    await refused.closed()
    assert endpoint.faults.remove(number)
    assert not endpoint.faults.remove(number)
    await rest().channels.get("c").history()


async def test_a_publish_that_is_accepted_and_never_answered(endpoint: AblyLocal, rest: MakeRest) -> None:
    endpoint.faults.add(Fault(FaultKind.HANG, Operation.PUBLISH, times=1))
    impatient = rest(http_request_timeout=0.3)
    message = {"id": "m:0", "name": "n", "data": "once"}

    async def attempt() -> Any:
        return await impatient.request("POST", "/channels/c/messages", version="3", body=message)

    with pytest.raises(httpx.ReadTimeout):
        await attempt()
    answer = await attempt()
    assert answer.success
    assert len(endpoint.published) == 1


async def test_faults_of_a_batch(endpoint: AblyLocal, rest: MakeRest) -> None:
    client = rest()
    spec = {"channels": ["a", "b"], "messages": [{"data": "x"}]}

    async def attempt() -> Any:
        return await client.request("POST", "/messages", version="3", body=spec)

    endpoint.faults.add(Fault(FaultKind.REFUSE, Operation.PUBLISH, "b", times=1, code=42913))
    results = (await attempt()).items[0]["results"]
    assert [one.get("error", {}).get("code") for one in results] == [None, 42913]
    endpoint.faults.add(Fault(FaultKind.FAIL, Operation.PUBLISH, "b", times=1))
    assert (await attempt()).status_code == 503
    endpoint.faults.add(Fault(FaultKind.DROP, Operation.PUBLISH, "b", times=1))
    with pytest.raises(httpx.RemoteProtocolError):
        await attempt()
    assert [channel for channel, _ in endpoint.published] == ["a"]
    assert (await attempt()).items[0]["successCount"] == 2


async def test_a_publish_on_a_connection_that_is_never_acknowledged(
    endpoint: AblyLocal, connect: Connect
) -> None:
    endpoint.faults.add(Fault(FaultKind.HANG, Operation.PUBLISH, times=1))
    client = await connect(endpoint)
    key = (await client.receive(4))["connectionDetails"]["connectionKey"]
    await publish(client)
    await client.send(action=0)
    assert [frame["action"] for frame in await client.frames_until(0)] == [0]
    back = await connect(endpoint, resume=key)
    await publish(back)
    await back.receive(1)
    assert len(endpoint.published) == 1


@pytest.mark.parametrize("operation", [Operation.PUBLISH, Operation.PRESENCE, Operation.ATTACH])
async def test_faults_of_what_is_asked_on_a_connection(
    endpoint: AblyLocal, connect: Connect, mint: Mint, operation: Operation
) -> None:
    client = await connect(endpoint, mint(client_id="ann"))
    await client.receive(4)
    if operation is Operation.PRESENCE:
        await client.attach("c")

    async def ask(serial: int) -> None:
        if operation is Operation.PUBLISH:
            await publish(client, serial=serial)
        elif operation is Operation.PRESENCE:
            await client.send(
                action=14, channel="c", msgSerial=serial, presence=[{"action": 2, "data": str(serial)}]
            )
        else:
            await client.send(action=10, channel="c")

    granted, refused = (11, 9) if operation is Operation.ATTACH else (1, 2)
    endpoint.faults.add(Fault(FaultKind.REFUSE, operation, times=1, code=40160, status=401))
    await ask(0)
    assert (await client.receive(refused))["error"]["code"] == 40160
    endpoint.faults.add(Fault(FaultKind.DELAY, operation, times=1, seconds=0.05))
    await ask(1)
    await client.receive(granted)
    endpoint.faults.add(Fault(FaultKind.DROP, operation, times=1))
    await ask(2)
    await client.closed()
    assert client.websocket.close_code == 1006


async def test_a_delayed_delivery_is_not_overtaken(endpoint: AblyLocal, connect: Connect) -> None:
    reader, writer = await connect(endpoint), await connect(endpoint)
    await reader.attach("c")
    endpoint.faults.add(Fault(FaultKind.DELAY, Operation.DELIVER, times=1, seconds=0.2))
    started = asyncio.get_running_loop().time()
    for serial in range(30):
        await publish(writer, serial=serial, data=str(serial))
    received = [(await reader.receive(15))["messages"][0]["data"] for _ in range(30)]
    assert received == [str(serial) for serial in range(30)]
    assert asyncio.get_running_loop().time() - started >= 0.2


async def test_a_connection_does_not_close_before_what_is_delayed(
    endpoint: AblyLocal, connect: Connect
) -> None:
    reader, writer = await connect(endpoint), await connect(endpoint)
    await reader.attach("c")
    endpoint.faults.add(Fault(FaultKind.DELAY, Operation.DELIVER, times=1, seconds=0.1))
    await publish(writer, data="late")
    await writer.receive(1)
    await reader.send(action=7)
    assert [frame["action"] for frame in await reader.frames_until(8)] == [15, 8]


async def test_deliveries_that_are_lost_or_come_twice(endpoint: AblyLocal, connect: Connect) -> None:
    reader, writer = await connect(endpoint), await connect(endpoint)
    await reader.attach("c")
    endpoint.faults.add(Fault(FaultKind.DROP, Operation.DELIVER, times=1))
    endpoint.faults.add(Fault(FaultKind.DUPLICATE, Operation.DELIVER, times=1))
    for serial in range(3):
        await publish(writer, serial=serial, data=str(serial))
    messages = [(await reader.receive(15))["messages"][0] for _ in range(3)]
    assert [message["data"] for message in messages] == ["1", "1", "2"]
    assert messages[0]["id"] == messages[1]["id"]


async def test_what_is_delayed_is_not_done_for_who_has_gone(endpoint: AblyLocal, connect: Connect) -> None:
    for operation in (Operation.ATTACH, Operation.PUBLISH):
        endpoint.faults.add(Fault(FaultKind.DELAY, operation, times=1, seconds=0.05))
    client, other = await connect(endpoint), await connect(endpoint)
    await client.send(action=10, channel="c")
    await publish(client, channel="d")
    await client.send(action=7)
    await client.closed()
    endpoint.faults.add(Fault(FaultKind.DELAY, Operation.PUBLISH, times=1, seconds=0.1))
    await publish(other, channel="e")
    await other.receive(1)
    assert not endpoint.apps.get("app").channels.get("c").attachments
    assert [channel for channel, _ in endpoint.published] == ["e"]


async def test_dropped_sockets_are_resumed(endpoint: AblyLocal, realtime: MakeRealtime) -> None:
    client, other = await realtime(endpoint), await realtime(endpoint)
    connection_id = client.connection.connection_manager.connection_id
    heard: asyncio.Queue[Any] = asyncio.Queue()
    await client.channels.get("c").subscribe(heard.put_nowait)
    endpoint.drop_sockets()
    await other.connection.once_async("connected")
    await other.channels.get("c").publish("n", "meanwhile")
    assert (await asyncio.wait_for(heard.get(), PATIENCE)).data == "meanwhile"
    assert client.connection.connection_manager.connection_id == connection_id


async def test_after_an_outage_clients_resume(
    endpoint: AblyLocal, realtime: MakeRealtime, rest: MakeRest
) -> None:
    client = await realtime(endpoint, disconnected_retry_timeout=100, realtime_request_timeout=1_000)
    connection_id = client.connection.connection_manager.connection_id
    async with endpoint.outage():
        await asyncio.wait_for(client.connection.once_async("disconnected"), PATIENCE)
        # No one listens: to be cut off is told otherwise.
        with pytest.raises(AblyException, match="ConnectError"):
            await rest().time()
    await asyncio.wait_for(client.connection.once_async("connected"), PATIENCE)
    assert client.connection.connection_manager.connection_id == connection_id


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"kind": FaultKind.FAIL, "on": Operation.DELIVER}, "fail does not happen to deliveries"),
        ({"kind": FaultKind.DUPLICATE}, "duplicate happens to deliveries alone"),
        ({"kind": FaultKind.DELAY, "times": 0}, "times must be at least 1"),
        ({"kind": FaultKind.DELAY, "seconds": -1}, "seconds must be between 0 and 3600"),
        ({"kind": FaultKind.DELAY, "seconds": 3601}, "seconds must be between 0 and 3600"),
        ({"kind": FaultKind.FAIL, "status": 200}, "status must be an HTTP status that refuses"),
    ],
)
def test_faults_that_make_no_sense(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Fault(**arguments)


# ---- the control routes ------------------------------------------------------------------------------------


@pytest.fixture
async def controlled(key: tuple[str, str]) -> AsyncIterator[AblyLocal]:
    endpoint = AblyLocal(keys={key[0]: key[1]}, controlled=True)
    await endpoint.start()
    yield endpoint
    await endpoint.close()


async def test_faults_by_the_control_route(
    controlled: AblyLocal, http: aiohttp.ClientSession, mint: Mint
) -> None:
    base = f"http://{controlled.address}"
    headers = {"Authorization": f"Bearer {mint()}"}
    fault = {"kind": "fail", "on": "publish", "channel": "chat:*", "times": 2, "status": 504}
    async with http.post(f"{base}/control/faults", json=fault) as answer:
        number = (await answer.json())["number"]
        assert answer.status == 201
    for channel, status in (("chat:1", 504), ("other", 201)):
        url = f"{base}/channels/{channel}/messages"
        async with http.post(url, json={"data": "x"}, headers=headers) as answer:
            assert answer.status == status
    async with http.get(f"{base}/control/faults") as answer:
        assert [(one["number"], one["times"]) for one in await answer.json()] == [(number, 1)]
    for status in (204, 404):
        async with http.delete(f"{base}/control/faults/{number}") as answer:
            assert answer.status == status
    async with http.delete(f"{base}/control/faults/{'9' * 5_000}") as answer:
        assert answer.status == 404
    async with http.post(f"{base}/control/faults", json={"kind": "delay", "seconds": 0}) as answer:
        assert answer.status == 201
    async with http.delete(f"{base}/control/faults") as answer:
        assert answer.status == 204
    assert not list(controlled.faults)


async def test_what_was_published(controlled: AblyLocal, http: aiohttp.ClientSession, mint: Mint) -> None:
    base = f"http://{controlled.address}"
    headers = {"Authorization": f"Bearer {mint()}"}
    for channel in "ab":
        url = f"{base}/channels/{channel}/messages"
        async with http.post(url, json={"data": channel}, headers=headers) as answer:
            assert answer.status == 201
    for query, expected in (("", ["a", "b"]), ("?channel=b", ["b"]), ("?app=app", ["a", "b"])):
        async with http.get(f"{base}/control/published{query}") as answer:
            assert [one["message"]["data"] for one in await answer.json()] == expected
    async with http.delete(f"{base}/control/published") as answer:
        assert answer.status == 204
    assert not controlled.published


async def test_sockets_and_outage_by_the_control_route(
    controlled: AblyLocal, http: aiohttp.ClientSession, connect: Connect
) -> None:
    base = f"http://{controlled.address}"
    client = await connect(controlled)
    await client.receive(4)
    async with http.post(f"{base}/control/drop-sockets") as answer:
        assert answer.status == 204
    await client.closed()
    client = await connect(controlled)
    await client.receive(4)
    async with http.post(f"{base}/control/outage", json={"seconds": 0.3}) as answer:
        assert (answer.status, json.loads(await answer.read())) == (202, {"seconds": 0.3})
    await client.closed()
    with pytest.raises(aiohttp.ClientConnectorError):
        await http.get(f"{base}/time")
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                async with http.get(f"{base}/time") as answer:
                    assert answer.status == 200
                    break
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)


async def test_closing_ends_an_outage(key: tuple[str, str], http: aiohttp.ClientSession) -> None:
    endpoint = AblyLocal(keys={key[0]: key[1]}, controlled=True)
    await endpoint.start()
    async with http.post(f"http://{endpoint.address}/control/outage", json={"seconds": 60}) as answer:
        assert answer.status == 202
    await endpoint.close()
    ours = [task for task in asyncio.all_tasks() if "ably_local" in repr(task.get_coro())]
    assert ours == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", []),
        ("faults", {}),
        ("faults", {"kind": "explode"}),
        ("faults", {"kind": "fail", "on": "everything"}),
        ("faults", {"kind": "fail", "times": "two"}),
        ("faults", {"kind": "fail", "times": True}),
        ("faults", {"kind": "fail", "status": 5030}),
        ("faults", {"kind": "fail", "colour": "red"}),
        ("faults", {"kind": "duplicate"}),
        ("outage", {}),
        ("outage", {"seconds": 0}),
        ("outage", {"seconds": "long"}),
    ],
)
async def test_control_requests_of_the_wrong_shape(
    controlled: AblyLocal, http: aiohttp.ClientSession, path: str, body: object
) -> None:
    async with http.post(f"http://{controlled.address}/control/{path}", json=body) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["message"]
    assert not list(controlled.faults)


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
async def test_no_page_in_a_browser_controls_the_endpoint(
    controlled: AblyLocal, http: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    url = f"http://{controlled.address}/control/drop-sockets"
    async with http.post(url, headers=headers) as answer:
        assert (answer.status, answer.headers["X-Ably-Errorcode"]) == (403, "40300")


async def test_the_control_routes_must_be_asked_for(endpoint: AblyLocal, http: aiohttp.ClientSession) -> None:
    async with http.post(f"http://{endpoint.address}/control/drop-sockets") as answer:
        assert answer.status == 404

"""What Ably has and the local endpoint has not: it is refused as where no rule allows it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from ably import AblyException, AblyRealtime, AblyRest
from ably.types.annotation import Annotation
from ably.types.message import Message

if TYPE_CHECKING:
    import aiohttp

    from rdchat.local.ably import AblyLocal

Mint = Callable[..., str]
Connect = Callable[..., Awaitable[Any]]
MakeRealtime = Callable[..., Awaitable[AblyRealtime]]
MakeRest = Callable[..., AblyRest]

SERIAL = "1234567890123456@0a1b2c3d:000"
ANNOTATION_MODES, OBJECT_MODES, SUBSCRIBE = 3 << 21, 3 << 24, 1 << 18


@pytest.mark.parametrize(
    ("frame", "code", "status"),
    [
        ({"action": 15, "messages": [{"action": 1, "serial": SERIAL, "data": "x"}]}, 93002, 400),
        ({"action": 15, "messages": [{"action": 2, "serial": SERIAL}]}, 93002, 400),
        ({"action": 15, "messages": [{"action": 5, "serial": SERIAL, "data": "x"}]}, 93002, 400),
        ({"action": 15, "messages": [{"data": "x"}, {"action": 2, "serial": SERIAL}]}, 93002, 400),
        ({"action": 15, "messages": [{"action": 4, "data": "x"}]}, 40001, 400),
        ({"action": 15, "messages": [{"action": "update", "data": "x"}]}, 40001, 400),
        ({"action": 15, "messages": [{"action": True, "data": "x"}]}, 40001, 400),
        ({"action": 21, "annotations": [{"action": 0, "messageSerial": SERIAL, "type": "r"}]}, 93002, 400),
        ({"action": 19, "state": [{"operation": {"action": 1}}]}, 40021, 400),
        ({"action": 20, "state": []}, 40021, 400),
    ],
)
async def test_what_changes_messages_is_answered_with_nack(
    endpoint: AblyLocal, connect: Connect, frame: dict[str, Any], code: int, status: int
) -> None:
    client, reader = await connect(endpoint), await connect(endpoint)
    await client.attach("c")
    await reader.attach("c")
    await client.send(**frame, channel="c", msgSerial=3)
    answer = await client.receive(1, 2)
    assert (answer["action"], answer["msgSerial"], answer["count"]) == (2, 3, 1)
    assert (answer["error"]["code"], answer["error"]["statusCode"]) == (code, status)
    await client.send(action=15, channel="c", msgSerial=4, messages=[{"action": 0, "data": "new"}])
    assert (await client.receive(1, 2))["action"] == 1
    assert [one["data"] for one in (await reader.receive(15))["messages"]] == ["new"]
    assert len(endpoint.published) == 1


@pytest.mark.parametrize(
    ("operations", "client_id", "action", "code", "status"),
    [
        (["publish"], "ann", 1, 40160, 401),
        (["message-update-own"], "ann", 2, 40160, 401),
        (["message-delete-any"], "ann", 5, 40160, 401),
        (["message-update-own"], None, 1, 40166, 401),
        (["message-delete-own"], None, 2, 40166, 401),
        (["message-update-own"], "ann", 5, 93002, 400),
        (["message-delete-any"], None, 2, 93002, 400),
    ],
)
async def test_what_is_not_allowed_is_told_before_what_is_not_possible(
    *,
    endpoint: AblyLocal,
    connect: Connect,
    mint: Mint,
    http: aiohttp.ClientSession,
    operations: list[str],
    client_id: str | None,
    action: int,
    code: int,
    status: int,
) -> None:
    token = mint({"c": operations}, client_id)
    client = await connect(endpoint, token)
    edit = {"action": action, "serial": SERIAL, "data": "x"}
    await client.send(action=15, channel="c", msgSerial=0, messages=[edit])
    error = (await client.receive(2))["error"]
    assert (error["code"], error["statusCode"]) == (code, status)
    address, headers = f"http://{endpoint.address}/channels/c/messages", {"Authorization": f"Bearer {token}"}
    for method, url in (("PATCH", f"{address}/{SERIAL}"), ("POST", address)):
        async with http.request(method, url, json=edit, headers=headers) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("method", "path", "code", "status", "lacking"),
    [
        ("GET", f"messages/{SERIAL}", 93002, 400, 40160),
        ("GET", f"messages/{SERIAL}/versions", 93002, 400, 40160),
        ("GET", f"messages/{SERIAL}/annotations", 93002, 400, 40160),
        ("POST", f"messages/{SERIAL}/annotations", 93002, 400, 40160),
        ("PATCH", f"messages/{SERIAL}", 40001, 400, 40001),
        ("GET", "object", 40021, 400, 40160),
        ("POST", "object", 40021, 400, 40160),
        ("POST", "objects", 40021, 400, 40160),
        ("GET", "objects/root", 40021, 400, 40160),
    ],
)
async def test_resources_that_are_refused(
    *, rest: MakeRest, mint: Mint, method: str, path: str, code: int, status: int, lacking: int
) -> None:
    body: dict[str, Any] | None = {} if method == "PATCH" else None
    able, unable = rest(), rest(mint({"c": ["publish", "subscribe"]}))
    answer = await able.request(method, f"/channels/c/{path}", version="5", body=body)
    assert (answer.status_code, answer.error_code) == (status, str(code))
    answer = await unable.request(method, f"/channels/c/{path}", version="5", body=body)
    assert answer.error_code == str(lacking)


async def test_a_batch_with_an_edit_fails_for_its_channel(rest: MakeRest, endpoint: AblyLocal) -> None:
    batch = [
        {"channels": ["c"], "messages": [{"action": 1, "serial": SERIAL, "data": "x"}]},
        {"channels": ["d"], "messages": [{"action": 0, "data": "new"}]},
    ]
    answer = await rest().request("POST", "/messages", version="3", body=batch)
    edited, new = (spec["results"][0] for spec in answer.items)
    assert edited["error"]["code"] == 93002
    assert "error" not in new
    assert [channel for channel, _ in endpoint.published] == ["d"]


async def test_the_python_sdk_is_told_of_it(
    endpoint: AblyLocal, realtime: MakeRealtime, rest: MakeRest
) -> None:
    client = await realtime(endpoint)
    channel, over_rest = client.channels.get("c"), rest().channels.get("c")
    serial = (await channel.publish("n", "first")).serials[0]
    edited, annotation = Message(serial=serial, data="x"), Annotation(type="reaction:distinct.v1", name="👍")
    calls: list[Callable[[], Awaitable[Any]]] = []
    for one in (channel, over_rest):
        calls += [
            lambda one=one: one.update_message(edited),  # type: ignore[misc]
            lambda one=one: one.delete_message(edited),  # type: ignore[misc]
            lambda one=one: one.append_message(edited),  # type: ignore[misc]
            lambda one=one: one.get_message(serial),  # type: ignore[misc]
            lambda one=one: one.annotations.publish(serial, annotation),  # type: ignore[misc]
        ]
    for call in calls:
        with pytest.raises(AblyException) as refused:
            await call()
        assert (refused.value.code, refused.value.status_code) == (93002, 400)
    assert len(endpoint.published) == 1
    assert client.connection.state == "connected"


async def test_modes_that_no_one_is_granted(endpoint: AblyLocal, connect: Connect) -> None:
    client = await connect(endpoint)
    assert (await client.attach("c", flags=SUBSCRIBE | ANNOTATION_MODES | OBJECT_MODES))["flags"] == SUBSCRIBE
    for asked, code in (
        ({"flags": ANNOTATION_MODES}, 93002),
        ({"flags": OBJECT_MODES}, 40021),
        ({"params": {"modes": "annotation_subscribe"}}, 93002),
    ):
        await client.send(action=10, channel="d", **asked)
        failed = await client.receive(9)
        assert (failed["channel"], failed["error"]["code"]) == ("d", code)

"""Apps that are made and removed for tests, as Ably's sandbox does it."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from rdchat.local.ably import AblyLocal

if TYPE_CHECKING:
    import aiohttp

Connect = Callable[..., Awaitable[Any]]
MakeEndpoint = Callable[..., Awaitable[AblyLocal]]

SPEC = {
    "limits": {"presence": {"maxMembers": 3}},
    "keys": [
        {},
        {"capability": '{"cansubscribe:*":["subscribe"],"canpublish":["publish"]}'},
        {"revocableTokens": True},
        {"capability": '{"[*]*":["*"]}'},
    ],
    "namespaces": [{"id": "persisted", "persisted": True}, {"id": "pushenabled", "pushEnabled": True}],
    "channels": [
        {
            "name": "persisted:fixtures",
            "presence": [
                {"clientId": "client_string", "data": "plain"},
                {"clientId": "client_json", "data": '{"a":1}', "encoding": "json"},
            ],
        }
    ],
}


def basic(key: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(key["keyStr"].encode()).decode()}


@asynccontextmanager
async def app(
    endpoint: AblyLocal, http: aiohttp.ClientSession, spec: object = SPEC
) -> AsyncIterator[dict[str, Any]]:
    async with http.post(f"http://{endpoint.address}/apps", json=spec) as answer:
        assert answer.status == 201, await answer.text()
        made = await answer.json()
    yield made
    url = f"http://{endpoint.address}/apps/{made['appId']}"
    async with http.delete(url, headers=basic(made["keys"][0])) as answer:
        assert answer.status == 204


async def test_what_a_new_app_is_told(endpoint: AblyLocal, http: aiohttp.ClientSession) -> None:
    async with app(endpoint, http) as made:
        assert made["appId"] == made["id"]
        assert [len(made["keys"]), len(made["namespaces"])] == [4, 2]
        for key in made["keys"]:
            assert key["keyName"] == f"{made['appId']}.{key['id']}"
            assert key["keyStr"] == f"{key['keyName']}:{key['value']}"
            assert isinstance(key["capability"], str)
        assert json.loads(made["keys"][0]["capability"]) == {"*": ["*"]}
        assert (made["endpoint"], made["port"], made["tls"]) == ("127.0.0.1", endpoint.port, False)


async def test_fixtures_are_present_and_in_the_history(
    endpoint: AblyLocal, http: aiohttp.ClientSession
) -> None:
    async with app(endpoint, http) as made:
        url = f"http://{endpoint.address}/channels/persisted:fixtures/presence"
        async with http.get(url, headers=basic(made["keys"][0])) as answer:
            members = await answer.json()
        assert [member["clientId"] for member in members] == ["client_string", "client_json"]
        assert {member["action"] for member in members} == {1}
        assert len({member["connectionId"] for member in members}) == 1
        assert members[1]["encoding"] == "json"
        async with http.get(f"{url}/history", headers=basic(made["keys"][0])) as answer:
            events = await answer.json()
        assert [(event["action"], event["clientId"]) for event in events] == [
            (2, "client_json"),
            (2, "client_string"),
        ]


async def test_apps_have_nothing_in_common(
    endpoint: AblyLocal, http: aiohttp.ClientSession, connect: Connect
) -> None:
    async with app(endpoint, http) as one, app(endpoint, http) as other:
        mine = await connect(endpoint, key=one["keys"][0]["keyStr"])
        await mine.attach("c")
        url = f"http://{endpoint.address}/channels/c/messages"
        async with http.post(url, json={"data": "x"}, headers=basic(other["keys"][0])) as answer:
            assert answer.status == 201
        async with http.post(url, json={"data": "mine"}, headers=basic(one["keys"][0])) as answer:
            assert answer.status == 201
        assert [m["data"] for m in (await mine.receive(15))["messages"]] == ["mine"]
        wrong = {"keyStr": f"{one['keys'][0]['keyName']}:{other['keys'][0]['value']}"}
        async with http.get(url, headers=basic(wrong)) as answer:
            assert (answer.status, answer.headers["X-Ably-Errorcode"]) == (401, "40101")
    assert not endpoint.published


async def test_keys_can_what_they_were_given(endpoint: AblyLocal, http: aiohttp.ClientSession) -> None:
    async with app(endpoint, http) as made:
        for key, channel, status in ((1, "canpublish", 201), (1, "cansubscribe:x", 401), (3, "any", 201)):
            url = f"http://{endpoint.address}/channels/{channel}/messages"
            async with http.post(url, json={"data": "x"}, headers=basic(made["keys"][key])) as answer:
                assert answer.status == status


async def test_tokens_of_a_revocable_key(endpoint: AblyLocal, http: aiohttp.ClientSession) -> None:
    async with app(endpoint, http) as made:
        plain, revocable = made["keys"][0], made["keys"][2]
        keys = f"http://{endpoint.address}/keys"
        body = {"ttl": 3_600_001}
        url = f"{keys}/{revocable['keyName']}/requestToken"
        async with http.post(url, json=body, headers=basic(revocable)) as answer:
            assert (answer.status, answer.headers["X-Ably-Errorcode"]) == (400, "40003")
        for key, status in ((plain, 401), (revocable, 201)):
            url = f"{keys}/{key['keyName']}/revokeTokens"
            async with http.post(url, json={"targets": ["clientId:x"]}, headers=basic(key)) as answer:
                assert answer.status == status, await answer.text()
                code = answer.headers.get("X-Ably-Errorcode")
            assert code == ("40164" if status == 401 else None)
        url = f"{keys}/{revocable['keyName']}/revokeTokens"
        async with http.post(url, json={"targets": ["clientId:x"]}, headers=basic(plain)) as answer:
            assert (answer.status, answer.headers["X-Ably-Errorcode"]) == (401, "40133")


async def test_an_unsigned_request_takes_the_key(endpoint: AblyLocal, http: aiohttp.ClientSession) -> None:
    async with app(endpoint, http) as made:
        key, other = made["keys"][:2]
        url = f"http://{endpoint.address}/keys/{key['keyName']}/requestToken"
        body = {"capability": {"c": ["publish"]}, "clientId": "ann"}
        async with http.post(url, json=body, headers=basic(key)) as answer:
            details = await answer.json()
        assert (details["capability"], details["clientId"]) == ('{"c":["publish"]}', "ann")
        for headers, code in ((basic(other), "40162"), ({}, "40101")):
            async with http.post(url, json=body, headers=headers) as answer:
                assert (answer.status, answer.headers["X-Ably-Errorcode"]) == (401, code)


async def test_the_limit_of_members_is_the_apps_own(
    endpoint: AblyLocal, http: aiohttp.ClientSession, connect: Connect
) -> None:
    async with app(endpoint, http) as made:
        client = await connect(endpoint, key=made["keys"][0]["keyStr"])
        await client.attach("room")
        members = [{"action": 2, "clientId": f"c{number}"} for number in range(4)]
        await client.send(action=14, channel="room", msgSerial=0, presence=members[:3])
        await client.receive(1)
        await client.send(action=14, channel="room", msgSerial=1, presence=members[3:])
        assert (await client.receive(2))["error"]["code"] == 91003
        await client.send(action=14, channel="room", msgSerial=2, presence=members[:1])
        await client.receive(1)


async def test_removing_an_app_drops_its_clients(
    endpoint: AblyLocal, http: aiohttp.ClientSession, connect: Connect
) -> None:
    async with app(endpoint, http) as made:
        client = await connect(endpoint, key=made["keys"][0]["keyStr"])
        await client.receive(4)
    await client.closed()
    again = await connect(endpoint, key=made["keys"][0]["keyStr"])
    assert (await again.receive(9))["error"]["code"] == 40101
    url = f"http://{endpoint.address}/channels/c/messages"
    async with http.get(url, headers=basic(made["keys"][0])) as answer:
        assert (answer.status, answer.headers["X-Ably-Errorcode"]) == (401, "40101")


async def test_who_may_remove_an_app(
    endpoint: AblyLocal, http: aiohttp.ClientSession, key: tuple[str, str]
) -> None:
    own = {"keyStr": ":".join(key)}
    async with app(endpoint, http) as made:
        for app_id, headers, status in (
            (made["appId"], {}, 401),
            (made["appId"], basic(own), 401),
            ("app", basic(own), 403),
        ):
            async with http.delete(f"http://{endpoint.address}/apps/{app_id}", headers=headers) as answer:
                assert answer.status == status


@pytest.mark.parametrize(
    "spec",
    [
        [],
        {"keys": {}},
        {"keys": [7]},
        {"keys": [{"capability": "all"}]},
        {"namespaces": [{}]},
        {"channels": [{"presence": []}]},
        {"channels": [{"name": "c", "presence": [{"data": "x"}]}]},
        {"channels": [{"name": ":c", "presence": [{"clientId": "x"}]}]},
    ],
)
async def test_specs_of_the_wrong_shape(
    endpoint: AblyLocal, http: aiohttp.ClientSession, spec: object
) -> None:
    async with http.post(f"http://{endpoint.address}/apps", json=spec) as answer:
        assert answer.status == 400, await answer.text()
    assert len(list(endpoint.apps)) == 1


async def test_there_is_room_for_so_many_apps_and_unused_ones_go(
    make_endpoint: MakeEndpoint, http: aiohttp.ClientSession
) -> None:
    endpoint = await make_endpoint(apps=1, app_lifetime=1e-9)
    async with http.post(f"http://{endpoint.address}/apps", json={"keys": [{}]}) as answer:
        assert answer.status == 201
    async with http.post(f"http://{endpoint.address}/apps", json={}) as answer:
        assert answer.status == 429
    endpoint.apps.sweep()
    async with http.post(f"http://{endpoint.address}/apps", json={}) as answer:
        assert answer.status == 201


async def test_an_app_without_keys_gets_one(endpoint: AblyLocal, http: aiohttp.ClientSession) -> None:
    async with app(endpoint, http, {}) as made:
        assert len(made["keys"]) == 1


async def test_fixtures_are_there_after_a_restart(endpoint: AblyLocal, http: aiohttp.ClientSession) -> None:
    async with app(endpoint, http) as made:
        port = endpoint.port
        await endpoint.close()
        await endpoint.start(port=port)
        url = f"http://{endpoint.address}/channels/persisted:fixtures/presence"
        async with http.get(url, headers=basic(made["keys"][0])) as answer:
            assert len(await answer.json()) == 2


async def test_an_app_is_in_use_while_somebody_is_connected(
    make_endpoint: MakeEndpoint, http: aiohttp.ClientSession, connect: Connect
) -> None:
    endpoint = await make_endpoint(app_lifetime=0.5)
    async with app(endpoint, http) as made:
        client = await connect(endpoint, key=made["keys"][0]["keyStr"])
        await client.receive(4)
        endpoint.apps.get(made["appId"]).used -= 100
        endpoint.apps.sweep()
        await client.send(action=7)
        await client.closed()
        endpoint.apps.sweep()
        assert endpoint.apps.get(made["appId"])

"""The genuine JavaScript SDK against the local endpoint: apps made for tests, and limits on rates."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rdchat.local.ably import AblyLocal

MakeEndpoint = Callable[..., Awaitable[AblyLocal]]
Mint = Callable[..., str]
Run = Callable[..., Awaitable[dict[str, Any]]]

# On one worker: the others need not wait until the SDK is installed.
pytestmark = pytest.mark.xdist_group("javascript")

MEMBERS = {
    "client_bool": "true",
    "client_int": "24",
    "client_json": '{ "test": "This is a JSONObject clientData payload"}',
    "client_decoded": {"example": {"json": "Object"}},
    "client_encoded": {"example": {"json": "Object"}},
}


async def test_sandbox(run: Run, endpoint: AblyLocal, fmt: str) -> None:
    assert await run("sandbox", endpoint, fmt) == {
        "status": 201,
        "named": [True, True],
        "capabilities": [
            {"*": ["*"]},
            {
                "cansubscribe:*": ["subscribe"],
                "canpublish:*": ["publish"],
                "canpublish:andpresence": ["presence", "publish"],
            },
            {"channel0": ["publish"], "channel2": ["publish", "subscribe"], "channel6": ["*"]},
            {"*": ["*"]},
        ],
        "namespaces": ["persisted", "pushenabled"],
        "members": MEMBERS,
        "overRest": MEMBERS,
    }


async def test_keys_of_the_sandbox(run: Run, endpoint: AblyLocal, fmt: str) -> None:
    narrow = '{"channel0":["publish"],"channel2":["publish","subscribe"],"channel6":["*"]}'
    assert await run("sandboxKeys", endpoint, fmt) == {
        "heard": "heard",
        "publish": [40160, 401],
        "published": None,
        "attach": [40160, 401],
        "whole": narrow,
        "same": '{"channel2":["subscribe"]}',
        "wildcardOperations": '{"channel2":["publish","subscribe"]}',
        "wildcardChannel": '{"channel0":["publish"],"channel2":["publish"],"channel6":["publish"]}',
        "anything": '{"channel6":["history"]}',
        "someChannels": '{"channel0":["publish"]}',
        "nothing": [40160, 401],
        "noOperation": [40160, 401],
        "revoke": [[40164, 401], None],
    }


async def test_apps_are_apart(run: Run, endpoint: AblyLocal, fmt: str) -> None:
    assert await run("sandboxApart", endpoint, fmt) == {
        "heard": ["first", "second"],
        "stranger": True,
        "removed": 204,
        "failed": 40101,
        "rest": [40101, 401],
        "other": None,
    }


async def test_persisted_namespace(run: Run, make_endpoint: MakeEndpoint, fmt: str) -> None:
    endpoint = await make_endpoint(history_age=0.1)
    assert await run("persisted", endpoint, fmt) == {"kept": 1}


async def test_rate_of_a_connection(run: Run, make_endpoint: MakeEndpoint, mint: Mint, fmt: str) -> None:
    endpoint = await make_endpoint(connection_messages=5)
    assert await run("connectionRate", endpoint, fmt, mint()) == {
        "first": [None] * 5,
        "refusals": ["42911 429"],
        "states": ["connected", "attached"],
        "others": None,
    }


async def test_rate_of_a_channel(run: Run, make_endpoint: MakeEndpoint, mint: Mint, fmt: str) -> None:
    endpoint = await make_endpoint(channel_publishes=3)
    assert await run("channelRate", endpoint, fmt, mint()) == {
        "rest": [True, ["42913 429"]],
        "realtime": [[None] * 3, ["42913 429"]],
        "state": "connected",
    }

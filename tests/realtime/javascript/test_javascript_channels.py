"""The genuine JavaScript SDK against the local endpoint: publishing and attaching."""

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

OPEN = {name: ["*"] for name in ("chat:*", "open", "c")}


async def test_messages(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("messages", endpoint, fmt, mint(OPEN)) == {
        "received": [["text", "halo 😊"], ["object", {"seq": 1}], ["bytes", [0, 255]], ["last", ""]],
        "serials": True,
        "connections": [True, True, False, True],
        "ids": 4,
        "bobs": ["text", "object", "last"],
    }


async def test_variants_of_publishing(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("variants", endpoint, fmt, mint()) == {
        "heard": [
            ["string", "halo", None, None],
            ["object", {"deep": {"list": [None, True, 1.5]}}, None, None],
            ["array", [1, "two"], None, None],
            ["bytes", [0, 255], None, None],
            ["empty", "", None, None],
            ["unicode", "žluťoučký 😊 \0", None, None],
            ["nothing", None, None, None],
            [None, "nameless", None, None],
            ["extras", "x", None, {"headers": {"lang": "cs", "seq": 1}}],
            ["first", {}, None, None],
            ["second", [], None, None],
        ],
        "kept": True,
        "serials": [True, True],
        "refused": {"number": [40013, 400], "extras": [40032, 400], "nested": [40032, 400]},
    }


async def test_encodings_between_formats(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    one = [[[0, 255], None], [{"a": 1}, None], [[0, 255], None], [{"a": 1}, None], [{"data": "x"}, None]]
    assert await run("encodings", endpoint, fmt, mint()) == {
        "heard": one * 2,
        "other": one * 2,
        "json": [["string", False, "json"], ["string", False, "base64"]],
        "msgpack": [["string", False, "json"], ["object", True, None]],
    }


async def test_publishing_without_attaching(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("withoutAttaching", endpoint, fmt, mint(OPEN | {":bad": ["*"]})) == {
        "heard": "transient",
        "serial": True,
        "state": "initialized",
        "denied": [40160, 401],
        "name": [40010, 400],
        "clientId": [40012, 400],
        "afterwards": "string",
        "connection": "connected",
    }


async def test_echo_as_a_param(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("echoParam", endpoint, fmt, mint()) == {
        "params": {"echo": "false"},
        "quiet": "foreign",
        "loud": "own",
    }


async def test_idempotent_publishing(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    names = ["single", "first", "second", "last"]
    assert await run("idempotent", endpoint, fmt, mint()) == {
        "heard": names,
        "kept": names,
        "mixed": [40031, 400],
    }


async def test_sizes(run: Run, make_endpoint: MakeEndpoint, mint: Mint, fmt: str) -> None:
    endpoint = await make_endpoint(message_size=70_000)
    assert await run("sizes", endpoint, fmt, mint()) == {
        "told": 70_000,
        "byTheClient": [40009, 400],
        "raised": [None, 66_000],
        "byTheRaisedClient": [40009, 400],
        "byTheServer": 40009,
        "together": 40009,
        "withinIt": None,
    }


async def test_connection(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("connection", endpoint, fmt, mint()) == {
        "identified": [True, True],
        "own": True,
        "limits": {"maxMessageSize": 65_536, "maxIdleInterval": 15_000, "connectionStateTtl": 120_000},
        "ping": True,
        "states": ["connecting", "connected", "closing", "closed"],
        "detached": "detached",
    }


async def test_modes(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    token = mint({"open": ["*"], "chat:1": ["*"], "c:*": ["subscribe", "presence"]})
    assert await run("modes", endpoint, fmt, token) == {
        "all": ["presence", "presence_subscribe", "publish", "subscribe"],
        "asked": ["presence", "publish"],
        "granted": ["presence", "presence_subscribe", "subscribe"],
        "both": ["subscribe"],
        "none": [40160, 401],
    }


async def test_modes_are_enforced(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("modesEnforced", endpoint, fmt, mint(client_id="*")) == {
        "publish": [40165, 401],
        "enter": [40165, 401],
        "modes": ["presence", "publish"],
        "heard": [],
        "afterwards": None,
        "state": "attached",
    }


async def test_params(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("params", endpoint, fmt, mint()) == {
        "first": {"rewind": "1"},
        "second": {"rewind": "2", "modes": "subscribe"},
        "modes": ["subscribe"],
    }


async def test_rewind(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    published = ["0", "1", "2", "3", "4"]
    assert await run("rewind", endpoint, fmt, mint()) == {
        "time": [True, [*published, "live 1"]],
        "number": [True, ["4", "live 1", "live 2"]],
        "limited": [True, ["4", "live 1", "live 2", "live 3"]],
        "none": [False, ["live 4"]],
        "invalid": [40003, 400],
    }


async def test_denial(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("denial", endpoint, fmt, mint(OPEN)) == {
        "denied": [40160, 401],
        "state": "failed",
        "reason": [40160, 401],
        "history": [40160, 401],
        "publish": [40160, 401],
        "heard": "still here",
        "connection": "connected",
    }


async def test_edits_annotations_and_objects(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    immutable = [93002, 400]
    assert await run("edits", endpoint, fmt, mint()) == {
        "refused": {"realtime": [immutable] * 8, "rest": [immutable] * 8},
        "heard": ["first", "last"],
        "annotations": immutable,
        "objects": [40021, 400],
        "state": "connected",
    }
    assert len(endpoint.published) == 2


async def test_names_of_channels(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("names", endpoint, fmt, mint()) == {
        "refused": [[40010, 400]] * 3,
        "overRest": [40010, 400],
        "odd": [True, True, True],
        "connection": "connected",
    }

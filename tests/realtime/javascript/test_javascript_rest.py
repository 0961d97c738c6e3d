"""The genuine JavaScript SDK against the local endpoint: what is read over REST, and batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rdchat.local.ably import AblyLocal

Mint = Callable[..., str]
Run = Callable[..., Awaitable[dict[str, Any]]]

# On one worker: the others need not wait until the SDK is installed.
pytestmark = pytest.mark.xdist_group("javascript")

OPEN = {name: ["*"] for name in ("open", "paged", "room", "empty", "c")}


async def test_time(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("time", endpoint, fmt, mint()) == {"between": True, "stats": []}


async def test_history(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("history", endpoint, fmt, mint()) == {
        "backwards": [[4, 3], [2, 1], [0]],
        "forwards": [[0, 1, 2], [3, 4]],
        "back": [4, 3],
        "again": [2, 1],
        "ends": [True, False, True],
        "whole": 5,
    }


async def test_history_with_bounds(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("historyBounds", endpoint, fmt, mint()) == {
        "from": "cb",
        "until": "ba",
        "both": "b",
        "onward": "bc",
        "pages": [["b"], ["a"]],
        "none": "",
    }


async def test_history_until_attach(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("historyUntilAttach", endpoint, fmt, mint()) == {
        "unattached": [40000, 400],
        "until": ["before"],
        "all": ["after", "before"],
    }


async def test_presence_over_rest(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("presenceOverRest", endpoint, fmt, mint(client_id="*")) == {
        "pages": [["a", "b"], ["c", "d"]],
        "one": [["b", "present", {"id": "b"}]],
        "ofConnection": 4,
        "ofOther": 0,
        "bytes": [7],
        "owner": True,
        "history": [["leave e", "update a", "enter e", "enter d"], ["enter c", "enter b", "enter a"]],
        "oldest": [{"id": "a"}],
        "realtime": [["leave", "bye"]],
    }


async def test_status(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("status", endpoint, fmt, mint(OPEN, "*")) == {
        "id": "room",
        "active": True,
        "metrics": {"connections": 2, "publishers": 1, "subscribers": 2, "presenceMembers": 1},
        "denied": [40160, 401],
    }


async def test_batches(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    single = [1, 1, [["open", "string"], ["denied", 40160]]]
    assert await run("batches", endpoint, fmt, mint(OPEN, "*")) == {
        "single": single,
        "list": [[1, 0, [["c", "string"]]], single],
        "kept": [[1], {"x": 1}] * 2,
        "presence": [2, 1, [["room", [["ann", "here", 1]]], ["denied", 40160], ["empty", []]]],
    }

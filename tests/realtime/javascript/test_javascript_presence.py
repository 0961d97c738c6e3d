"""The genuine JavaScript SDK against the local endpoint: presence."""

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


async def test_presence(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    present = [["present", "ann", "again"]]
    assert await run("presence", endpoint, fmt, mint(client_id="ann")) == {
        "events": [
            ["enter", "ann", {"typing": False}],
            ["update", "ann", [1, 2]],
            ["leave", "ann", "bye"],
            ["enter", "ann", "again"],
        ],
        "present": [present, present],
        "owner": True,
        "closed": ["leave", "ann", "again"],
        "afterwards": 0,
    }


async def test_presence_for_others(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("presenceForOthers", endpoint, fmt, mint(client_id="*")) == {
        "events": [
            ["enter", "ann", "first"],
            ["enter", "bob", None],
            ["update", "ann", {"n": 2}],
            ["leave", "bob", "gone"],
        ],
        "one": [["present", "ann", {"n": 2}]],
        "own": [40012, 400],
    }


async def test_presence_refused(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    tokens = mint(), mint(client_id="ann"), mint({"room": ["subscribe"]}, "eve")
    assert await run("presenceRefused", endpoint, fmt, *tokens) == {
        "anonymous": [[40012, 400], [40012, 400]],
        "foreign": [40012, 400],
        "capability": [40160, 401],
        "present": ["ann"],
        "states": ["connected"] * 3,
    }


async def test_sync_of_several_pages(run: Run, make_endpoint: MakeEndpoint, mint: Mint, fmt: str) -> None:
    endpoint = await make_endpoint(sync_page=2)
    assert await run("presenceSync", endpoint, fmt, mint(client_id="*")) == {
        "present": ["a", "b", "c", "d", "e"],
        "told": ["present a", "present b", "present c", "present d", "present e"],
        "complete": True,
        "nobody": 0,
    }


async def test_leave_after_a_drop(run: Run, make_endpoint: MakeEndpoint, mint: Mint, fmt: str) -> None:
    endpoint = await make_endpoint(presence_grace=0.2)
    assert await run("presenceAfterDrop", endpoint, fmt, mint(client_id="*")) == {
        "entered": ["enter", "ann", "here"],
        "left": ["leave", "ann", "here"],
        "afterwards": 0,
    }


async def test_presence_of_who_resumes(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("presenceResumed", endpoint, fmt, mint(client_id="*")) == {
        "events": [["enter", "ann", "here"], ["update", "ann", "still here"]]
    }


async def test_most_members(run: Run, make_endpoint: MakeEndpoint, mint: Mint, fmt: str) -> None:
    endpoint = await make_endpoint(members_per_channel=2)
    assert await run("presenceLimit", endpoint, fmt, mint(client_id="*")) == {
        "third": 91003,
        "update": None,
        "replaced": None,
        "state": "connected",
    }

"""The genuine JavaScript SDK against the local endpoint: lost connections, and what goes wrong on purpose."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from rdchat.local.ably import AblyLocal
from rdchat.local.ably.faults import Fault, FaultKind, Operation
from tests.support.waiting import until

MakeEndpoint = Callable[..., Awaitable[AblyLocal]]
Mint = Callable[..., str]
Run = Callable[..., Awaitable[Any]]

# On one worker: the others need not wait until the SDK is installed.
pytestmark = pytest.mark.xdist_group("javascript")


def door(endpoint: AblyLocal) -> dict[str, Callable[[], Any]]:
    """How a scenario keeps clients from connecting for a while; those that are connected stay."""
    connections = endpoint.apps.get("app").connections
    return {
        "keep out": lambda: endpoint.faults.add(Fault(FaultKind.DROP, Operation.CONNECT)),
        "forgotten": lambda: until(lambda: not list(connections)),
        "let in": endpoint.faults.clear,
    }


async def test_resume(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    data = ["first", "second", "third", "fourth"]
    assert await run("resume", endpoint, fmt, mint(), asked=door(endpoint)) == {
        "heard": data,
        "kept": ["before", *data],
        "same": True,
        "resumed": [True, True],
        "untilAttach": 0,
    }


async def test_resume_without_a_backlog(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("resumeWithoutBacklog", endpoint, fmt, mint()) == [True, False]


async def test_history_before_a_replay(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    found = [["012", "3"], ["01", "23"], ["0", "123"], ["", "0123"], ["0123", ""]]
    assert await run("historyBeforeReplay", endpoint, fmt, mint()) == found


async def test_recover(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("recover", endpoint, fmt, mint()) == {
        "same": True,
        "heard": ["meanwhile", "after"],
        "unknown": [False, 80018, "connected"],
    }


async def test_connection_that_expired(run: Run, make_endpoint: MakeEndpoint, mint: Mint, fmt: str) -> None:
    endpoint = await make_endpoint(connection_state_ttl=0.1)
    # The connection is another one; the channel goes on where it was, since nothing of it is forgotten yet.
    assert await run("expiredConnection", endpoint, fmt, mint(), asked=door(endpoint)) == {
        "same": False,
        "code": 80008,
        "suspendedChannel": "suspended",
        "resumed": True,
        "heard": "after",
    }


async def test_continuity_that_is_lost(run: Run, make_endpoint: MakeEndpoint, mint: Mint, fmt: str) -> None:
    endpoint = await make_endpoint(connection_state_ttl=0.1, history_age=0.1)
    assert await run("lostContinuity", endpoint, fmt, mint(), asked=door(endpoint)) == {
        "same": False,
        "resumed": False,
        "reason": [90003, 404],
        "heard": "after",
    }


async def test_dropped_sockets(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    asked = {"drop": endpoint.drop_sockets}
    assert await run("dropped", endpoint, fmt, mint(), asked=asked) == {
        "heard": "after",
        "same": True,
        "reasons": [80003, 80003],
    }


async def test_outage(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    async with AsyncExitStack() as stack:
        asked = {"begin": lambda: stack.enter_async_context(endpoint.outage()), "end": stack.aclose}
        assert await run("outage", endpoint, fmt, mint(), asked=asked) == {
            "heard": "queued",
            "overRest": "refused",
            "same": True,
        }
    assert [message["data"] for _, message in endpoint.published] == ["queued"]


async def test_publish_that_fails(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    for kind in (FaultKind.FAIL, FaultKind.FAIL, FaultKind.REFUSE, FaultKind.FAIL):
        endpoint.faults.add(Fault(kind, Operation.PUBLISH, "c", times=1))
    assert await run("failedPublish", endpoint, fmt, mint()) == {
        "rest": [50300, 503],
        "realtime": [50300, 503],
        "refused": [42910, 429],
        "heard": ["again", "last"],
        "state": "connected",
    }


async def test_request_without_an_answer(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    endpoint.faults.add(Fault(FaultKind.HANG, Operation.PUBLISH, "c", times=1))
    asked = {"cut": lambda: endpoint.faults.add(Fault(FaultKind.DROP, Operation.PUBLISH, "c", times=1))}
    assert await run("unansweredRequest", endpoint, fmt, mint(), asked=asked) == {
        "heard": ["hung", "cut"],
        "kept": 2,
    }


async def test_publish_without_an_ack(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    endpoint.faults.add(Fault(FaultKind.HANG, Operation.PUBLISH, "c", times=1))
    asked = {"drop": endpoint.drop_sockets}
    assert await run("withoutAck", endpoint, fmt, mint(), asked=asked) == {
        "heard": ["once", "last"],
        "before": False,
        "kept": 2,
    }


async def test_deliveries_go_wrong(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    for kind in (FaultKind.DUPLICATE, FaultKind.DROP, FaultKind.DELAY):
        endpoint.faults.add(Fault(kind, Operation.DELIVER, "c", times=1, seconds=0.2))
    duplicate = Fault(FaultKind.DUPLICATE, Operation.DELIVER, "c", times=1)
    asked = {"duplicate": lambda: endpoint.faults.add(duplicate)}
    assert await run("deliveries", endpoint, fmt, mint(client_id="ann"), asked=asked) == {
        "heard": ["twice", "twice", "late", "last"],
        "end": "end",
        "present": ["enter", "update"],
    }


async def test_attach_that_is_refused(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    endpoint.faults.add(Fault(FaultKind.REFUSE, Operation.ATTACH, "c", times=1, code=42910))
    assert await run("refusedAttach", endpoint, fmt, mint()) == {
        "refused": [42910, 429],
        "changes": ["attaching", "failed", "attaching", "attached"],
        "state": "connected",
    }


async def test_connect_that_fails(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    endpoint.faults.add(Fault(FaultKind.FAIL, Operation.CONNECT, times=1))
    assert await run("failedConnect", endpoint, fmt, mint()) == {
        "seen": [["connecting", None], ["disconnected", 50300], ["connecting", None], ["connected", None]]
    }

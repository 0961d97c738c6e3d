"""Asking stores for a sign of life: whatever becomes of the question, it is heard."""

from __future__ import annotations

import asyncio
import gc
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rdchat.operations import health as health_module
from rdchat.operations.health import Health
from rdchat.postgres import pool
from rdchat.timers.monitor import TimerStatus
from tests.support.memory_storage import SetClock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Ask = Callable[[Coroutine[Any, Any, None]], Coroutine[Any, Any, dict[str, str]]]


@pytest.fixture
def health() -> Health:
    """Of a replica whose Redis is well, and that has no PostgreSQL."""

    async def is_well() -> None:
        return

    pool: Any = None
    redis: Any = SimpleNamespace(probe=is_well)
    monitor: Any = SimpleNamespace(status=TimerStatus())
    return Health(pool, redis, monitor, clock=SetClock(), worker=None, key_set=None)


@pytest.fixture
def ask(health: Health, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Ask for the health with a question to PostgreSQL of the test's."""

    def asking(question: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, dict[str, str]]:
        monkeypatch.setattr(pool, "probe", lambda _: question)
        return health.check()

    return asking


@pytest.fixture
async def complaints() -> list[dict[str, Any]]:
    """What the event loop complains of."""
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: heard.append(context))
    return heard


async def hangs_and_fails(asked: asyncio.Event, ended: asyncio.Event) -> None:
    """A driver whose connection breaks while it is being given up."""
    asked.set()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        raise OSError("the connection was lost") from None
    finally:
        ended.set()


async def test_a_probe_that_is_given_up_and_fails_is_heard(
    ask: Ask, complaints: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_module, "_PROBE_SECONDS", 0.01)
    ended = asyncio.Event()
    assert (await ask(hangs_and_fails(asyncio.Event(), ended)))["postgresql"] == "away"
    await ended.wait()
    await _collected()
    assert not complaints


async def test_a_probe_whose_caller_has_gone_fails_unheard_of(
    ask: Ask, complaints: list[dict[str, Any]]
) -> None:
    asked, ended, lost = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def fails_later() -> None:
        asked.set()
        await lost.wait()
        ended.set()
        raise OSError("the connection was lost")

    asking = asyncio.create_task(ask(fails_later()))
    await asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    lost.set()
    await ended.wait()
    await _collected()
    assert not complaints


async def test_a_probe_that_the_end_of_the_program_takes_back_is_no_fault(
    health: Health, ask: Ask, complaints: list[dict[str, Any]]
) -> None:
    asked, ended = asyncio.Event(), asyncio.Event()

    async def hangs() -> None:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    asking = asyncio.create_task(ask(hangs()))
    await asked.wait()
    await health.close()
    assert (await asking)["postgresql"] == "away"
    await _collected()
    assert not complaints


async def _collected() -> None:
    """Let tasks end, and be forgotten."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()

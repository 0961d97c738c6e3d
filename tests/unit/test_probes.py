"""Asking stores for a sign of life: whatever becomes of the question, it is heard."""

from __future__ import annotations

import asyncio
import gc
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rdchat import runtime as runtime_module
from rdchat.postgres import pool
from rdchat.runtime import Runtime
from rdchat.timers.monitor import TimerStatus
from tests.support.memory_storage import SetClock
from tests.support.service import service_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    Ask = Callable[[Coroutine[Any, Any, None]], Coroutine[Any, Any, dict[str, str]]]


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """One that was not started: its Redis is well, and it has no PostgreSQL."""
    made = Runtime(service_settings(tmp_path), SetClock())

    async def is_well() -> None:
        return

    made.pool = None  # type: ignore[assignment]
    made.redis = SimpleNamespace(probe=is_well)  # type: ignore[assignment]
    made.monitor = SimpleNamespace(status=TimerStatus())  # type: ignore[assignment]
    return made


@pytest.fixture
def ask(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Ask for the health with a question to PostgreSQL of the test's."""

    def asking(question: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, dict[str, str]]:
        monkeypatch.setattr(pool, "probe", lambda _: question)
        return runtime.health()

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
    monkeypatch.setattr(runtime_module, "_PROBE_SECONDS", 0.01)
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
    runtime: Runtime, ask: Ask, complaints: list[dict[str, Any]]
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
    await runtime.close()
    assert (await asking)["postgresql"] == "away"
    await _collected()
    assert not complaints


async def _collected() -> None:
    """Let tasks end, and be forgotten."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()

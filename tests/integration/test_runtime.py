"""A replica's parts are closed in the opposite order to that in which they were built, whatever happens."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest

from rdchat.common.clock import SystemClock
from rdchat.common.errors import UnavailableError
from rdchat.runtime import Runtime
from rdchat.runtime.parts import Base, make_base
from tests.support.service import service_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from config import Settings

#: What is closed, from the first on.
ORDER = [
    "RetentionService.close",
    "OverviewService.close",
    "StoreStatus.close",
    "Heartbeat.close",
    "Rasteriser.close",
    "Health.close",
    "Reconciler.close",
    "TimerWorker.close",
    "Alarms.close",
    "TimerMonitor.close",
    "AttachmentService.close",
    "ReminderService.close",
    "WallTimeService.close",
    "IdempotencyService.close",
    "CheckpointKeeper.close",
    "AuditTrail.close",
    "SeenPeople.close",
    "AccessList.close",
    "Passivation.close",
    "Engine.close",
    "PostCommitEffects.close",
    "Webhooks.close",
    "LateRevoker.close",
    "Publisher.close",
    "AblyClient.close",
    "AblyLocal.close",
    "Announcements.close",
    "Rates.close",
    "RedisClient.aclose",
    "ClockKeeper.close",
    # The engine's connections, and all others'.
    "the pool",
    "the pool",
]


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parts that were closed so far, in their order."""
    told: list[str] = []
    close_in_turn = Base.close_in_turn

    def watched(self: Base, close: Callable[[], Awaitable[Any]]) -> None:
        name = close.__qualname__

        async def closing() -> None:
            told.append("the pool" if "<lambda>" in name else name)
            await close()

        close_in_turn(self, closing)

    monkeypatch.setattr(Base, "close_in_turn", watched)
    return told


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return service_settings(tmp_path)


async def test_timers_stop_first_then_the_engine_then_what_delivers(
    settings: Settings, database_url: str, redis_url: str, closed: list[str]
) -> None:
    runtime = await Runtime.start(settings, database_url=database_url, redis_url=redis_url)
    assert closed == []
    await runtime.close()
    assert closed == ORDER
    await runtime.close()
    assert closed == ORDER, "once is enough"


async def test_a_replica_without_timers_and_relay_has_fewer_parts(
    settings: Settings, database_url: str, redis_url: str, closed: list[str]
) -> None:
    settings = replace(settings, roles=frozenset({"api"}))
    runtime = await Runtime.start(settings, database_url=database_url, redis_url=redis_url)
    assert not runtime.health.runs_timers
    await runtime.close()
    absent = {"Reconciler", "TimerWorker", "Alarms", "AttachmentService", "ReminderService"}
    absent |= {"WallTimeService", "Webhooks", "LateRevoker", "CheckpointKeeper", "RetentionService"}
    assert closed == [one for one in ORDER if one.partition(".")[0] not in absent]


async def test_what_was_built_is_closed_when_the_rest_cannot_be(
    settings: Settings, database_url: str, redis_url: str, closed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_base: object, *_: object) -> None:
        raise UnavailableError("engine")

    monkeypatch.setattr("rdchat.runtime.start_engine", fail)
    with pytest.raises(UnavailableError):
        await Runtime.start(settings, database_url=database_url, redis_url=redis_url)
    assert closed == ORDER[ORDER.index("Webhooks.close") :]


async def test_a_part_that_does_not_close_keeps_no_other_open(settings: Settings) -> None:
    closed = []

    async def close_well() -> None:
        closed.append("well")

    async def close_badly() -> None:
        closed.append("badly")
        raise OSError("gone")

    async with AsyncExitStack() as stack:
        base = make_base(settings, SystemClock(), stack)
        base.close_in_turn(close_well)
        base.close_in_turn(close_badly)
    assert closed == ["badly", "well"]


async def test_a_runtime_is_what_it_was_built_as(
    settings: Settings, database_url: str, redis_url: str
) -> None:
    runtime = await Runtime.start(settings, database_url=database_url, redis_url=redis_url)
    try:
        assert all(hasattr(runtime, one.name) for one in fields(Runtime))
        with pytest.raises(AttributeError):
            runtime.engine = None  # type: ignore[misc, assignment]
    finally:
        await runtime.close()

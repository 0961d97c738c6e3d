"""Loops that survive their faults, and end when they are told to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rdchat.common import background
from rdchat.common.background import cancel, keep_running

if TYPE_CHECKING:
    import pytest


async def test_a_loop_that_fails_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_PAUSE_SECONDS", 0)
    rounds = 0

    async def loop() -> None:
        nonlocal rounds
        rounds += 1
        if rounds < 3:
            raise ValueError(rounds)

    await keep_running(loop, "fragile")
    assert rounds == 3


async def test_a_swallowed_cancellation_is_repeated() -> None:
    started = asyncio.Event()
    swallowed = 0

    async def loop() -> None:
        nonlocal swallowed
        while True:
            started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if swallowed == 2:
                    raise
                swallowed += 1

    task = keep_running(loop, "stubborn")
    await started.wait()
    await cancel(task)
    assert task.cancelled()
    assert swallowed == 2


async def test_what_has_ended_needs_no_cancelling() -> None:
    async def loop() -> None:
        return

    task = keep_running(loop, "short")
    await task
    await cancel(task)
    await cancel(None)

"""Waking up at an instant: by the kernel, and by the event loop."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from rdchat.timers import wakeup as module

if TYPE_CHECKING:
    from collections.abc import Callable

    from rdchat.timers.wakeup import Wakeup

KINDS = [
    pytest.param(
        module._KernelTimer,  # noqa: SLF001
        id="kernel",
        marks=pytest.mark.skipif(sys.platform != "linux", reason="timerfd is Linux's"),
    ),
    pytest.param(module._LoopTimer, id="loop"),  # noqa: SLF001
]
#: More than a machine needs that is busy with other tests, and less than a pause that would be noticed.
_AT_ONCE_SECONDS = 0.5
of_each_kind = pytest.mark.parametrize("make", KINDS)


class Bell:
    """Notes when it was rung."""

    def __init__(self, make: Callable[[Callable[[], None]], Wakeup]) -> None:
        self.rung = asyncio.Event()
        self.at: list[float] = []
        self.alarm = make(self._ring)

    def _ring(self) -> None:
        self.at.append(now())
        self.rung.set()

    async def wait(self) -> None:
        async with asyncio.timeout(_AT_ONCE_SECONDS):
            await self.rung.wait()


def now() -> float:
    return time.time_ns() / 1_000_000


@of_each_kind
async def test_it_rings_once_at_its_instant(make: Callable[..., Wakeup]) -> None:
    bell = Bell(make)
    due = now() + 30
    bell.alarm.set(due, now())
    await bell.wait()
    # The loop's clock and the wall clock are read a moment apart.
    assert bell.at[0] >= due - 1
    await asyncio.sleep(0.03)
    assert len(bell.at) == 1
    bell.alarm.close()


@of_each_kind
@pytest.mark.parametrize("ago", [1, 10_000, None])
async def test_what_has_passed_rings_at_once(make: Callable[..., Wakeup], ago: float | None) -> None:
    """Also what was due when the clocks began: nothing that is stored is earlier."""
    bell = Bell(make)
    asked_at = now()
    bell.alarm.set(0 if ago is None else asked_at - ago, asked_at)
    await bell.wait()
    assert len(bell.at) == 1
    bell.alarm.close()


@of_each_kind
async def test_a_new_instant_replaces_the_one_before(make: Callable[..., Wakeup]) -> None:
    bell = Bell(make)
    bell.alarm.set(now() + 3_600_000, now())
    due = now() + 20
    bell.alarm.set(due, now())
    await bell.wait()
    assert len(bell.at) == 1
    assert bell.at[0] >= due - 1
    bell.alarm.close()


@of_each_kind
async def test_closed_it_is_silent(make: Callable[..., Wakeup]) -> None:
    bell = Bell(make)
    bell.alarm.set(now() + 5, now())
    bell.alarm.close()
    bell.alarm.close()
    await asyncio.sleep(0.02)
    assert bell.at == []
    os.fstat(1)  # Closed twice, it has closed nothing of others.


@of_each_kind
async def test_the_kernel_is_asked_where_it_can_be(
    make: type[Wakeup], monkeypatch: pytest.MonkeyPatch
) -> None:
    if make is module._LoopTimer:  # noqa: SLF001
        monkeypatch.setattr(module, "sys", SimpleNamespace(platform="darwin"))
    bell = Bell(module.wakeup)
    assert type(bell.alarm) is make
    bell.alarm.set(now(), now())
    await bell.wait()
    bell.alarm.close()


@pytest.mark.skipif(sys.platform != "linux", reason="timerfd is Linux's")
async def test_a_kernel_that_refuses_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CLOCK_BOOTTIME", 99)
    ctypes.set_errno(0)
    with pytest.raises(OSError, match="timerfd_create") as refused:
        module.wakeup(lambda: None)
    assert refused.value.args == (errno.EINVAL, "timerfd_create")


@of_each_kind
async def test_set_again_after_its_instant_and_before_the_loop_has_noticed_it_is_silent(
    make: Callable[..., Wakeup],
) -> None:
    bell = Bell(make)
    loop, faults = asyncio.get_running_loop(), list[object]()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    bell.alarm.set(now(), now())
    time.sleep(0.002)  # noqa: ASYNC251 - the loop must not see the instant pass
    loop.call_soon(bell.alarm.set, now() + 3_600_000, now())
    for _ in range(3):
        await asyncio.sleep(0)
    assert (bell.at, faults) == ([], [])
    bell.alarm.close()

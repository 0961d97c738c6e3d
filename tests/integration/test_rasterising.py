"""Pictures are drawn by one process, one at a time, and drawn once."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from rdchat.common.errors import UnavailableError
from rdchat.operations import drawing, rasterising
from rdchat.operations.rasterising import Rasteriser
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_SMALL = '<svg xmlns="http://www.w3.org/2000/svg" width="{}" height="1"><rect width="1" height="1"/></svg>'


@pytest.fixture
async def rasteriser() -> AsyncIterator[Rasteriser]:
    made = Rasteriser()
    yield made
    await made.close()


async def test_a_picture_is_drawn_once(rasteriser: Rasteriser) -> None:
    svg = drawing.svg()
    first, second = await asyncio.gather(rasteriser.png(svg), rasteriser.png(svg))
    assert first.startswith(b"\x89PNG")
    assert first is second
    assert rasteriser.pid is not None
    os.kill(rasteriser.pid, signal.SIGKILL)
    assert await rasteriser.png(svg) is first


async def test_few_wait_and_the_others_come_again(rasteriser: Rasteriser) -> None:
    asked = [asyncio.create_task(rasteriser.png(_SMALL.format(number + 1))) for number in range(60)]
    await asyncio.wait(asked)
    drawn = [task for task in asked if task.exception() is None]
    assert len(drawn) == 8
    assert all(isinstance(task.exception(), UnavailableError) for task in asked if task not in drawn)
    own = [child for child in psutil.Process().children() if child.pid == rasteriser.pid]
    assert len(own) == 1
    assert own[0].nice() == psutil.Process().nice() + 5


async def test_a_process_that_dies_is_replaced(rasteriser: Rasteriser) -> None:
    await rasteriser.png(_SMALL.format(1))
    died = rasteriser.pid
    assert died is not None
    os.kill(died, signal.SIGKILL)
    await until(lambda: not psutil.pid_exists(died))
    assert (await rasteriser.png(_SMALL.format(2))).startswith(b"\x89PNG")
    assert rasteriser.pid not in (None, died)


async def test_what_cannot_be_drawn_leaves_the_way_to_others(rasteriser: Rasteriser) -> None:
    with pytest.raises(UnavailableError):
        await rasteriser.png("no picture")
    assert (await rasteriser.png(_SMALL.format(3))).startswith(b"\x89PNG")


async def test_one_who_leaves_takes_the_picture_from_no_one(rasteriser: Rasteriser) -> None:
    one, other = (asyncio.create_task(rasteriser.png(_SMALL.format(4))) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    assert (await other).startswith(b"\x89PNG")


async def test_the_process_does_not_stay_for_nothing(
    rasteriser: Rasteriser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rasterising, "_IDLE_SECONDS", 0.0)
    await rasteriser.png(_SMALL.format(5))
    await until(lambda: rasteriser.pid is None)
    assert (await rasteriser.png(_SMALL.format(6))).startswith(b"\x89PNG")


async def test_what_was_not_asked_for_of_late_is_drawn_again(rasteriser: Rasteriser) -> None:
    first = await rasteriser.png(_SMALL.format(1))
    for number in range(2, 34):
        await rasteriser.png(_SMALL.format(number))
    assert rasteriser.kept == 32
    again = await rasteriser.png(_SMALL.format(1))
    assert again == first
    assert again is not first

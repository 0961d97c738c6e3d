"""The garbage collector: its own rounds are bounded, full ones are made in quiet moments."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter, deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from rdchat.common import collecting

if TYPE_CHECKING:
    from collections.abc import Iterator


class Knot:
    """What holds itself."""

    def __init__(self) -> None:
        self.itself = self


@contextmanager
def rounds() -> Iterator[Counter[int]]:
    """Count the collector's rounds by generation, with the thresholds as they were afterwards."""
    made: Counter[int] = Counter()

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "stop":
            made[info["generation"]] += 1

    thresholds = gc.get_threshold()
    gc.collect()
    gc.callbacks.append(note)
    try:
        yield made
    finally:
        gc.callbacks.remove(note)
        gc.set_threshold(*thresholds)
        gc.unfreeze()


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let time pass as told: `seconds(n)` passes n seconds."""
    sleepers: deque[asyncio.Future[None]] = deque()

    async def sleep(_: float) -> None:
        sleepers.append(asyncio.get_running_loop().create_future())
        await sleepers[-1]

    turn = asyncio.sleep

    async def pass_seconds(count: int) -> None:
        for _ in range(count):
            await turn(0)
            sleepers.popleft().set_result(None)
        await turn(0)
        await turn(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return pass_seconds


def test_rounds_look_at_young_objects_only() -> None:
    with rounds() as made:
        collecting.spare()
        made.clear()
        kept = [Knot() for _ in range(200_000)]
        assert len(kept) == 200_000
        assert made[2] == 0
        assert made[0] > 0
        # What survives is looked at once more, and then no more.
        assert abs(made[1] - made[0]) <= 1


def test_what_is_there_is_kept_out_of_all_rounds() -> None:
    with rounds():
        here = Knot()
        collecting.spare()
        assert gc.get_freeze_count() > 1_000
        assert not any(one is here for one in gc.get_objects())


async def test_full_rounds_are_made_once_nothing_is_done(seconds: Any) -> None:
    done = 0
    with rounds() as made:
        task = asyncio.create_task(collecting.collect_when_quiet(lambda: done, longest_wait=60))
        await seconds(30)
        assert made[2] == 0  # nothing was done, so there is nothing to free
        done = 1
        await seconds(1)
        assert made[2] == 0
        await seconds(1)
        assert made[2] == 1
        for _ in range(59):
            done += 1
            await seconds(1)
        assert made[2] == 1  # it is never quiet
        done += 1
        await seconds(1)
        assert made[2] == 2
        await seconds(9)
        assert made[2] == 2
        done += 1
        await seconds(3)
        assert made[2] == 3
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

"""Values that are kept: read once for all who ask, and the longer, the longer that took."""

from __future__ import annotations

import asyncio

import pytest

from rdchat.common import kept
from rdchat.common.errors import UnavailableError
from rdchat.common.kept import Kept


class Source:
    """Counts how often it is read, and lets the clock go on by `takes` meanwhile."""

    def __init__(self) -> None:
        self.reads = 0
        self.now = 1000.0
        self.takes = 0.0
        self.fails = False
        self.gate = asyncio.Event()
        self.gate.set()

    def kept(self, *, seconds: float = 3.0) -> Kept[int]:
        return Kept(self.read, what="PostgreSQL", seconds=seconds, elapsed=lambda: self.now)

    async def read(self) -> int:
        self.reads += 1
        await self.gate.wait()
        self.now += self.takes
        if self.fails:
            raise UnavailableError("PostgreSQL")
        return self.reads


async def test_it_is_read_once_for_all_who_ask_together() -> None:
    source = Source()
    source.gate.clear()
    value = source.kept()
    asking = [asyncio.create_task(value.get()) for _ in range(5)]
    await asyncio.sleep(0)
    source.gate.set()
    assert await asyncio.gather(*asking) == [1] * 5
    assert await value.get() == 1


async def test_one_who_stops_waiting_takes_nothing_from_the_others() -> None:
    source = Source()
    source.gate.clear()
    value = source.kept()
    first, second = (asyncio.create_task(value.get()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    source.gate.set()
    assert await second == 1


async def test_it_is_read_again_when_it_is_stale() -> None:
    source = Source()
    value = source.kept(seconds=3)
    assert await value.get() == 1
    source.now += 2.9
    assert (value.is_fresh, await value.get()) == (True, 1)
    source.now += 0.2
    assert (value.is_fresh, await value.get(), await value.get()) == (False, 2, 2)


async def test_however_long_it_takes_little_time_is_spent_on_it() -> None:
    for takes in (0.001, 0.25, 5.0):
        source = Source()
        source.takes = takes
        value = source.kept(seconds=3)
        began = source.now
        while source.now - began < 10_000:
            await value.get()
            source.now += 0.5
        share = source.reads * takes / (source.now - began)
        assert share <= 1 / kept._TIMES_KEPT, takes  # noqa: SLF001 - what it promises
        assert source.reads > 4


async def test_an_error_is_kept_no_longer_than_usual() -> None:
    source = Source()
    source.fails, source.takes = True, 5.0
    value = source.kept(seconds=3)
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await value.get()
    assert source.reads == 1
    source.fails = False
    source.now += 3.1
    assert await value.get() == 2


async def test_no_one_waits_for_what_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_PATIENCE_SECONDS", 0.01)
    source = Source()
    source.gate.clear()
    value = source.kept()
    for _ in range(3):
        with pytest.raises(UnavailableError) as caught:
            await value.get()
        assert caught.value.what == "PostgreSQL"
    assert source.reads == 1, "it is being asked"
    source.gate.set()
    monkeypatch.setattr(kept, "_PATIENCE_SECONDS", 5.0)
    assert await value.get() == 1


async def test_what_hangs_is_given_up_at_the_end() -> None:
    source = Source()
    source.gate.clear()
    value = source.kept()
    asking = asyncio.create_task(value.get())
    await asyncio.sleep(0)
    await value.close()
    with pytest.raises(asyncio.CancelledError):
        await asking

"""Turns: a few at a time by person, the others wait, and too many are told so."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.common.turns import Turns

BUDI, SARI = uuid4(), uuid4()


class Doing:
    """Has turns, and keeps them until told."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._go = asyncio.Event()
        self.under_way: list[UUID] = []

    async def do(self, person_id: UUID) -> str:
        try:
            async with self._turns.turn(person_id):
                self.under_way.append(person_id)
                await self._go.wait()
                self.under_way.remove(person_id)
        except RdchatError as error:
            return error.code
        return "done"

    async def begin(self, person_id: UUID, count: int) -> list[asyncio.Task[str]]:
        tasks = [asyncio.create_task(self.do(person_id)) for _ in range(count)]
        for _ in range(3):
            await asyncio.sleep(0)
        return tasks

    def go(self) -> None:
        self._go.set()


async def test_one_persons_wait_for_each_other_and_too_many_are_refused() -> None:
    doing = Doing(turns := Turns("test", at_once=2, waiting=3, in_all=100, patience=5))
    own = await doing.begin(BUDI, 8)
    assert doing.under_way == [BUDI] * 2
    assert turns.count(BUDI) == 5
    others = await doing.begin(SARI, 1)
    assert SARI in doing.under_way
    doing.go()
    assert sorted(await asyncio.gather(*own)) == [ErrorCode.RATE_LIMITED] * 3 + ["done"] * 5
    assert await others[0] == "done"
    assert turns.count(BUDI) == turns.count(SARI) == 0


async def test_there_are_so_many_for_all_together() -> None:
    doing = Doing(turns := Turns("test", at_once=2, waiting=0, in_all=3, patience=5))
    tasks = [task for person in (BUDI, SARI) for task in await doing.begin(person, 2)]
    doing.go()
    assert sorted(await asyncio.gather(*tasks)) == [ErrorCode.UNAVAILABLE, "done", "done", "done"]
    assert await doing.do(BUDI) == "done"
    assert turns.count(BUDI) == 0


async def test_who_waits_too_long_is_told_and_who_leaves_gives_up_the_place() -> None:
    doing = Doing(turns := Turns("test", at_once=1, waiting=2, in_all=9, patience=0.05))
    first, second = await doing.begin(BUDI, 2)
    assert await second == ErrorCode.RATE_LIMITED
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert turns.count(BUDI) == 0
    doing.go()
    assert await doing.do(BUDI) == "done"

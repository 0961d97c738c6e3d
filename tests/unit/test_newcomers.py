"""New connections begin a few at a time, in their order, and the loop goes round in between."""

from __future__ import annotations

import asyncio
from typing import cast

from handlers.http.newcomers import Newcomers


class Connection:
    def __init__(self, number: int, begun: list[int]) -> None:
        self.number = number
        self.closing = False
        self._begun = begun
        self.reading = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True
        self._begun.append(self.number)

    def is_closing(self) -> bool:
        return self.closing


def enter(newcomers: Newcomers, number: int, begun: list[int]) -> list[Connection]:
    made = [Connection(one, begun) for one in range(number)]
    for one in made:
        newcomers.enter(cast("asyncio.Transport", one))
    return made


async def test_a_few_begin_at_once_and_the_others_in_the_rounds_that_follow() -> None:
    newcomers, begun = Newcomers(4), list[int]()
    made = enter(newcomers, 10, begun)
    assert [one.reading for one in made] == [True] * 4 + [False] * 6
    assert len(newcomers) == 6
    await asyncio.sleep(0)
    assert begun == [4, 5, 6, 7]
    # Others come behind those who wait.
    more = enter(newcomers, 2, begun)
    assert not any(one.reading for one in more)
    await asyncio.sleep(0)
    assert begun == [4, 5, 6, 7, 8, 9, 0, 1]
    assert not len(newcomers)


async def test_one_that_has_gone_takes_no_turn() -> None:
    newcomers, begun = Newcomers(1), list[int]()
    made = enter(newcomers, 4, begun)
    made[1].closing = made[2].closing = True
    await asyncio.sleep(0)
    assert begun == [3]


async def test_alone_no_one_waits() -> None:
    newcomers, begun = Newcomers(1), list[int]()
    for _ in range(3):
        (one,) = enter(newcomers, 1, begun)
        assert one.reading
        await asyncio.sleep(0)
        await asyncio.sleep(0)

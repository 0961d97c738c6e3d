"""Signals of a moment: told at once, not told twice, and of many in quick succession the last."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from handlers.dialects.ruangdiri.signals import Signals
from rdchat.common.errors import UnavailableError
from rdchat.realtime.ably_client import PublishError
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

KEY = uuid4(), uuid4(), "typing"


class Board:
    """What was told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.trouble = False

    def __call__(self, value: object) -> Callable[[], Awaitable[None]]:
        async def publish() -> None:
            if self.trouble:
                raise PublishError("away")
            self.told.append(value)

        return publish


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
async def signals() -> AsyncIterator[Signals]:
    made = Signals(pause=0.05, again=60.0)
    yield made
    await made.close()


async def test_the_same_is_told_once_and_a_change_a_moment_later(signals: Signals, board: Board) -> None:
    for _ in range(50):
        await signals.tell(KEY, True, board(True))
    assert board.told == [True]
    for value in (False, True, False, True, False):
        await signals.tell(KEY, value, board(value))
    assert board.told == [True]
    await until(lambda: len(board.told) == 2, 2)
    assert board.told == [True, False]


async def test_what_ends_as_it_was_is_not_told_again(signals: Signals, board: Board) -> None:
    await signals.tell(KEY, True, board(True))
    await signals.tell(KEY, False, board(False))
    await signals.tell(KEY, True, board(True))
    other = uuid4(), uuid4(), "typing"
    await signals.tell(other, True, board("another's"))
    await asyncio.sleep(0.1)
    assert board.told == [True, "another's"]


async def test_the_same_is_told_again_after_a_while(board: Board) -> None:
    signals = Signals(pause=0.0, again=0.0)
    await signals.tell(KEY, True, board(True))
    await signals.tell(KEY, True, board(True))
    assert board.told == [True, True]
    await signals.close()


async def test_what_could_not_be_told_is_tried_at_the_next_key(signals: Signals, board: Board) -> None:
    board.trouble = True
    with pytest.raises(UnavailableError):
        await signals.tell(KEY, True, board(True))
    board.trouble = False
    await signals.tell(KEY, True, board(True))
    assert board.told == [True]

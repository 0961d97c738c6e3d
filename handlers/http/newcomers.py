"""New connections, which begin a few at a time.

A crowd that connects in one moment would be served in one round of the event loop, head after head, and those
who are in a chat would wait for all of them. So what comes on a new connection is looked at when its turn
comes; between two turns everything else is done that can be done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Protocol

#: A head takes some hundred microseconds until it is refused: this is a millisecond, and those in a chat wait
#: for several rounds.
AT_ONCE: Final = 4
#: What has brought more than this brings many requests, or a long body: sixty take some milliseconds to
#: be parsed. One of these begins in a round, and those with a single request are not behind them.
_LARGE_BYTES: Final = 8 * 1024


class Newcomer(Protocol):
    """A connection of which nothing was looked at yet."""

    @property
    def held_bytes(self) -> int:
        """How much has come."""
        ...

    def begin(self) -> bool:
        """Look at what has come. Return False if it has gone."""
        ...


class Newcomers:
    """Those that wait for their turn. `at_once` of them begin in a round of the loop, and a large one."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._waiting: deque[Newcomer] = deque()
        self._large: deque[Newcomer] = deque()
        self._begun = 0
        self._goes_round = False

    def __len__(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting) + len(self._large)

    def enter(self, one: Newcomer) -> bool:
        """Say whether a connection on which something has come may begin now.

        Otherwise its `begin` is called, a moment later.
        """
        if not self._goes_round:
            self._goes_round = True
            asyncio.get_running_loop().call_soon(self._next_round)
        is_large = one.held_bytes > _LARGE_BYTES
        queue, at_once = (self._large, 1) if is_large else (self._waiting, self._at_once)
        if not queue and self._begun < at_once:
            self._begun += 1
            return True
        queue.append(one)
        return False

    def _next_round(self) -> None:
        self._begun = 0
        while self._waiting and self._begun < self._at_once:
            self._begun += self._waiting.popleft().begin()
        if self._large:
            self._begun += self._large.popleft().begin()
        self._goes_round = bool(self._begun or len(self))
        if self._goes_round:
            asyncio.get_running_loop().call_soon(self._next_round)

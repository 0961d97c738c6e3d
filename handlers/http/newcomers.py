"""New connections, which begin a few at a time.

A crowd that connects in one moment would be served in one round of the event loop, head after head, and those
who are in a chat would wait for all of them. So what comes on a new connection is looked at when its turn
comes; between two turns everything else is done that can be done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Protocol

#: A head takes some hundred microseconds until it is refused, and one may bring sixty requests: this is a few
#: milliseconds, and those in a chat wait for several rounds.
AT_ONCE: Final = 4


class Newcomer(Protocol):
    """A connection of which nothing was looked at yet."""

    def begin(self) -> bool:
        """Look at what has come. Return False if it has gone."""
        ...


class Newcomers:
    """Those that wait for their turn. `at_once` of them begin in a round of the loop."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._waiting: deque[Newcomer] = deque()
        self._begun = 0

    def __len__(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def enter(self, one: Newcomer) -> bool:
        """Say whether a connection may begin now; otherwise its `begin` is called, a moment later."""
        if not self._begun:
            asyncio.get_running_loop().call_soon(self._next_round)
        self._begun += 1
        if self._begun <= self._at_once:
            return True
        self._waiting.append(one)
        return False

    def _next_round(self) -> None:
        self._begun = 0
        while self._waiting and self._begun < self._at_once:
            self._begun += self._waiting.popleft().begin()
        if self._begun:
            asyncio.get_running_loop().call_soon(self._next_round)

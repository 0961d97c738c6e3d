"""New connections, which begin a few at a time.

A crowd that connects in one moment is served in one round of the event loop, head after head, and those who
are in a chat wait for all of them. So a new connection is read from when its turn comes; between two turns
everything else is done that can be done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

#: A head takes some hundred microseconds until it is refused: this is a few milliseconds.
AT_ONCE: Final = 16


class Newcomers:
    """Connections whose first bytes have not been read. `at_once` of them begin in a round of the loop."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._waiting: deque[asyncio.Transport] = deque()
        self._begun = 0

    def __len__(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def enter(self, transport: asyncio.Transport) -> None:
        """Let a connection begin now or, after others, a moment later."""
        if not self._begun:
            asyncio.get_running_loop().call_soon(self._next_round)
        self._begun += 1
        if self._begun > self._at_once:
            transport.pause_reading()
            self._waiting.append(transport)

    def _next_round(self) -> None:
        self._begun = 0
        while self._waiting and self._begun < self._at_once:
            transport = self._waiting.popleft()
            if not transport.is_closing():
                self._begun += 1
                transport.resume_reading()
        if self._begun:
            asyncio.get_running_loop().call_soon(self._next_round)

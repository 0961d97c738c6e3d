"""Writes that a store did not take in time, and that are worth trying for as long as they mean something."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.common.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    Write = Callable[[], Awaitable[None]]

log = structlog.get_logger(__name__)

_PAUSE_SECONDS: Final = 0.5
#: Of more than this the oldest are given up: an outage does not fill memory.
_KEPT: Final = 10_000


class LateWrites:
    """Tries them again, oldest first. Lost with the process: they must not be all that a promise rests on."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, Write]] = deque(maxlen=_KEPT)
        self._added = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to work."""
        self._task = keep_running(self._run, "late writes")

    async def close(self) -> None:
        """Stop; each gets a last try."""
        await cancel(self._task)
        await self._try_all()

    def add(self, write: Write, lifetime: timedelta) -> None:
        """Try a write, that may raise UnavailableError, until it succeeds or the time is over."""
        self._waiting.append((asyncio.get_running_loop().time() + lifetime.total_seconds(), write))
        self._added.set()

    async def _run(self) -> None:
        while True:
            await self._added.wait()
            await asyncio.sleep(_PAUSE_SECONDS)
            await self._try_all()
            if not self._waiting:
                self._added.clear()

    async def _try_all(self) -> None:
        while self._waiting:
            until, write = self._waiting[0]
            try:
                if asyncio.get_running_loop().time() < until:
                    await write()
            except UnavailableError:
                return
            except Exception:
                log.exception("a late write is given up")
            self._waiting.popleft()

"""Forgetting sessions that no one has used for a while, so that memory holds those that are live."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from rdchat.common.background import cancel, keep_running

if TYPE_CHECKING:
    from rdchat.engine.engine import Engine

_AFTER_SECONDS: Final = 120.0
_EVERY_SECONDS: Final = 15.0


class Passivation:
    """Has an engine forget its idle actors, now and then."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = keep_running(self._passivate_for_ever, "passivation")

    async def close(self) -> None:
        """Stop."""
        await cancel(self._task)

    async def _passivate_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            self._engine.passivate(idle_seconds=_AFTER_SECONDS)

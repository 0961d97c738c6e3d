"""What is told of a moment and not kept: that a person types, or looks at the chat.

The web app says it at every key. What changes nothing is not published, and of what changes in quick
succession the last: a channel takes fifty publishes a second, and messages go first.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from rdchat.common.background import cancel
from rdchat.common.errors import RdchatError, UnavailableError
from rdchat.realtime.ably_client import PublishError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

log = structlog.get_logger(__name__)

#: Between two of one person, on one channel.
_PAUSE_SECONDS: Final = 0.4
#: The same again is told after this long: the app forgets who types after a few seconds.
_AGAIN_SECONDS: Final = 2.0
_REMEMBERED: Final = 20_000


@dataclass(slots=True)
class _Signal:
    """What was told last, when, and what waits to be told."""

    told: object = None
    told_at: float = float("-inf")
    waiting: Callable[[], Awaitable[None]] | None = None
    value: object = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class Signals:
    """Tells the other participant, seldom enough. `pause` and `again` are in seconds."""

    def __init__(self, *, pause: float = _PAUSE_SECONDS, again: float = _AGAIN_SECONDS) -> None:
        self._pause = pause
        self._again = again
        self._signals: dict[tuple[UUID, UUID, str], _Signal] = {}

    async def close(self) -> None:
        """Drop what waits."""
        for signal in self._signals.values():
            await cancel(signal.task)

    async def tell(
        self,
        key: tuple[UUID, UUID, str],
        value: object,
        publish: Callable[[], Awaitable[None]],
    ) -> None:
        """Tell a value by `publish`: now, in a moment, or not at all if it was told just now.

        Raise UnavailableError while Ably is away.
        """
        now = asyncio.get_running_loop().time()
        signal = self._signals.get(key)
        if signal is None:
            self._forget(now)
            signal = self._signals[key] = _Signal()
        if signal.task is not None and not signal.task.done():
            # It is told in a moment, whatever it is then.
            signal.waiting, signal.value = publish, value
        elif value == signal.told and now - signal.told_at < self._again:
            return
        elif (wait := signal.told_at + self._pause - now) > 0:
            signal.waiting, signal.value = publish, value
            signal.task = asyncio.create_task(self._tell_later(signal, wait), name="a signal")
        else:
            await self._publish(signal, value, publish)

    async def _tell_later(self, signal: _Signal, wait: float) -> None:
        await asyncio.sleep(wait)
        publish, signal.waiting = signal.waiting, None
        if publish is None or signal.value == signal.told:
            return
        try:
            await self._publish(signal, signal.value, publish)
        except RdchatError:
            # Ably is away, or the session is over by now.
            log.debug("a signal was lost")

    async def _publish(self, signal: _Signal, value: object, publish: Callable[[], Awaitable[None]]) -> None:
        former = signal.told, signal.told_at
        # Noted first, for those who come meanwhile.
        signal.told, signal.told_at = value, asyncio.get_running_loop().time()
        try:
            await publish()
        except PublishError as error:
            signal.told, signal.told_at = former
            raise UnavailableError("Ably") from error

    def _forget(self, now: float) -> None:
        if len(self._signals) < _REMEMBERED:
            return
        self._signals = {
            key: signal
            for key, signal in self._signals.items()
            if now - signal.told_at < self._again or (signal.task is not None and not signal.task.done())
        }

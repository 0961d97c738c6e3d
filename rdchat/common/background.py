"""Background loops that survive their own faults.

A loop that dies unseen is the worst way to fail: messages would be accepted and never delivered. So every
exception that a loop raises is logged, and the loop is started again after a pause.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

log = structlog.get_logger(__name__)

_PAUSE_SECONDS: Final = 0.5
_CANCEL_AGAIN_SECONDS: Final = 0.05


def keep_running(loop: Callable[[], Coroutine[None, None, None]], name: str) -> asyncio.Task[None]:
    """Run `loop` in a task until it returns or the task is cancelled, starting it again after faults."""

    async def supervised() -> None:
        while True:
            try:
                await loop()
            except Exception:
                log.exception("a background loop failed and is started again", loop=name)
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return

    return asyncio.create_task(supervised(), name=name)


async def cancel(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task and wait until it is gone.

    Cancels again if it goes on: a cancellation that coincides with the end of what the task waits for can be
    swallowed on the way (`asyncio.wait_for` before Python 3.12, which drivers use for their own limits).
    """
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCEL_AGAIN_SECONDS)

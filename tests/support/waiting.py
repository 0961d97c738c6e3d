"""Waiting for a condition. Beside what places a fault at an instant, nothing else in the tests sleeps."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


async def until(condition: Callable[[], Any], seconds: float = 10.0, *, every: float = 0.02) -> Any:
    """Ask `condition` (plain or async) again and again until its answer is true, and return that answer."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        answer = condition()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        if loop.time() >= deadline:
            source = inspect.getsource(condition).strip()
            raise AssertionError(f"not so within {seconds:g} s (the last answer: {answer!r}): {source}")
        await asyncio.sleep(every)

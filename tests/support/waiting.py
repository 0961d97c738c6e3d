"""Waiting for a condition. Nothing else in the tests of the API sleeps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

_PAUSE_SECONDS = 0.02


async def until(condition: Callable[[], Awaitable[T]], seconds: float = 10.0) -> T:
    """Ask `condition` again and again until its answer is true, and return that answer."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        answer = await condition()
        if answer:
            return answer
        if loop.time() >= deadline:
            raise AssertionError(f"still not so after {seconds:g} seconds; the last answer: {answer!r}")
        await asyncio.sleep(_PAUSE_SECONDS)

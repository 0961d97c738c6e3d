"""A server of its own for a replica that runs already."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from handlers.server.application import build_runner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rdchat.runtime import Runtime


@asynccontextmanager
async def another_edge(runtime: Runtime, *, plain: bool, patience: float = 0.0) -> AsyncIterator[str]:
    """Serve a runtime once more. Yield the address.

    `plain`: without aiohttp's application where that is possible. `patience`: what requests that are under
    way at the end may take, in seconds.
    """
    runner = build_runner(runtime, plain=plain, shutdown_timeout=patience)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()

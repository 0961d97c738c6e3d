"""Somebody who listens: the genuine Ably SDK, in a process of its own.

Tells at which instant (monotonic, ns: the same clock for all processes of a machine) its callback got each
message, by the message's clientMessageId.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from asyncio.subprocess import PIPE
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop
from ably import AblyRealtime

from benchmarks.service import ABLY_KEY
from rdchat.clock import SystemClock
from rdchat.tokens import ably_token

if TYPE_CHECKING:
    from asyncio.subprocess import Process

_ROOT = Path(__file__).parents[2]
_LIMIT = 64 * 2**20


class Listener:
    """The process, for whoever asks. `sessions` are listened to."""

    def __init__(self, ably: str, sessions: list[str]) -> None:
        self._script = {"ably": ably, "channels": [f"chat:session:{session}" for session in sessions]}
        self._process: Process | None = None

    async def start(self) -> None:
        """Start, and wait until it is attached to every channel."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.messages.listener"),
            cwd=_ROOT,
            stdin=PIPE,
            stdout=PIPE,
            limit=_LIMIT,
        )
        await self._ask(self._script)

    async def heard(self) -> dict[str, int]:
        """Tell what was heard since the last question: instants by clientMessageId."""
        return await self._ask({})

    async def stop(self) -> None:
        """End the process."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()
            self._process = None

    async def _ask(self, order: dict[str, Any]) -> dict[str, int]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise RuntimeError("the listener was not started")
        process.stdin.write(json.dumps(order).encode() + b"\n")
        await process.stdin.drain()
        answer = await process.stdout.readline()
        if not answer:
            raise RuntimeError("the listener has died")
        result: dict[str, int] = json.loads(answer)
        return result


async def _listen() -> None:
    loop = asyncio.get_running_loop()
    # What the SDK forgets when its connection is lost is no news.
    loop.set_exception_handler(lambda _loop, _context: None)
    script = json.loads(await loop.run_in_executor(None, sys.stdin.readline))

    async def authenticate(_params: Any) -> str:  # noqa: ANN401 - the SDK has no types
        return ably_token(
            ABLY_KEY,
            capability={"chat:session:*": ["subscribe"]},
            client_id="listener",
            lifetime=timedelta(hours=1),
            now=SystemClock().now(),
        )

    heard: dict[str, int] = {}

    def hear(message: Any) -> None:  # noqa: ANN401
        heard[message.data["clientMessageId"]] = time.perf_counter_ns()

    # The realtime client ignores `port`; with a slash behind it, the port may stand in the endpoint.
    ably = AblyRealtime(auth_callback=authenticate, endpoint=f"{script['ably']}/", tls=False)
    for name in script["channels"]:
        await ably.channels.get(name).subscribe("message", hear)
    print("{}", flush=True)  # noqa: T201 - that is how it answers
    while await loop.run_in_executor(None, sys.stdin.readline):
        answer = json.dumps(heard)
        heard.clear()
        print(answer, flush=True)  # noqa: T201
    await ably.close()


if __name__ == "__main__":
    logging.getLogger("ably").setLevel(logging.CRITICAL)
    uvloop.run(_listen())

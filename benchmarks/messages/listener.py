"""A listener: the genuine Ably SDK, in a process of its own.

Reports at which instant (monotonic, ns: the same clock for all processes of a machine) its callback got each
message, by the message's clientMessageId.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from typing import Any

import uvloop
from ably import AblyRealtime

from benchmarks.service import ABLY_KEY
from benchmarks.side_process import SideProcess, answer, next_order
from rdchat.common.clock import SystemClock
from rdchat.security.ably_tokens import ably_token


class Listener(SideProcess):
    """The process, as its owner sees it; once started, it is attached to the channels of all `sessions`."""

    def __init__(self, ably: str, sessions: list[str]) -> None:
        channels = [f"chat:session:{session}" for session in sessions]
        super().__init__("benchmarks.messages.listener", {"ably": ably, "channels": channels})

    async def heard(self) -> dict[str, int]:
        """Return what was heard since the last question: instants by clientMessageId."""
        return await self.ask({"tell": "heard"})


async def _listen() -> None:
    loop = asyncio.get_running_loop()
    # What the SDK forgets when its connection is lost is no news.
    loop.set_exception_handler(lambda _loop, _context: None)
    script = await next_order()
    if script is None:
        return

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
    answer({})
    while await next_order():
        answer(heard)
        heard.clear()
    await ably.close()


if __name__ == "__main__":
    logging.getLogger("ably").setLevel(logging.CRITICAL)
    uvloop.run(_listen())

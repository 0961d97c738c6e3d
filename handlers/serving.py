"""Serving one replica: from the first signal of life to the last answer."""

from __future__ import annotations

import asyncio
import gc
import signal
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog
from aiohttp import web

from handlers.app import build_runner
from rdchat.database import people
from rdchat.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from config import Settings
    from rdchat.stores import Addresses

log = structlog.get_logger(__name__)

#: How long a request under way may take once the replica stops.
_SHUTDOWN_SECONDS: Final = 10.0
#: So many allocations set off a look at the youngest objects (Python's default is 700).
_YOUNG_OBJECTS: Final = 10_000

DEMO_PSYCHOLOGISTS: Final = (
    (UUID("00000000-0000-4000-8000-000000000001"), "Dr. Sari Wulandari"),
    (UUID("00000000-0000-4000-8000-000000000002"), "Rizky Pratama, M.Psi."),
    (UUID("00000000-0000-4000-8000-000000000003"), "Maya Kusuma, M.Psi."),
)


async def serve(settings: Settings, addresses: Addresses, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    On SIGTERM /readyz answers 503 for `settings.drain` first, so that a load balancer stops sending; requests
    under way are finished, then timers, engine and publisher, in this order.
    """
    stopping = _Stopping()
    runtime = await Runtime.start(
        settings, database_url=addresses.database_url, redis_url=addresses.redis_url
    )
    runner = build_runner(runtime, draining=lambda: stopping.draining, shutdown_timeout=_SHUTDOWN_SECONDS)
    try:
        if addresses.embedded:
            await _introduce_psychologists(runtime)
        await runner.setup()
        site = web.TCPSite(runner, settings.host, settings.port, reuse_address=True)
        await site.start()
        _spare_the_collector()
        say(_welcome(settings, runtime, runner.addresses[0][1], embedded=addresses.embedded))
        await stopping.wait()
        if stopping.draining:
            await asyncio.sleep(settings.drain.total_seconds())
        say("Stopping: finishing what is under way ...")
    finally:
        await runner.cleanup()
        await runtime.close()
        stopping.close()
    say("Stopped.")


def _spare_the_collector() -> None:
    """Keep what lives for ever out of the garbage collector's rounds, and make these rarer.

    While thousands of sessions start, whatever is allocated is kept for a while. Python's defaults have it
    looked at again and again, with all that was there before.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 50)


class _Stopping:
    """Waits for a signal. A second one stops at once, as impatient people expect."""

    def __init__(self) -> None:
        self.draining = False
        self._asked = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._ask, number)

    async def wait(self) -> None:
        await self._asked.wait()

    def _ask(self, number: int) -> None:
        self.draining = number == signal.SIGTERM
        self._asked.set()
        self.close()

    def close(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.remove_signal_handler(number)


async def _introduce_psychologists(runtime: Runtime) -> None:
    """Make the embedded default usable at once: three people who can be booked."""
    if await people.psychologists(runtime.pool):
        return
    for psychologist_id, name in DEMO_PSYCHOLOGISTS:
        await people.put_psychologist(
            runtime.pool,
            psychologist_id,
            full_name=name,
            timezone="Asia/Jakarta",
            is_active=True,
            at=runtime.clock.now(),
        )


def _welcome(settings: Settings, runtime: Runtime, port: int, *, embedded: bool) -> str:
    address = f"http://{settings.host}:{port}"
    ably = runtime.ably.endpoint
    lines = [
        "",
        f"rdchat is serving on {address}",
        f"  API documentation   {address}/docs",
        f"  Health              {address}/readyz",
        f"  Realtime            {f'local Ably endpoint at {ably}' if ably else 'Ably'}",
        f"  Data                {f'embedded, in {settings.data_dir}/' if embedded else 'your PostgreSQL'}",
    ]
    if settings.jwt_secret is not None:
        lines += [
            "",
            "Tokens to call it with:",
            '  .venv/bin/python run.py token --role client --name "Budi"',
        ]
        if embedded:
            psychologist_id, name = DEMO_PSYCHOLOGISTS[0]
            who = f'--sub {psychologist_id} --name "{name}"'
            lines.append(f"  .venv/bin/python run.py token --role psychologist {who}")
    lines += ["", "Ctrl-C stops it."]
    return "\n".join(lines)

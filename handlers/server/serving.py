"""Serving one replica: from the first signal of life to the last answer."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from config.addresses import authority
from handlers import dialects
from handlers.pages.sign_in import introduce_people
from handlers.pages.static_files import WEB
from handlers.pages.vendored import COMMAND, missing
from handlers.server.application import build_runner
from handlers.server.listening import bind, bind_operations
from handlers.server.metrics_aggregation import MetricsAggregator
from handlers.server.open_files import raise_limit
from rdchat.common import collecting
from rdchat.common.background import cancel, keep_running
from rdchat.local.people import SARI
from rdchat.operations.administration import prepare_embedded
from rdchat.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from socket import socket

    from config import Settings
    from handlers.http.protocol import Runner
    from rdchat.common.stores import Addresses

log = structlog.get_logger(__name__)

#: Connections that wait to be accepted. At the full hour all clients come at once, and all that wait are
#: accepted in one turn of the loop: of a thousand, people in a chat notice.
_BACKLOG: Final = 256
#: How long a request under way may take once the replica stops.
_SHUTDOWN_SECONDS: Final = 10.0
#: A full round of the garbage collector waits for a quiet moment, but not longer. There is little for it to
#: free: neither messages nor connections leave anything.
_FULL_ROUND_SECONDS: Final = 24 * 3600.0
#: M_ARENA_MAX and M_MMAP_THRESHOLD of glibc's <malloc.h>.
_ARENAS, _LARGE = -8, -3
_LARGE_BYTES: Final = 256 * 1024

_WHERE_LINKS_LEAD: Final = "  Links begin with this address; where clients use another, set RDCHAT_PUBLIC_URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How a process serves that shares its port with others.

    `number` counts them from 0; `folder` has a socket of each, where it shows its own metrics; `lifeline` is
    a file descriptor that is readable to its end once the process that started this one is gone.
    """

    number: int
    folder: Path
    lifeline: int


async def serve(
    settings: Settings,
    addresses: Addresses,
    say: Callable[[str], None],
    *,
    ready: Callable[[str], None] | None = None,
    sharing: Sharing | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM. `ready` is told once it serves, with what there is to say about it.

    On SIGTERM /readyz answers 503 for `settings.drain` first, so that a load balancer stops sending; requests
    under way are finished, then timers, engine and publisher, in this order.
    """
    raise_limit()
    _share_memory()
    stopping = _Stopping()
    async with contextlib.AsyncExitStack() as closing:
        closing.callback(stopping.close)
        sockets = bind(settings, shared=sharing is not None)
        for_operators = bind_operations(settings, shared=sharing is not None)
        for one in (*sockets, *for_operators):
            closing.callback(one.close)
        settings = replace(settings, port=sockets[0].getsockname()[1])
        if sharing is None:
            await prepare_embedded(addresses, settings)
        if for_operators:
            settings = replace(settings, operations_port=for_operators[0].getsockname()[1])
        runtime = await Runtime.start(
            settings,
            database_url=addresses.database_url,
            redis_url=addresses.redis_url,
            make_supplement=dialects.supplement_of(settings),
        )
        closing.push_async_callback(runtime.close)
        metrics_aggregator = (
            MetricsAggregator(runtime.metrics, sharing.folder, sharing.number)
            if sharing is not None
            else None
        )
        build = partial(
            build_runner,
            runtime,
            draining=lambda: stopping.draining,
            metrics_page=metrics_aggregator.page if metrics_aggregator is not None else None,
        )
        if addresses.embedded and (sharing is None or sharing.number == 0):
            # The embedded default is usable at once: there are people who can be booked.
            await introduce_people(runtime, beside_others=False)
        if metrics_aggregator is not None:
            closing.push_async_callback(metrics_aggregator.close)
            await metrics_aggregator.start()
        # Those who watch the service may do so until it has stopped serving.
        await _listen(closing, build(for_operators=True), for_operators)
        runner = build(shutdown_timeout=_SHUTDOWN_SECONDS)
        await _listen(closing, runner, sockets)
        collecting.spare()
        rounds = keep_running(partial(_collect_when_quiet, runner), "garbage collection")
        closing.push_async_callback(cancel, rounds)
        if sharing is not None:
            await stopping.when_closed(sharing.lifeline)
        ably = runtime.ably.endpoint
        (ready or say)(welcome(settings, ably=ably, embedded=addresses.embedded))
        await stopping.wait()
        if stopping.draining:
            await asyncio.sleep(settings.drain.total_seconds())
        say("Stopping: finishing what is under way ...")
    say("Stopped.")


def _share_memory() -> None:
    """Have threads share what they free, and give back what is large (glibc).

    Else each thread keeps the most that it ever held, and files that were sent are kept as room for others.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_ARENAS, 2)
        libc.mallopt(_LARGE, _LARGE_BYTES)


async def _listen(closing: contextlib.AsyncExitStack, runner: Runner, sockets: list[socket]) -> None:
    if sockets:
        closing.push_async_callback(runner.cleanup)
        await runner.setup()
        for one in sockets:
            await web.SockSite(runner, one, backlog=_BACKLOG).start()


async def _collect_when_quiet(runner: Runner) -> None:
    def requests() -> int:
        return runner.server.requests_count if runner.server is not None else 0

    await collecting.collect_when_quiet(requests, longest_wait=_FULL_ROUND_SECONDS)


class _Stopping:
    """Waits for a signal. A second one stops at once, as impatient people expect."""

    def __init__(self) -> None:
        self.draining = False
        self._asked = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._lifeline: asyncio.ReadTransport | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._ask, number)

    async def wait(self) -> None:
        await self._asked.wait()

    async def when_closed(self, lifeline: int) -> None:
        """Stop as well when the other end of a pipe is closed."""
        asked = self._ask

        class Ended(asyncio.Protocol):
            def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
                asked(signal.SIGINT)

        self._lifeline, _ = await self._loop.connect_read_pipe(Ended, os.fdopen(lifeline, "rb", buffering=0))

    def _ask(self, number: int) -> None:
        self.draining = number == signal.SIGTERM
        self._asked.set()
        self.close()

    def close(self) -> None:
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.remove_signal_handler(number)


def welcome(settings: Settings, *, ably: str | None, embedded: bool, processes: int = 1) -> str:
    """Say where the service is, and how to call it. `ably` is the address of the local endpoint."""
    here, base = f"http://{authority(settings.host, settings.port)}", settings.base_url
    lines = [
        "",
        f"rdchat is serving on {here}" + (f" with {processes} processes" if processes > 1 else ""),
        *([f"  Reached at          {base}"] if base != here else []),
        *([_WHERE_LINKS_LEAD] if settings.public_url is None and not embedded else []),
        *_where_the_app_is(settings),
        f"  Overview            {base}/",
        f"  API documentation   {settings.operations_url}/docs",
        f"  Health              {base}/readyz",
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
            who = f'--sub {SARI.id} --name "{SARI.full_name}"'
            lines.append(f"  .venv/bin/python run.py token --role psychologist {who}")
    lines += ["", "Ctrl-C stops it."]
    return "\n".join(lines)


def _where_the_app_is(settings: Settings) -> list[str]:
    if settings.sign_in == "off":
        return []
    lacking = missing(WEB / "node_modules")
    fault = f" (it lacks {len(lacking)} files of its packages: `{COMMAND}` brings them)" if lacking else ""
    return [f"  Start here          {settings.base_url}/app{fault}"]

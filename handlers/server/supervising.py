"""Serving with several processes on one port.

Python uses one processor for a process. So one process starts others, each a whole replica, over which the
kernel spreads connections (SO_REUSEPORT); it starts those that die again, and hands signals on. It serves
nothing itself but the local Ably endpoint, where that is used. Which process a request reaches makes no
difference: the version of a session decides between them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import tempfile
from asyncio.subprocess import PIPE
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from handlers.server.serving import Sharing, serve, welcome
from rdchat.common.stores import Addresses
from rdchat.operations.administration import prepare_embedded
from rdchat.runtime import start_local_endpoint

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable, Sequence

    from config import Settings

log = structlog.get_logger(__name__)

_READY: Final = b"ready\n"
_STARTS_WITHIN_SECONDS: Final = 60.0
#: A process that lives shorter than that is started again after a pause, twice as long each time.
_SOON_SECONDS: Final = 10.0
_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 10.0


class ProcessFailedError(Exception):
    """One of the processes did not come to serve; its log says why."""


async def supervise(
    settings: Settings,
    addresses: Addresses,
    say: Callable[[str], None],
    *,
    command: Sequence[str],
    processes: int,
) -> None:
    """Serve with `processes` processes until SIGINT or SIGTERM; `command` starts one (see `serve_shared`).

    Raise ProcessFailedError when one does not start, OSError when the port is taken.
    """
    port = _reserve(settings.host, settings.port)
    await prepare_embedded(addresses, settings)
    operations_port = None
    if settings.operations_port is not None:
        operations_port = _reserve(settings.operations_host, settings.operations_port)
    endpoint = await start_local_endpoint(settings)
    ably = endpoint.address if endpoint is not None else settings.ably_endpoint
    stopping = asyncio.Event()
    asked: list[int] = []
    loop = asyncio.get_running_loop()

    def ask(number: int) -> None:
        asked.append(number)
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask, number)
    with tempfile.TemporaryDirectory(prefix="rdchat-") as folder:
        script = {
            "folder": folder,
            "port": port,
            "operationsPort": operations_port,
            "databaseUrl": addresses.database_url,
            "redisUrl": addresses.redis_url,
            "embedded": addresses.embedded,
            "ablyEndpoint": ably,
        }
        children = [_Child(command, script | {"number": number}) for number in range(processes)]
        try:
            await asyncio.gather(*(child.start() for child in children))
            welcomed = replace(settings, port=port, operations_port=operations_port)
            say(welcome(welcomed, ably=ably, embedded=addresses.embedded, processes=processes))
            minding = [asyncio.create_task(child.mind()) for child in children]
            await stopping.wait()
            for task in minding:
                task.cancel()
            await asyncio.gather(*minding, return_exceptions=True)
            say("Stopping: finishing what is under way ...")
        finally:
            await asyncio.gather(*(child.stop(asked[0] if asked else signal.SIGTERM) for child in children))
            if endpoint is not None:
                await endpoint.close()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
    say("Stopped.")


def _reserve(host: str, port: int) -> int:
    """Find out that no other program has the port, or which one is free. Raise OSError."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        return int(probe.getsockname()[1])


class _Child:
    """One process, started again whenever it dies. Closing its standard input ends it."""

    def __init__(self, command: Sequence[str], script: dict[str, Any]) -> None:
        self._command = command
        self._script = script
        self._process: Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it serves. Raise ProcessFailedError."""
        # Not in our process group: Ctrl-C is for us alone, and we hand it on.
        process = self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, start_new_session=True
        )
        if process.stdin is None or process.stdout is None:  # pragma: no cover - they are pipes
            raise ProcessFailedError
        process.stdin.write(json.dumps(self._script).encode() + b"\n")
        try:
            async with asyncio.timeout(_STARTS_WITHIN_SECONDS):
                line = await process.stdout.readline()
        except TimeoutError:
            line = b""
        if line != _READY:
            # One that hangs would never be started again.
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            raise ProcessFailedError(f"process {self._script['number']} does not serve")

    async def mind(self) -> None:
        """Start it again whenever it has died."""
        pause = _FIRST_PAUSE_SECONDS
        loop = asyncio.get_running_loop()
        while self._process is not None:
            began = loop.time()
            status = await self._process.wait()
            pause = _FIRST_PAUSE_SECONDS if loop.time() - began > _SOON_SECONDS else pause * 2
            log.error(
                "a process has died and is started again", process=self._script["number"], status=status
            )
            await asyncio.sleep(min(pause, _LONGEST_PAUSE_SECONDS))
            with contextlib.suppress(ProcessFailedError):
                await self.start()

    async def stop(self, number: int) -> None:
        """Hand a signal on, and wait for the end."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        await process.wait()


async def serve_shared(settings: Settings) -> None:
    """Be one of the processes: what is to be done comes by standard input, a line of JSON."""
    lifeline = os.dup(0)
    with os.fdopen(0, "rb", buffering=0, closefd=False) as source:
        script = json.loads(_line(source))
    await serve(
        replace(
            settings,
            port=script["port"],
            operations_port=script["operationsPort"],
            ably_endpoint=script["ablyEndpoint"],
        ),
        Addresses(script["databaseUrl"], script["redisUrl"], embedded=script["embedded"]),
        lambda _text: None,
        ready=lambda _text: _tell_ready(),
        sharing=Sharing(number=script["number"], folder=Path(script["folder"]), lifeline=lifeline),
    )


def _line(source: Any) -> bytes:  # noqa: ANN401 - a raw file; reading it to the end would wait for the end
    line = b""
    while not line.endswith(b"\n"):
        byte = source.read(1)
        if not byte:
            raise ProcessFailedError("not started by `serve --processes`")
        line += byte
    return line


def _tell_ready() -> None:
    os.write(1, _READY)

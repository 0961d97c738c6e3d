"""The service, as a process of its own on free ports with a data directory that is thrown away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections import deque
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import psutil

from rdchat.local.stores import launch

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Mapping
    from datetime import timedelta

_ROOT: Final = Path(__file__).parents[3]
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0
_TAIL_LINES: Final = 30
_ADDRESS: Final = re.compile(r"serving on (http://\S+)")
#: How the service logs what it should not have to.
_FAULT: Final = re.compile(r"\[(error|critical)\s*\]|^Traceback |^(ERROR|CRITICAL) ")
#: A session plays in the same way with it and without.
_WAY_OF_DELIVERY: Final = "RDCHAT_ABLY_CIPHER"
#: A process that the kernel has been asked to watch over stays who it is.
_SAME_ACCOUNT: Final = ("-1", "-1")


class ServiceError(Exception):
    """The service did not come up. `tail` is the end of what it said."""

    def __init__(self, reason: str, tail: list[str]) -> None:
        super().__init__(reason)
        self.tail = tail


class Service:
    """A running service. `status` is its exit status once it has ended."""

    def __init__(self, process: Process, jwt_secret: str) -> None:
        self.jwt_secret = jwt_secret
        self.address = ""
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self.faults: list[str] = []
        self.status: int | None = None
        self._process = process
        self._answers = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def ready(self) -> None:
        """Wait until it serves. Raise ServiceError."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_SECONDS):
                await self._answers.wait()
        if self.address:
            return
        if self._process.returncode is None and not self._reader.done():
            raise ServiceError(f"It did not answer within {_START_SECONDS:.0f} s.", list(self.tail))
        status = await self._process.wait()
        raise ServiceError(f"It ended with status {status}.", list(self.tail))

    async def ended(self) -> None:
        """Wait until it has ended on its own."""
        await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end and wait; what is still there after a while is killed, with its stores."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT)
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                self._kill()
        self.status = await self._process.wait()
        await self._reader

    def _kill(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            head = psutil.Process(self._process.pid)
            # The stores run in sessions of their own: a signal to the group would miss them.
            for process in [head, *head.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

    async def _read(self) -> None:
        stream = self._process.stdout
        while stream is not None and (raw := await stream.readline()):
            line = raw.decode(errors="replace").rstrip()
            self.tail.append(line)
            if _FAULT.search(line):
                self.faults.append(line)
            if not self.address and (found := _ADDRESS.search(line)):
                self.address = found[1]
                self._answers.set()
        self._answers.set()


class Plan(Protocol):
    """How long before the start and the end of a session its automations run."""

    @property
    def initial_lead(self) -> timedelta:
        """From the first automated message to the start."""
        ...

    @property
    def warning_lead(self) -> timedelta:
        """From the end warning to the end."""
        ...


@asynccontextmanager
async def starting(plan: Plan, changes: Mapping[str, str] | None = None) -> AsyncIterator[Service]:
    """Start a service for the block; nothing of it is left afterwards. Wait for it with `ready`.

    `changes` are settings that are to differ from those of the demo.
    """
    # A directory that cannot be emptied must not hide what went wrong before.
    with tempfile.TemporaryDirectory(prefix="rdchat-demo-", ignore_cleanup_errors=True) as directory:
        secret = secrets.token_urlsafe(32)
        environment = _environment(plan, Path(directory), secret) | dict(changes or {})
        service = Service(await _spawn(environment), secret)
        try:
            yield service
        finally:
            await _undisturbed(service)


async def _spawn(environment: dict[str, str]) -> Process:
    # Its own session, so that Ctrl-C reaches the demo alone, which then ends it in order; and through the
    # launcher, so that on Linux it ends as well when the demo is killed.
    orders = [str(os.getpid()), str(int(signal.SIGINT)), *_SAME_ACCOUNT]
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", launch.__file__, *orders),
        *(sys.executable, str(_ROOT / "run.py"), "serve"),
        cwd=_ROOT,
        env=environment,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
    )


def _environment(plan: Plan, directory: Path, jwt_secret: str) -> dict[str, str]:
    # No setting of the caller gets through but one: it must not touch their stores or their Ably.
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RDCHAT_") or name == _WAY_OF_DELIVERY
    }
    return inherited | {
        "RDCHAT_HOST": "127.0.0.1",
        "RDCHAT_PORT": "0",
        "RDCHAT_ABLY_LOCAL_PORT": "0",
        "RDCHAT_DATA_DIR": str(directory),
        "RDCHAT_JWT_SECRET": jwt_secret,
        "RDCHAT_INITIAL_MESSAGE_LEAD": str(plan.initial_lead.total_seconds()),
        "RDCHAT_END_WARNING_LEAD": str(plan.warning_lead.total_seconds()),
        "RDCHAT_MIN_SESSION": "1",
        "RDCHAT_DRAIN_SECONDS": "0",
        "PYTHONUNBUFFERED": "1",
    }


async def _undisturbed(service: Service) -> None:
    """Stop the service, also while this task is being cancelled."""
    stopping = asyncio.create_task(service.stop())
    while not stopping.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(stopping)
    stopping.result()

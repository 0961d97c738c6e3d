"""A driver's process, from the benchmark's side: commands in, answers out, everything bounded in time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from typing import TYPE_CHECKING, Any, ClassVar, Self

from benchmarks.peers import BENCH, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: An answer may hold the instants of ten thousand jobs.
_LINE_BYTES = 64 * 1024 * 1024
_START_SECONDS = 30.0


class DriverError(Exception):
    """A driver failed, or did not answer in time; the text says how."""


class Driver:
    """One process with children of its own perhaps; they form a group, and are ended together by SIGKILL."""

    #: Called before processes are ended, to count what they used.
    before_kill: ClassVar[Callable[[], None]] = staticmethod(lambda: None)

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self._process = process
        self._name = name

    @classmethod
    async def start(
        cls, name: str, command: Sequence[str], role: str, options: Mapping[str, Any], *, wait: bool = True
    ) -> Self:
        """Start a driver and, unless stated otherwise, wait until it is ready."""
        logs = BENCH / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with (logs / f"{name}-{role}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command,
                role,
                json.dumps(options),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                start_new_session=True,
                limit=_LINE_BYTES,
            )
        self = cls(process, name)
        if wait:
            try:
                await self.hear(seconds=_START_SECONDS)
            except BaseException:
                await self.kill()
                raise
        return self

    async def ask(self, *, seconds: float, **command: Any) -> dict[str, Any]:  # noqa: ANN401 - it becomes JSON
        """Send a command and return its answer. Raise DriverError."""
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        return await self.hear(seconds=seconds)

    async def hear(self, *, seconds: float) -> dict[str, Any]:
        """Return the next answer. Raise DriverError."""
        try:
            async with asyncio.timeout(seconds):
                text = await self._process.stdout.readline()
        except TimeoutError:
            raise DriverError(f"no answer within {seconds:.0f} s") from None
        if not text:
            raise DriverError(f"ended unexpectedly; see .bench/logs/{self._name}-*.log")
        answer = json.loads(text)
        if "error" in answer:
            raise DriverError(answer["error"])
        return answer

    async def reached(self, *, seconds: float) -> bool:
        """Wait until a worker reports that it ran as many jobs as it expects."""
        try:
            await self.hear(seconds=seconds)
        except DriverError:
            if self._process.returncode is not None or self._process.stdout.at_eof():
                raise
            return False
        return True

    async def kill(self) -> None:
        """End the process and all that it started, at once."""
        type(self).before_kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

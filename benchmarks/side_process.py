"""A process beside the benchmark: it gets lines of JSON, and answers each with one."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.service import family_seconds

if TYPE_CHECKING:
    from asyncio.subprocess import Process

_ROOT = Path(__file__).parents[1]
#: An answer holds the latencies of a whole run.
_LONGEST_LINE = 64 * 2**20


class SideProcess:
    """Runs `module` as a process. `script` is the first line it gets; the answer says that it is ready."""

    def __init__(self, module: str, script: dict[str, Any]) -> None:
        self._module = module
        self._script = script
        self._process: Process | None = None

    async def start(self) -> None:
        """Start the process, and wait until it is ready."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", self._module), cwd=_ROOT, stdin=PIPE, stdout=PIPE, limit=_LONGEST_LINE
        )
        await self.ask(self._script)

    async def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Send an order, and return its result."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise RuntimeError(f"{self._module} was not started")
        process.stdin.write(json.dumps(order).encode() + b"\n")
        await process.stdin.drain()
        answer = await process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self._module} has died")
        result: dict[str, Any] = json.loads(answer)
        return result

    def cpu_seconds(self) -> float:
        """Return the processor time that the process has used."""
        return family_seconds(psutil.Process(self._process.pid)) if self._process is not None else 0.0

    async def kill(self) -> None:
        """End the process at once, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None

    async def stop(self) -> None:
        """End the process."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()
            self._process = None


async def next_order() -> dict[str, Any] | None:
    """In the process: wait for the next line; None when there will be no more."""
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    order: dict[str, Any] | None = json.loads(line) if line else None
    return order


def answer(result: dict[str, Any]) -> None:
    """In the process: answer an order."""
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()

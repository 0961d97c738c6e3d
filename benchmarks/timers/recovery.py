"""What a killed worker costs: when another one runs the job that it was in the middle of.

All contenders wait at the same time, each in its own logical database: most of it is waiting.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.timers.process import Driver, DriverError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from benchmarks.timers.contenders import Contender

_DUE_MS = 1_000
#: Until the first worker runs the job; one that looks for schedules once a minute would not be killed in it.
_FIRST_SECONDS = 30.0
_LOOK_SECONDS = 0.02


@dataclass(slots=True)
class _Case:
    contender: Contender
    command: list[str]
    where: dict[str, int]
    markers: Path
    client: Driver | None = None
    first: Driver | None = None
    second: Driver | None = None
    killed_ns: int = 0

    def marker(self, which: str) -> Path:
        return self.markers / f"{self.contender.name}-{which}"

    async def worker(self, which: str) -> Driver:
        options = {**self.where, **self.contender.worker, "marker": str(self.marker(which))}
        return await Driver.start(self.contender.name, self.command, "worker", options)


async def recover(
    commands: Mapping[Contender, list[str]],
    *,
    port: int,
    seconds: float,
    markers: Path,
    say: Callable[[str], None],
) -> dict[str, dict[str, Any]]:
    """Measure all contenders; returns by name how many seconds it took, or why there is no number."""
    results: dict[str, dict[str, Any]] = {}
    cases = [
        _Case(contender, command, {"port": port, "db": contender.db}, markers)
        for contender, command in commands.items()
    ]
    waiting = []
    try:
        begun = await asyncio.gather(*(_begin(case) for case in cases), return_exceptions=True)
        for case, error in zip(cases, begun, strict=True):
            if isinstance(error, DriverError):
                results[case.contender.name] = {"failed": str(error)}
                continue
            if error is not None:
                raise error
            # One after another, so that no worker's start is slowed by the start of others, and each is
            # killed before its library's patience with the job is at an end.
            try:
                await _kill_in_the_middle(case)
                waiting.append(asyncio.create_task(_wait(case, seconds, say), name=case.contender.name))
            except DriverError as error:
                results[case.contender.name] = {"failed": str(error)}
        for task in waiting:
            results[task.get_name()] = await task
    finally:
        for task in waiting:
            task.cancel()
        for driver in [driver for case in cases for driver in (case.client, case.first, case.second)]:
            if driver is not None:
                await driver.kill()
    return results


async def _begin(case: _Case) -> None:
    case.first = await case.worker("first")
    case.client = await Driver.start(case.contender.name, case.command, "client", case.where)


async def _kill_in_the_middle(case: _Case) -> None:
    due_ms = time.time_ns() // 1_000_000 + _DUE_MS
    await case.client.ask(
        do="schedule",
        jobs={"count": 1, "seed": "recovery", "due_ms": due_ms},
        batch=1,
        exact=True,
        give_up=_FIRST_SECONDS,
        seconds=_FIRST_SECONDS,
    )
    if await _marked(case.marker("first"), _FIRST_SECONDS) is None:
        raise DriverError(f"the job did not run within {_FIRST_SECONDS:.0f} s in the first place")
    case.killed_ns = time.time_ns()
    await case.first.kill()
    case.second = await case.worker("second")


async def _wait(case: _Case, seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    left = seconds - (time.time_ns() - case.killed_ns) / 1e9
    again_ns = await _marked(case.marker("second"), left)
    if again_ns is None:
        return {"failed": f"not within {seconds:.0f} s"}
    took = (again_ns - case.killed_ns) / 1e9
    say(f"{case.contender.title} runs the job again after {took:.1f} s")
    return {"seconds": took}


async def _marked(marker: Path, seconds: float) -> int | None:
    """Wait for the marker; return the instant (ns) that the handler wrote into it."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        text = _content(marker)
        if text:
            return int(text)
        await asyncio.sleep(_LOOK_SECONDS)
    return None


def _content(marker: Path) -> str:
    return marker.read_text() if marker.exists() else ""

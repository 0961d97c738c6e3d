"""What every driver shares: the jobs, the conversation with the benchmark, and the noting of instants.

A driver is one process that knows one library. As a client it takes orders to schedule, count or cancel jobs,
one JSON object a line on its standard input, and answers each line with one. As a worker it runs jobs, notes
when each started, and reports that on request. Only the standard library is used here: drivers run in virtual
environments of their own.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

KINDS = ("initial_message", "enable_chat", "end_warning", "auto_end")
HOST = "127.0.0.1"

Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True)
class Job:
    """One automation of one session, due at an instant (ms since 1970)."""

    session: str
    kind: str
    version: int
    due_ms: int


class Client(Protocol[Batch]):
    """One library, as its users schedule jobs."""

    async def open(self, where: dict[str, Any]) -> None:
        """Connect. `where` has `port` and `db`."""

    def prepare(self, jobs: list[Job], *, exact: bool) -> Batch:
        """Make what the library is handed; not timed. `exact`: due to the millisecond, at any cost."""

    async def schedule(self, prepared: Batch) -> None:
        """Schedule one batch; timed."""

    async def cancel(self, count: int) -> int:
        """Cancel `count` of what was scheduled, timed; returns how many that were."""

    async def pending(self) -> int:
        """Count the jobs that wait."""

    async def close(self) -> None:
        """Disconnect."""


def make_jobs(spec: dict[str, Any]) -> list[Job]:
    """Make the jobs of a specification: four a session, due from `due_ms` on, `rate` a second or at once.

    The same arguments give the same jobs in every driver, the one in JavaScript included.
    """
    rate = spec.get("rate")
    jobs = []
    for index in range(spec["count"]):
        digest = hashlib.md5(f"{spec['seed']}:{index // 4}".encode(), usedforsecurity=False).hexdigest()
        session = "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))
        due_ms = spec["due_ms"] + (index * 1000 // rate if rate else 0)
        jobs.append(Job(session, KINDS[index % 4], 1, due_ms))
    return jobs


class Line:
    """Standard output, for answers only: what a library prints goes to standard error."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w")
        self._lock = threading.Lock()
        os.dup2(2, 1)

    def say(self, answer: dict[str, Any]) -> None:
        """Write one answer."""
        with self._lock:
            self._out.write(json.dumps(answer) + "\n")
            self._out.flush()


class Recorder:
    """Notes when each job started. Kept in memory; asked for when all is over."""

    def __init__(self, line: Line, options: dict[str, Any]) -> None:
        self._line = line
        self._ran: list[tuple[str, str, int]] = []
        self._expect = options.get("expect", -1)
        marker = options.get("marker")
        self.marker = None if marker is None else Path(marker)

    def note(self, session: str, kind: str) -> None:
        """Note that a job starts now."""
        self._ran.append((session, kind, time.time_ns()))
        if len(self._ran) == self._expect:
            self._line.say({"done": True})

    def mark(self) -> None:
        """Show that the job which will never end has started."""
        self.marker.write_text(str(time.time_ns()))

    def ran(self) -> Sequence[tuple[str, str, int]]:
        """Return what was noted."""
        return list(self._ran)


def read_commands(answer: Callable[[dict[str, Any]], None]) -> None:
    """Call `answer` with each line of standard input, from a thread; the process ends with its input."""

    def run() -> None:
        # Not by `sys.stdin`: its lock would be held for good in a process forked meanwhile.
        rest = b""
        while block := os.read(0, 65536):
            *lines, rest = (rest + block).split(b"\n")
            for text in lines:
                answer(json.loads(text))
        # With all that the library has started: this process leads its group.
        os.killpg(os.getpid(), signal.SIGKILL)

    threading.Thread(target=run, daemon=True, name="commands").start()


def start_worker(options: dict[str, Any], recorder_class: type[Recorder] = Recorder) -> Worker:
    """Start the worker's side of the conversation."""
    line = Line()
    recorder = recorder_class(line, options)
    read_commands(lambda _: line.say({"ran": recorder.ran()}))
    return Worker(line, recorder)


@dataclass(frozen=True, slots=True)
class Worker:
    """The worker's side of the conversation."""

    line: Line
    recorder: Recorder

    def ready(self) -> None:
        """Report that jobs are being taken from now on."""
        self.line.say({"ready": True})

    async def handle(self, session: str, kind: str) -> None:
        """Run as the job: note the instant, nothing else. With a marker: never end."""
        if self.recorder.marker is not None:
            self.recorder.mark()
            await asyncio.sleep(3600)
        self.recorder.note(session, kind)


async def serve_client(client: Client[Any], where: dict[str, Any]) -> None:
    """Do what standard input says until it ends."""
    line = Line()
    await client.open(where)
    line.say({"ready": True})
    while text := await asyncio.to_thread(sys.stdin.readline):
        command = json.loads(text)
        try:
            line.say(await _obey(client, command))
        except Exception as error:  # noqa: BLE001 - what a library raises is its result
            line.say({"error": f"{type(error).__name__}: {error}"[:300]})
    await client.close()


async def _obey(client: Client[Any], command: dict[str, Any]) -> dict[str, Any]:
    match command["do"]:
        case "schedule":
            jobs = make_jobs(command["jobs"])
            size = command["batch"]
            batches = [
                (len(jobs[at : at + size]), client.prepare(jobs[at : at + size], exact=command["exact"]))
                for at in range(0, len(jobs), size)
            ]
            give_up = command["give_up"]
            done = 0
            begin = time.perf_counter()
            for count, prepared in batches:
                await client.schedule(prepared)
                done += count
                if time.perf_counter() - begin > give_up:
                    break
            return {"scheduled": done, "seconds": time.perf_counter() - begin}
        case "cancel":
            begin = time.perf_counter()
            cancelled = await client.cancel(command["count"])
            return {"cancelled": cancelled, "seconds": time.perf_counter() - begin}
        case "pending":
            return {"pending": await client.pending()}
    raise ValueError(command["do"])


async def spread(calls: Iterable[Callable[[], Awaitable[Any]]], *, at_once: int) -> list[Any]:
    """Make many calls, `at_once` of them under way at a time; returns what they return, in no order."""
    waiting = iter(calls)
    results: list[Any] = []

    async def run() -> None:
        for call in waiting:
            results.append(await call())  # noqa: PERF401 - one after another is the point

    await asyncio.gather(*(run() for _ in range(at_once)))
    return results


def main(
    make_client: Callable[[], Client[Any]],
    run_worker: Callable[[dict[str, Any]], None],
    run: Callable[[Any], None] = asyncio.run,
) -> None:
    """Run the driver that the arguments ask for: `client` or `worker`, then options as JSON."""
    role, options = sys.argv[1], json.loads(sys.argv[2])
    if role == "client":
        run(serve_client(make_client(), options))
    else:
        run_worker(options)

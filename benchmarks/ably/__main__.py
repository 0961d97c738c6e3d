"""The local Ably endpoint under load: delivery, and whether its memory grows."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from subprocess import PIPE
from typing import TYPE_CHECKING

import click
import psutil
import uvloop

from benchmarks.ably.clients import Clients
from benchmarks.machine import Elsewhere, describe
from benchmarks.page import RESULTS, write_section
from benchmarks.quantiles import quantile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_ROOT = Path(__file__).parents[2]
_KEY = "bench.key:the-secret-of-the-benchmark-long-enough-for-a-signature"
_CHANNELS = 1_000
_SUBSCRIBERS = 2_000
_SDK = 20
#: Each stays far below the 50 messages a second that a connection may publish, even when it has to catch up.
_PUBLISHERS = 200
_PART = 25_000
#: From here on the endpoint forgets as much as it learns (`Limits.memory_messages`).
_FULL = 50_000
_TARGET_MS = 100.0
_GROWTH = 1.05

_PROSE = """## The local Ably endpoint

`.venv/bin/python -m benchmarks.ably --write`, {seconds} s. {machine}.
{share:.0%} of the processors were used by others.

{subscribers:,} subscribers on {channels:,} channels ({sdk} of them the genuine Python SDK, the others bare
websockets in one process), {publishers} publishers, {rate:,} messages of 130 bytes a second, each to two
subscribers. Delivery is counted from the instant at which a message was due. The endpoint runs with the
limits of the real service, in a process of its own; the clients have the other core. *Bare aiohttp* is the
least that fanning out can cost: no credentials, no checks, no order, no history.
"""


@dataclass(slots=True)
class Run:
    """What one server did: latencies in ms, memory in MiB after each part, processor in us a delivery."""

    name: str
    messages: int = 0
    delivered: int = 0
    missing: int = 0
    repeated: int = 0
    sdk: int = 0
    p50: float = 0.0
    p99: float = 0.0
    worst: float = 0.0
    processor: float = 0.0
    busy: float = 0.0
    idle_mib: float = 0.0
    memory: list[float] = field(default_factory=list)


@click.command()
@click.option("--rate", default=2_000, show_default=True, help="Messages a second.")
@click.option("--messages", default=200_000, show_default=True)
@click.option("--write", is_flag=True, help="Write the figures to docs/benchmarks.md and results/.")
def main(*, rate: int, messages: int, write: bool) -> None:
    """Measure the local Ably endpoint: about two and a half minutes."""
    elsewhere = Elsewhere()
    began = time.monotonic()
    endpoint = ["run.py", "ably", "--port", "0", "--key", _KEY, "--no-control"]
    floor = uvloop.run(
        measure(
            "bare aiohttp",
            ["-m", "benchmarks.ably.floor"],
            None,
            rate=rate,
            messages=_PART,
            elsewhere=elsewhere,
        )
    )
    ours = uvloop.run(measure("endpoint", endpoint, _KEY, rate=rate, messages=messages, elsewhere=elsewhere))
    elsewhere.stop()
    seconds = round(time.monotonic() - began)
    text = table(ours, floor)
    click.echo(text)
    if write:
        machine = describe()
        prose = _PROSE.format(
            seconds=seconds,
            machine="{cpu}, {cores} cores, Python {python} ({build})".format(**machine),
            share=elsewhere.share,
            subscribers=_SUBSCRIBERS,
            channels=_CHANNELS,
            sdk=_SDK,
            publishers=_PUBLISHERS,
            rate=rate,
        )
        RESULTS.mkdir(exist_ok=True)
        figures = {"machine": machine, "rate": rate, "runs": [asdict(ours), asdict(floor)]}
        (RESULTS / "ably.json").write_text(json.dumps(figures, indent=1) + "\n")
        write_section("ably", f"{prose}\n{text}")


async def measure(
    name: str, command: list[str], key: str | None, *, rate: int, messages: int, elsewhere: Elsewhere
) -> Run:
    """Let the clients talk through one server."""
    run = Run(name)
    async with _server(command) as (address, process):
        clients = Clients(
            address,
            key,
            channels=_CHANNELS,
            subscribers=_SUBSCRIBERS,
            sdk=_SDK if key is not None else 0,
            publishers=_PUBLISHERS,
        )
        await clients.start()
        latencies: list[float] = []
        try:
            click.echo(f"{name}: {_SUBSCRIBERS:,} subscribers are attached ...")
            await clients.publish(rate=rate, messages=rate)  # so that everything has been used once
            run.idle_mib = process.memory_info().rss / 2**20
            times, began = process.cpu_times(), time.monotonic()
            while run.messages < messages:
                part = min(_PART, messages - run.messages)
                heard = await clients.publish(rate=rate, messages=part)
                run.messages += part
                for what in ("delivered", "missing", "repeated", "sdk"):
                    setattr(run, what, getattr(run, what) + heard[what])
                latencies += heard["latencies"]
                run.memory.append(process.memory_info().rss / 2**20)
                elsewhere.sample()
                click.echo(
                    f"... {run.messages:,} messages: p99 {quantile(heard['latencies'], 0.99):.1f} ms, "
                    f"{run.memory[-1]:.0f} MiB"
                )
            spent = sum(process.cpu_times()[:2]) - sum(times[:2])
            run.busy = spent / (time.monotonic() - began)
            run.processor = spent / run.delivered * 1e6
        finally:
            await clients.stop()
    latencies.sort()
    run.p50, run.p99, run.worst = (quantile(latencies, share) for share in (0.5, 0.99, 1.0))
    return run


def table(ours: Run, floor: Run) -> str:
    """Render the figures as a Markdown table, and say which targets hold."""
    rows = [
        ("messages", *(f"{run.messages:,}" for run in (ours, floor))),
        ("delivered", *(f"{run.delivered:,}" for run in (ours, floor))),
        ("by the genuine SDK", f"{ours.sdk:,}", "-"),
        ("missing / repeated", *(f"{run.missing} / {run.repeated}" for run in (ours, floor))),
        ("p50", *(f"{run.p50:.1f} ms" for run in (ours, floor))),
        ("p99", *(f"{run.p99:.1f} ms" for run in (ours, floor))),
        ("worst", *(f"{run.worst:.1f} ms" for run in (ours, floor))),
        ("processor a delivery", *(f"{run.processor:.0f} us" for run in (ours, floor))),
        ("of one core", *(f"{run.busy:.0%}" for run in (ours, floor))),
    ]
    lines = [f"| | {ours.name} | {floor.name} |", "|---|--:|--:|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    full = [mib for number, mib in enumerate(ours.memory, 1) if number * _PART >= _FULL]
    grown = full[-1] / full[0] if len(full) > 1 else float("nan")
    memory = ", ".join(f"{mib:.0f}" for mib in ours.memory)
    lines += [
        "",
        f"Memory: {ours.idle_mib:.0f} MiB with all attached; after every {_PART:,} messages {memory} MiB.",
        "",
        "| target | reached | |",
        "|---|--:|---|",
        f"| p99 under {_TARGET_MS:.0f} ms | {ours.p99:.1f} ms | {_verdict(ours.p99 < _TARGET_MS)} |",
    ]
    exact = _verdict(not ours.missing and not ours.repeated)
    lines.append(f"| nothing missing, nothing twice | {ours.missing} / {ours.repeated} | {exact} |")
    flat = f"| memory grows by less than 5 % from {_FULL:,} messages on | {grown - 1:+.1%} |"
    lines.append(f"{flat} {_verdict(grown < _GROWTH)} |")
    return "\n".join(lines)


def _verdict(holds: bool) -> str:  # noqa: FBT001 - the only argument
    return "holds" if holds else "does not hold"


@asynccontextmanager
async def _server(command: list[str]) -> AsyncIterator[tuple[str, psutil.Process]]:
    """Start a server whose first line names its address; gives that and the process."""
    with tempfile.TemporaryDirectory(prefix="rdchat-bench-") as directory:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *command),
            cwd=_ROOT,
            env=os.environ | {"RDCHAT_DATA_DIR": directory},
            stdin=PIPE,
            stdout=PIPE,
        )
        try:
            if process.stdout is None:
                raise click.ClickException("no output")
            address = re.search(r"http://(\S+)", (await process.stdout.readline()).decode())
            if address is None:
                raise click.ClickException(f"{' '.join(command)} did not start")
            yield address[1], psutil.Process(process.pid)
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                await process.wait()


if __name__ == "__main__":
    main()

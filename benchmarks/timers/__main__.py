"""`python -m benchmarks.timers`: run the comparison, print it, and write it to docs/benchmarks.md."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import uvloop
from redis.asyncio import Redis

from benchmarks import machine
from benchmarks.peers import BENCH, PeerUnavailable
from benchmarks.timers import report
from benchmarks.timers.contenders import CONTENDERS
from benchmarks.timers.measure import Measurements
from benchmarks.timers.plan import FULL, QUICK
from benchmarks.timers.process import Driver
from benchmarks.timers.recovery import recover
from rdchat.common.clock import SystemClock, iso
from rdchat.local.stores import EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from benchmarks.timers.contenders import Contender
    from benchmarks.timers.plan import Plan

_HOST = "127.0.0.1"
_SAMPLE_SECONDS = 1.0
#: Beyond the ordinary ones of `make run`: no rewrite of the log starts in the middle of a measurement.
_REDIS = {"auto-aof-rewrite-percentage": "0"}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--only", help="Names, separated by commas: " + ",".join(one.name for one in CONTENDERS) + ".")
@click.option("--quick", is_flag=True, help="Small counts, to see that it works; nothing is written.")
@click.option("--recovery/--no-recovery", default=True, show_default=True, help="Measure recovery as well.")
def main(only: str | None, quick: bool, recovery: bool) -> None:  # noqa: FBT001 - click passes them by name
    """Compare rdchat's timers with other delay queues, all on one Redis, one worker each.

    The peers are installed into .bench/ from their lock files first. A complete run takes less than ten
    minutes and updates docs/benchmarks.md and benchmarks/results/timers.json.
    """
    chosen = [one for one in CONTENDERS if only is None or one.name in only.split(",")]
    if unknown := set((only or "").split(",")) - {one.name for one in CONTENDERS} - {""}:
        raise click.UsageError(f"There is no {', '.join(sorted(unknown))}.")
    # Ended like by Ctrl-C: drivers and server are stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begin = time.monotonic()
    started = iso(SystemClock().now())
    commands, missing = _install(chosen)
    BENCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=BENCH) as place, socket.socket() as reserved:
        reserved.bind((_HOST, 0))
        port = reserved.getsockname()[1]
        reserved.close()
        redis = EmbeddedRedis(Path(place) / "redis", settings={"port": str(port), **_REDIS})
        redis.start()
        try:
            measured = uvloop.run(
                _measure(commands, port, QUICK if quick else FULL, Path(place), recovery=recovery)
            )
        finally:
            redis.stop()
    results = {
        "started": started,
        "seconds": round(time.monotonic() - begin),
        "command": "python -m benchmarks.timers" + "".join(f" {argument}" for argument in sys.argv[1:]),
        "plan": report.plan_as_json(QUICK if quick else FULL),
        "machine": machine.describe(),
        **measured,
        "contenders": {
            one.name: {
                "title": one.title,
                "versions": {} if one.name in missing else one.versions(),
                **(
                    {"unavailable": missing[one.name]}
                    if one.name in missing
                    else measured["contenders"][one.name]
                ),
            }
            for one in chosen
        },
    }
    click.echo()
    click.echo(report.as_text(results))
    if quick or only or not recovery:
        click.echo("A part only, so nothing was written.")
    else:
        for path in report.write(results):
            click.echo(f"Written: {path}")


def _install(chosen: list[Contender]) -> tuple[dict[Contender, list[str]], dict[str, str]]:
    commands, missing = {}, {}
    for contender in chosen:
        say = _message_line(contender)
        try:
            commands[contender] = contender.command()
        except PeerUnavailable as error:
            say(str(error))
            missing[contender.name] = str(error)
    for log in (BENCH / "logs").glob("*.log"):
        log.unlink()
    return commands, missing


async def _measure(
    commands: dict[Contender, list[str]], port: int, plan: Plan, place: Path, *, recovery: bool
) -> dict[str, Any]:
    redis = Redis(host=_HOST, port=port, socket_timeout=30)
    server = await redis.info("server")
    results: dict[str, dict[str, Any]] = {}
    for contender, command in commands.items():
        say = _message_line(contender)
        async with _watched() as elsewhere:
            results[contender.name] = await Measurements(
                contender, command, redis=redis, port=port, plan=plan, say=say
            ).run()
        results[contender.name]["elsewhere"] = elsewhere.share
        if elsewhere.share > report.DISTURBED:
            say(f"disturbed: other processes used {elsewhere.share:.0%} of the processors")
    await redis.flushall()
    if recovery:
        click.echo(
            f"recovery: every worker is killed in the middle of a job; {plan.recovery_seconds:.0f} s at most"
        )
        found = await recover(
            commands,
            port=port,
            seconds=plan.recovery_seconds,
            markers=place,
            say=lambda text: click.echo(f"  {text}"),
        )
        for name, result in found.items():
            results[name]["recovery"] = result
    await redis.aclose()
    name = server.get("server_name", "redis")
    return {
        "redis": f"{name} {server.get(f'{name}_version', server['redis_version'])}",
        "contenders": results,
    }


@contextlib.asynccontextmanager
async def _watched() -> AsyncIterator[machine.Elsewhere]:
    elsewhere = machine.Elsewhere()
    Driver.before_kill = elsewhere.sample

    async def sample() -> None:
        while True:
            await asyncio.sleep(_SAMPLE_SECONDS)
            elsewhere.sample()

    sampling = asyncio.create_task(sample())
    try:
        yield elsewhere
    finally:
        elsewhere.stop()
        sampling.cancel()


def _message_line(contender: Contender) -> Callable[[str], None]:
    begin = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"{contender.title:18} {time.monotonic() - begin:5.0f} s  {text}")

    return say


if __name__ == "__main__":
    main()

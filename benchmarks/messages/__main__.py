"""Messages: how many, how soon, at what cost, under pressure, and when there is more of everything."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import uvloop

from benchmarks.machine import Elsewhere
from benchmarks.messages import delivery, growth, pressure, rates, report
from benchmarks.messages.contenders import Ours, floor, peer
from benchmarks.messages.stage import stage, stores
from benchmarks.messages.targets import OURS
from benchmarks.page import DOCUMENT, RESULTS, write_section
from benchmarks.rates import TYPICAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.messages.stage import Stores

_PARTS = ("rates", "delivery", "pressure", "growth")
_SESSIONS = 1_000
_QUICK_CONNECTIONS = (1, 64)
_IMAGES = Path(DOCUMENT).parent / "images"


@click.command()
@click.option("--only", default=",".join(_PARTS), show_default=True, help="Which parts, with commas.")
@click.option("--quick", is_flag=True, help="Fewer connections, to see that it works.")
@click.option("--processes", default="1,2", show_default=True, help="rdchat with so many processes.")
@click.option("--cipher", is_flag=True, help="rdchat with RDCHAT_ABLY_CIPHER as well; with --only rates.")
@click.option("--write", is_flag=True, help="Write to docs/benchmarks.md, docs/images/ and results/.")
def main(*, only: str, quick: bool, processes: str, cipher: bool, write: bool) -> None:
    """Measure the path of a message beside bare aiohttp and a NestJS service, and print what holds.

    Takes less than ten minutes. The first run installs the peer into .bench/.
    """
    parts = set(only.split(","))
    if parts - set(_PARTS):
        raise click.UsageError(f"--only takes some of {', '.join(_PARTS)}.")
    if write and (quick or parts != set(_PARTS)):
        raise click.UsageError("--write needs the whole of it.")
    if cipher and parts != {"rates"}:
        # Those who listen have no key.
        raise click.UsageError("--cipher needs --only rates.")
    began, elsewhere = time.monotonic(), Elsewhere()
    with stores() as running:
        counts = [int(count) for count in processes.split(",")]
        found = uvloop.run(measure(running, parts, counts, elsewhere.say, quick=quick, cipher=cipher))
    elsewhere.stop()
    found.seconds, found.used_by_others = time.monotonic() - began, elsewhere.share
    click.echo()
    click.echo(report.target_table(found))
    click.echo(f"\n{found.seconds:.0f} s; {found.used_by_others:.0%} of the processors were used by others.")
    if write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "messages.json").write_text(json.dumps(found.figures(), indent=1) + "\n")
        report.draw(found, _IMAGES)
        write_section("messages", report.section(found, plots=True))


async def measure(
    running: Stores,
    parts: set[str],
    processes: list[int],
    say: Callable[[str], None],
    *,
    quick: bool,
    cipher: bool = False,
) -> report.Findings:
    """Measure the parts one after the other."""
    found = report.Findings()
    async with stage(running, sessions=_SESSIONS) as scene:
        connections = _QUICK_CONNECTIONS if quick else rates.CONNECTIONS
        contenders = [floor(), await peer(scene), *(Ours(scene, processes=count) for count in processes)]
        if cipher:
            contenders += [Ours(scene, processes=count, cipher=True) for count in processes]
        capacities: dict[str, float] = {}
        for contender in contenders:
            await contender.start()
        try:
            wanted = connections if "rates" in parts else (TYPICAL,)
            measured = await rates.measure(scene, contenders, say, wanted)
            capacities = {contender.name: measured.capacity(contender.name) for contender in contenders}
            found.rates = measured if "rates" in parts else None
        finally:
            for contender in contenders:
                await contender.stop()
        if "delivery" in parts:
            for contender in contenders[1:]:
                # Alone: also those who do nothing look at the clock now and then.
                await contender.start()
                try:
                    found.deliveries += await delivery.measure(
                        scene, contender, capacities[contender.name], say
                    )
                finally:
                    await contender.stop()
        if "pressure" in parts:
            found.overloads = await pressure.overloads(scene, capacities[OURS], say)
            found.faults = await pressure.faults(scene, capacities[OURS], say)
        if "growth" in parts:
            found.growth = await growth.measure(scene, say)
    return found


if __name__ == "__main__":
    main()

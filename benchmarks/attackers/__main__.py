"""Attackers beside people who chat: what those notice of silent, dripping, stalled and piled-up requests."""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click
import uvloop

from benchmarks.attackers import report
from benchmarks.attackers.scene import scene
from benchmarks.machine import Elsewhere
from benchmarks.messages.stage import stores
from benchmarks.page import RESULTS, write_section

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.attackers.scene import Phase
    from benchmarks.messages.stage import Stores

_ATTACKS: Final = {
    "silent": 1_000,
    "dripping": 300,
    "slow readers": 40,
    "unread": 50,
    "diagrams": 60,
    "slow bodies": 1_040,
    "uploads": 25,
}
_QUIET: Final = "quiet"
_ALL: Final = "all at once"
_SECONDS: Final = 15.0
_QUICK_SECONDS: Final = 5.0
#: What a phase takes beyond its measurement, at the most while the service holds out.
_MARGIN_SECONDS: Final = 15.0


@click.command()
@click.option("--quick", is_flag=True, help="Shorter phases: about a minute and a half.")
@click.option("--only", help=f"Some of the attacks, with commas: {', '.join(_ATTACKS)}, {_ALL}.")
@click.option("--write", is_flag=True, help="Write to docs/benchmarks.md and results/.")
@click.option("--strict", is_flag=True, help="Fail if anything does not hold.")
def main(*, quick: bool, only: str | None, write: bool, strict: bool) -> None:
    """Attack a service while people chat in it, and print what they noticed."""
    chosen = [one.strip() for one in only.split(",")] if only else [*_ATTACKS, _ALL]
    if set(chosen) - {*_ATTACKS, _ALL}:
        raise click.UsageError(f"--only takes some of {', '.join([*_ATTACKS, _ALL])}.")
    if write and (quick or only):
        raise click.UsageError("--write needs the whole of it.")
    began, elsewhere = time.monotonic(), Elsewhere()
    with stores() as running:
        phases = uvloop.run(measure(running, chosen, _QUICK_SECONDS if quick else _SECONDS, elsewhere.say))
    elsewhere.stop()
    seconds = time.monotonic() - began
    click.echo("\n" + report.table(phases))
    missed = report.faults(phases)
    click.echo("\n" + ("\n".join(["Does not hold:", *missed]) if missed else "All of it holds."))
    click.echo(f"{seconds:.0f} s; {elsewhere.share:.0%} of the processors were used by others.")
    if write:
        RESULTS.mkdir(exist_ok=True)
        figures = [phase.figures() for phase in phases]
        (RESULTS / "attackers.json").write_text(json.dumps(figures, indent=1) + "\n")
        write_section("attackers", report.section(phases, seconds, elsewhere.share))
    if strict and missed:
        sys.exit(1)


async def measure(
    running: Stores, chosen: list[str], seconds: float, say: Callable[[str], None]
) -> list[Phase]:
    """Measure a quiet time, then the chosen attacks one after the other."""
    lasts = timedelta(seconds=(len(chosen) + 2) * (seconds + _MARGIN_SECONDS))
    phases = []
    async with scene(running, lasts=lasts) as on:
        # What is done for the first time takes longer.
        await on.phase("", {}, seconds)
        for name in (_QUIET, *chosen):
            attacks = _ATTACKS if name == _ALL else {name: _ATTACKS[name]} if name in _ATTACKS else {}
            phase = await on.phase(name, attacks, seconds)
            say(
                f"{name:>12}: POST p50 {phase.latency(0.5):.1f} p99 {phase.latency(0.99):.1f} ms, "
                f"{phase.refused or 'none'} refused, {len(phase.lateness)} chats opened, "
                f"{phase.unopened} did not, {phase.memory:.0f} MiB; attackers {phase.told}"
            )
            phases.append(phase)
    return phases


if __name__ == "__main__":
    main()

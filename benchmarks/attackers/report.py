"""What attackers came to: the table, and what must hold in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.attackers.scene import OPENINGS, RATE
from benchmarks.machine import describe
from benchmarks.quantiles import quantile

if TYPE_CHECKING:
    from benchmarks.attackers.scene import Phase

#: People's p99 during an attack, beside that of a quiet time.
_TIMES: Final = 2.0
#: Below this many ms, a p99 is that of the machine and not of the attack.
_UNNOTICED_MS: Final = 50.0
_LATENESS_MS: Final = 1_000
_GROWTH_MIB: Final = 64.0
_HEADING: Final = (
    "| attack | attackers | POST p50 | p99 | times quiet | refused | chats opened | latest | memory "
    "| programs |"
)


def faults(phases: list[Phase]) -> list[str]:
    """Return what does not hold, a sentence each."""
    quiet, *attacked = phases
    allowed = max(_TIMES * quiet.latency(0.99), _UNNOTICED_MS)
    found = []
    for one in attacked:
        if not one.latency(0.99) <= allowed:
            found.append(f"{one.name}: POST p99 {one.latency(0.99):.0f} ms, {allowed:.0f} ms at most")
        if one.refused:
            found.append(f"{one.name}: people were answered {one.refused}")
        if one.unopened or not one.lateness or one.lateness[-1] > _LATENESS_MS:
            late = f"{one.lateness[-1]} ms late" if one.lateness else "none was open"
            found.append(f"{one.name}: {one.unopened} chats did not open, or {late}")
        if one.memory - quiet.memory > _GROWTH_MIB:
            found.append(f"{one.name}: memory grew by {one.memory - quiet.memory:.0f} MiB")
        if one.children > _GROWTH_MIB:
            found.append(f"{one.name}: programs that the service started took {one.children:.0f} MiB")
    return found


def table(phases: list[Phase]) -> str:
    """Render the figures as a Markdown table."""
    quiet = phases[0]
    lines = [
        _HEADING,
        "|---|--:|--:|--:|--:|---|--:|--:|--:|--:|",
    ]
    for one in phases:
        times = one.latency(0.99) / quiet.latency(0.99)
        refused = ", ".join(f"{count} × {status}" for status, count in one.refused.items())  # noqa: RUF001
        late = f"{quantile(one.lateness, 1.0):,.0f} ms" if one.lateness else "-"
        grown = f"{one.memory:.0f} MiB" if one is quiet else f"{one.memory - quiet.memory:+.0f} MiB"
        lines.append(
            f"| {one.name} | {one.attackers:,} | {one.latency(0.5):.1f} ms | {one.latency(0.99):.1f} ms "
            f"| {times:.1f} | {refused or 'none'} "
            f"| {len(one.lateness)} of {len(one.lateness) + one.unopened} | {late} | {grown} "
            f"| {one.children:.0f} MiB |"
        )
    return "\n".join(lines)


def section(phases: list[Phase], seconds: float, used_by_others: float) -> str:
    """Render the section of docs/benchmarks.md."""
    machine = describe()
    missed = faults(phases)
    holds = "All of it holds." if not missed else "Does not hold: " + "; ".join(missed) + "."
    return f"""## Attackers beside people who chat

`make bench-attackers` (`python -m benchmarks.attackers --write`), {seconds:.0f} s.
{machine["cpu"]}, {machine["cores"]} cores, {machine["memory_gib"]} GiB, {machine["kernel"]},
Python {machine["python"]} ({machine["build"]}); {used_by_others:.0%} of the processors used by others.

People send {RATE:.0f} messages a second on connections that they open during the attack, and {OPENINGS}
sessions start in each second: first while all is quiet, then beside each attack, then beside all of them at
once. One replica with the limits that it has by default; everything shares the machine, attackers included,
who have the lowest claim to its processors: they stand for machines elsewhere. They come again some two
seconds after a cut. *Silent* ones say nothing, *dripping* ones send the head of a request a byte at a time,
*unread* ones ask for a file of 10 MiB and sixty other things and read no answer, *slow readers* take a few
bytes of such a file in a second, *diagrams* has pictures drawn, *slow bodies* (half of them without a token)
send a body a byte at a time, *uploads* send all of a file of 10 MiB but its end.

Wanted: people's p99 within {_TIMES:.0f} times of quiet (or {_UNNOTICED_MS:.0f} ms), none of them refused,
chats open within a second, memory within {_GROWTH_MIB:.0f} MiB of quiet (resident), and as much for the
programs that the service starts to draw and to examine. {holds}

*Latest* is how long after its start the last chat was said to be open at Ably.

{table(phases)}
"""

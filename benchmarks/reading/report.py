"""What is printed and written of a run: targets and figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from benchmarks.machine import describe
from benchmarks.messages.targets import OURS, PEER
from benchmarks.targets import Target, render_targets, table

if TYPE_CHECKING:
    from benchmarks.rates import Rates

CONNECTIONS: Final = (16, 64)
_PER_PEER: Final = 5.0
_BOOKINGS: Final = 300.0


@dataclass(slots=True)
class Findings:
    """What was measured: rates by what was asked, in words; those of bookings are of rdchat alone."""

    read: dict[str, Rates] = field(default_factory=dict)
    booked: Rates | None = None
    seconds: float = 0.0
    used_by_others: float = 0.0

    def figures(self) -> dict[str, Any]:
        """Return everything as JSON."""
        return {
            "machine": describe(),
            "seconds": round(self.seconds),
            "usedByOthers": round(self.used_by_others, 2),
            "rates": [
                {"asked": words, "contender": one.contender, **one.figures()}
                for words, rates in self._all().items()
                for one in rates.measured
            ],
            "targets": [one.figures() for one in targets(self)],
        }

    def _all(self) -> dict[str, Rates]:
        return self.read | ({_BOOKING: self.booked} if self.booked is not None else {})

    def rows(self) -> list[list[str]]:
        """Return the figures of each, by connections, as a table has them."""
        rows = []
        for words, rates in self._all().items():
            for connections in CONNECTIONS:
                for name in rates.contenders():
                    one = rates.of(name, connections)
                    rows.append(
                        [
                            words,
                            f"{connections}",
                            name,
                            f"{one.rate:,.0f}",
                            f"{one.p50_ms:.1f} ms",
                            f"{one.p99_ms:.1f} ms",
                            f"{one.own_cpu_us:,.0f} µs",
                            f"{one.postgres_cpu_us:,.0f} µs",
                        ]
                    )
        return rows


_BOOKING: Final = "a booking, limits on"


def targets(found: Findings) -> list[Target]:
    """Compare the findings with the targets."""
    result = []
    for words, rates in found.read.items():
        for connections in CONNECTIONS:
            times = rates.ratio(OURS, PEER, connections)
            cost = rates.cost_ratio(OURS, PEER, connections)
            result.append(
                Target(
                    f"{words}: at least {_PER_PEER:.0f} times the peer, {connections} connections",
                    f"{times:.1f} times, for {cost:.0%} of its processor time",
                    times >= _PER_PEER,
                )
            )
    if found.booked is not None:
        for connections in CONNECTIONS:
            rate = found.booked.of(OURS, connections).rate
            result.append(
                Target(
                    f"{_BOOKING}: at least {_BOOKINGS:.0f} a second, {connections} connections",
                    f"{rate:,.0f}",
                    rate >= _BOOKINGS,
                )
            )
    return result


def target_table(found: Findings) -> str:
    """Render the targets."""
    return render_targets(targets(found))


def section(found: Findings) -> str:
    """Render the section of docs/benchmarks.md."""
    machine = describe()
    heading = ["", "connections", "", "a second", "p50", "p99", "own CPU each", "PostgreSQL's"]
    return f"""## Reading

`make bench-reading` (`python -m benchmarks.reading --write`), {found.seconds:.0f} s.
{machine["cpu"]}, {machine["cores"]} cores, {machine["memory_gib"]} GiB, {machine["kernel"]},
Python {machine["python"]} ({machine["build"]}); {found.used_by_others:.0%} of the processors used by others.

A practice of ten psychologists; 32 clients with 40 sessions each in the last weeks, 3,000 messages in one of
them and 20 in each other. The contenders are those of the messages above, with the same data: *NestJS* with
typed SQL, an index for each question and luxon for the slots; it keeps the messages in plain text, *rdchat*
decrypts and verifies each that it shows. A read receipt is a step further each time, is stored, and is
published to the other one. Answers have the same form. Bookings are rdchat's alone: each of a client who was
never seen before, with the limits that there are by default, on rates and on how many one has at a time.

{target_table(found)}

{table(heading, found.rows())}

The middle one of three rounds; contenders take turns, ratios are by round.
"""

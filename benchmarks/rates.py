"""How many requests a second, how fast, and at what cost: contenders in turn, by connections."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.service import process_seconds, stores_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.generator import Generator, Load
    from benchmarks.messages.contenders import Contender
    from benchmarks.messages.stage import Stage

#: Most claims are about this many.
TYPICAL = 64
_SECONDS = 4.0
_WARM_SECONDS = 3.0
#: PostgreSQL's counters are up to a second behind.
_COUNTED_AFTER_SECONDS = 1.1
_OWN, _POSTGRES = "own", "PostgreSQL"


@dataclass(slots=True)
class Rate:
    """What one contender did on so many connections. Costs are per request accepted.

    `other_cpu_us` is what Redis, this process (with its Ably endpoint) and the load generator took, by name.
    """

    contender: str
    connections: int
    rate: float
    p50_ms: float
    p99_ms: float
    own_cpu_us: float
    postgres_cpu_us: float
    commits: float
    other_cpu_us: dict[str, float]

    @property
    def cpu_us(self) -> float:
        """The processor time of a request, PostgreSQL's with it."""
        return self.own_cpu_us + self.postgres_cpu_us

    def figures(self) -> dict[str, Any]:
        """Return the figures as JSON. A thousand requests at x µs each are x ms, or x / 1,000 s."""
        return {
            "connections": self.connections,
            "perSecond": round(self.rate),
            "p50Ms": round(self.p50_ms, 2),
            "p99Ms": round(self.p99_ms, 2),
            "ownCpuSecondsPer1000": round(self.own_cpu_us / 1000, 3),
            "postgresCpuSecondsPer1000": round(self.postgres_cpu_us / 1000, 3),
            "commitsEach": round(self.commits, 3),
            "othersCpuSecondsPer1000": {
                name: round(cpu_us / 1000, 3) for name, cpu_us in self.other_cpu_us.items()
            },
        }


@dataclass(slots=True)
class Rates:
    """All of them, in the order of measuring."""

    measured: list[Rate] = field(default_factory=list)

    def of(self, contender: str, connections: int) -> Rate:
        """Return the median round."""
        rounds = [
            one for one in self.measured if (one.contender, one.connections) == (contender, connections)
        ]
        middle = median(one.rate for one in rounds)
        return min(rounds, key=lambda one: abs(one.rate - middle))

    def ratio(self, of: str, to: str, connections: int) -> float:
        """Compare two contenders round by round: the median of the ratios."""
        pairs = zip(self._rounds(of, connections), self._rounds(to, connections), strict=True)
        return median(ours.rate / theirs.rate for ours, theirs in pairs)

    def cost_ratio(self, of: str, to: str, connections: int) -> float:
        """Compare the processor time of two contenders, PostgreSQL's with it, round by round."""
        pairs = zip(self._rounds(of, connections), self._rounds(to, connections), strict=True)
        return median(ours.cpu_us / theirs.cpu_us for ours, theirs in pairs)

    def capacity(self, contender: str) -> float:
        """Return the best rate of a contender."""
        return max(
            self.of(contender, one.connections).rate for one in self.measured if one.contender == contender
        )

    def contenders(self) -> list[str]:
        """Return the names of the contenders."""
        return list(dict.fromkeys(one.contender for one in self.measured))

    def _rounds(self, contender: str, connections: int) -> list[Rate]:
        return [one for one in self.measured if (one.contender, one.connections) == (contender, connections)]


async def measure(
    stage: Stage,
    contenders: Sequence[tuple[Contender, Generator]],
    say: Callable[[str], None],
    rounds: Mapping[int, int],
    *,
    seconds: float = _SECONDS,
    warm_seconds: float = _WARM_SECONDS,
) -> Rates:
    """Measure contenders in turn, so that disturbances of the machine affect all of them.

    `rounds` is how often, by the number of connections.
    """
    rates = Rates()
    for _, generator in contenders:
        await generator.start()
        await generator.closed(TYPICAL, warm_seconds)
    try:
        for count, times in rounds.items():
            for _ in range(times):
                for contender, generator in contenders:
                    one = await _measure(stage, contender, generator, count, seconds)
                    rates.measured.append(one)
                    say(
                        f"{one.contender:>22} {count:>4} connections "
                        f"{one.rate:>7,.0f}/s  p99 {one.p99_ms:.1f} ms  "
                        f"{one.own_cpu_us:.0f} + {one.postgres_cpu_us:.0f} µs each"
                    )
    finally:
        for _, generator in contenders:
            await generator.stop()
    return rates


async def _measure(
    stage: Stage, contender: Contender, generator: Generator, connections: int, seconds: float
) -> Rate:
    await asyncio.sleep(_COUNTED_AFTER_SECONDS)
    commits = await stage.commits()
    before = _spent(contender, generator)
    load = await generator.closed(connections, seconds)
    refuse_failures(contender.name, load)
    spent = {
        part: 1e6 * (seconds - before[part]) / load.accepted
        for part, seconds in _spent(contender, generator).items()
    }
    await asyncio.sleep(_COUNTED_AFTER_SECONDS)
    commits = await stage.commits() - commits
    return Rate(
        contender=contender.name,
        connections=connections,
        rate=load.rate,
        p50_ms=load.latency(0.5),
        p99_ms=load.latency(0.99),
        own_cpu_us=spent.pop(_OWN),
        postgres_cpu_us=spent.pop(_POSTGRES),
        commits=commits / load.accepted,
        other_cpu_us=spent,
    )


def _spent(contender: Contender, generator: Generator) -> dict[str, float]:
    """Return the processor time so far, in seconds, of all that a request keeps busy."""
    return stores_seconds() | {
        _OWN: contender.cpu_seconds(),
        "Ably endpoint": process_seconds(psutil.Process()),
        "load generator": generator.cpu_seconds(),
    }


def refuse_failures(name: str, load: Load) -> None:
    """Stop when anything was not accepted: such a figure would mean nothing."""
    if load.accepted < load.number or not load.accepted:
        raise RuntimeError(f"{name} answered {load.answers}")

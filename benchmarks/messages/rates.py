"""How many messages a second, how fast, and at what cost: by the number of connections."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.messages.generator import Generator
from benchmarks.service import stores_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.messages.contenders import Contender
    from benchmarks.messages.generator import Load
    from benchmarks.messages.stage import Stage

CONNECTIONS = (1, 16, 64, 256)
#: Most claims are about this many, so it is measured in several rounds.
TYPICAL = 64
_ROUNDS = 3
_SECONDS = 4.0
_WARM_SECONDS = 3.0
#: PostgreSQL's counters are up to a second behind.
_COUNTED_AFTER_SECONDS = 1.1


@dataclass(slots=True)
class Rate:
    """What one contender did on so many connections. Costs are per message accepted."""

    contender: str
    connections: int
    rate: float
    p50_ms: float
    p99_ms: float
    own_cpu_us: float
    postgres_cpu_us: float
    commits: float

    def figures(self) -> dict[str, Any]:
        """Return the figures as JSON. A thousand messages at x µs each are x ms, or x / 1,000 s."""
        return {
            "connections": self.connections,
            "perSecond": round(self.rate),
            "p50Ms": round(self.p50_ms, 2),
            "p99Ms": round(self.p99_ms, 2),
            "ownCpuSecondsPer1000": round(self.own_cpu_us / 1000, 3),
            "postgresCpuSecondsPer1000": round(self.postgres_cpu_us / 1000, 3),
            "commitsPerMessage": round(self.commits, 3),
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
    contenders: Sequence[Contender],
    say: Callable[[str], None],
    connections: Sequence[int] = CONNECTIONS,
) -> Rates:
    """Measure contenders in turn, so that disturbances of the machine affect all of them."""
    rates = Rates()
    generators = [Generator(contender.base, stage.speakers) for contender in contenders]
    for generator in generators:
        await generator.start()
        await generator.closed(TYPICAL, _WARM_SECONDS)
    try:
        for count in connections:
            for _ in range(_ROUNDS if count == TYPICAL else 1):
                for contender, generator in zip(contenders, generators, strict=True):
                    one = await _measure(stage, contender, generator, count)
                    rates.measured.append(one)
                    say(
                        f"{one.contender:>22} {count:>4} connections "
                        f"{one.rate:>7,.0f}/s  p99 {one.p99_ms:.1f} ms"
                    )
    finally:
        for generator in generators:
            await generator.stop()
    return rates


async def _measure(stage: Stage, contender: Contender, generator: Generator, connections: int) -> Rate:
    await asyncio.sleep(_COUNTED_AFTER_SECONDS)
    own, stores, commits = contender.cpu_seconds(), stores_seconds(), await stage.commits()
    load = await generator.closed(connections, _SECONDS)
    refuse_failures(contender.name, load)
    own = contender.cpu_seconds() - own
    postgres = stores_seconds()["PostgreSQL"] - stores["PostgreSQL"]
    await asyncio.sleep(_COUNTED_AFTER_SECONDS)
    commits = await stage.commits() - commits
    return Rate(
        contender=contender.name,
        connections=connections,
        rate=load.rate,
        p50_ms=load.latency(0.5),
        p99_ms=load.latency(0.99),
        own_cpu_us=1e6 * own / load.accepted,
        postgres_cpu_us=1e6 * postgres / load.accepted,
        commits=commits / load.accepted,
    )


def refuse_failures(name: str, load: Load) -> None:
    """Stop when anything was not accepted: such a figure would mean nothing."""
    others = {status: count for status, count in load.answers.items() if status != "201"}
    if others or not load.accepted:
        raise RuntimeError(f"{name} answered {load.answers}")

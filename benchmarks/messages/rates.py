"""How many messages a second, how fast, and at what cost: by the number of connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.messages.generator import Generator
from benchmarks.rates import TYPICAL, Rates
from benchmarks.rates import measure as measure_rates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.messages.contenders import Contender
    from benchmarks.messages.stage import Stage

CONNECTIONS = (1, 16, 64, 256)
_ROUNDS = 3


async def measure(
    stage: Stage,
    contenders: Sequence[Contender],
    say: Callable[[str], None],
    connections: Sequence[int] = CONNECTIONS,
) -> Rates:
    """Measure contenders in turn; several rounds of the typical number, since most claims are about it."""
    talking = [(contender, Generator(contender.base, stage.speakers)) for contender in contenders]
    return await measure_rates(
        stage, talking, say, {count: _ROUNDS if count == TYPICAL else 1 for count in connections}
    )

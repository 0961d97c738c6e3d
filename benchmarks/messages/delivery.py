"""How long until the recipient sees it: from the start of the POST to the callback of the Ably SDK."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.messages.generator import Generator
from benchmarks.messages.listener import Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.messages.contenders import Contender
    from benchmarks.messages.stage import Stage

SHARES = (0.2, 0.5, 0.8)
SECONDS = 8.0
_CONNECTIONS = 512
#: How long after the last answer a message may still arrive.
_ARRIVES_WITHIN = 40.0


@dataclass(slots=True)
class Delivery:
    """What came of sending at a part of the capacity. `heard`: ms until the callback, sorted."""

    contender: str
    share: float
    rate: float
    answers: dict[str, int]
    post_p50_ms: float
    post_p99_ms: float
    sent: int
    heard: list[float]

    def heard_ms(self, share: float) -> float:
        """Return a quantile of the times until the callback."""
        return (
            self.heard[min(len(self.heard) - 1, int(share * len(self.heard)))] if self.heard else float("nan")
        )

    def figures(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return {
            "contender": self.contender,
            "share": self.share,
            "perSecond": round(self.rate),
            "answers": self.answers,
            "postMs": {"p50": round(self.post_p50_ms, 1), "p99": round(self.post_p99_ms, 1)},
            "deliveryMs": {"p50": round(self.heard_ms(0.5), 1), "p99": round(self.heard_ms(0.99), 1)},
            "watched": self.sent,
            "heard": len(self.heard),
        }


async def measure(
    stage: Stage,
    contender: Contender,
    capacity: float,
    say: Callable[[str], None],
    shares: Sequence[float] = SHARES,
) -> list[Delivery]:
    """Send at parts of the capacity, and listen."""
    generator = Generator(contender.base, stage.speakers)
    listener = Listener(stage.ably.address, stage.watched)
    await generator.start()
    await listener.start()
    try:
        await generator.closed(16, 1.0)
        measured = []
        for share in shares:
            await asyncio.sleep(1.0)
            await listener.heard()
            one = await at_rate(contender.name, generator, listener, share, share * capacity)
            say(
                f"{one.contender:>22} {share:>4.0%} of capacity {one.rate:>7,.0f}/s  POST p99 "
                f"{one.post_p99_ms:.1f} ms  delivery p99 {one.heard_ms(0.99):.1f} ms"
            )
            measured.append(one)
        return measured
    finally:
        await listener.stop()
        await generator.stop()


async def at_rate(name: str, generator: Generator, listener: Listener, share: float, rate: float) -> Delivery:
    """Send at a rate, and collect what was heard, for as long as that may take after an outage."""
    load = await generator.open(rate, _CONNECTIONS, SECONDS)
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + _ARRIVES_WITHIN
    heard: dict[str, int] = {}
    while load.sent.keys() - heard.keys() and loop.time() < give_up_at:
        await asyncio.sleep(0.2)
        heard |= await listener.heard()
    took = sorted((heard[number] - began) / 1e6 for number, began in load.sent.items() if number in heard)
    return Delivery(
        contender=name,
        share=share,
        rate=load.rate,
        answers=load.answers,
        post_p50_ms=load.latency(0.5),
        post_p99_ms=load.latency(0.99),
        sent=len(load.sent),
        heard=took,
    )

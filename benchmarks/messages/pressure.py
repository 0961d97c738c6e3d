"""More than fits, and stores that are slow or gone: what slows down, and what does not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.messages import delivery
from benchmarks.messages.contenders import Ours
from benchmarks.messages.generator import Generator
from benchmarks.messages.listener import Listener
from benchmarks.messages.slow_way import SlowWay

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.messages.delivery import Delivery
    from benchmarks.messages.stage import Stage

_OVERLOAD = 2.0
_SECONDS = 8.0
#: More than the service lets wait.
_CONNECTIONS = 2_048
_FAULT_SHARE = 0.2
_SLOW_POSTGRES_SECONDS = 0.05
_SLOW_REDIS_SECONDS = 0.5


@dataclass(slots=True)
class Overload:
    """What came of twice the capacity. `share`: of what is accepted at best, how much still was."""

    offered: float
    accepted: float
    turned_away: float
    others: dict[str, int]
    p50_ms: float
    p99_ms: float
    share: float

    def figures(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return {
            "offeredPerSecond": round(self.offered),
            "acceptedPerSecond": round(self.accepted),
            "turnedAwayPerSecond": round(self.turned_away),
            "otherAnswers": self.others,
            "acceptedMs": {"p50": round(self.p50_ms), "p99": round(self.p99_ms)},
            "goodput": round(self.share, 2),
        }


async def overload(stage: Stage, base: str, capacity: float, say: Callable[[str], None]) -> Overload:
    """Offer twice the capacity."""
    generator = Generator(base, stage.speakers)
    await generator.start()
    try:
        peak = max(capacity, (await generator.closed(256, 4.0)).rate)
        load = await generator.open(_OVERLOAD * peak, _CONNECTIONS, _SECONDS)
    finally:
        await generator.stop()
    answers = dict(load.answers)
    accepted, away = answers.pop("201", 0), answers.pop("503", 0)
    result = Overload(
        offered=_OVERLOAD * peak,
        accepted=accepted / load.seconds,
        turned_away=away / load.seconds,
        others=answers,
        p50_ms=load.latency(0.5),
        p99_ms=load.latency(0.99),
        share=accepted / load.seconds / peak,
    )
    say(
        f"twice the capacity: {result.accepted:,.0f}/s accepted ({result.share:.0%} of the peak), "
        f"{result.turned_away:,.0f}/s turned away, p99 of the accepted {result.p99_ms:,.0f} ms"
    )
    return result


async def faults(stage: Stage, capacity: float, say: Callable[[str], None]) -> dict[str, Delivery]:
    """Send at a fifth of the capacity while something is slow or gone."""
    postgres = SlowWay.to_postgres(stage.stores.database_url)
    redis = SlowWay.to_redis(stage.stores.redis_url)
    await postgres.start()
    await redis.start()
    database = stage.stores.service_url.partition("?")[0].replace("@", f"@127.0.0.1:{postgres.port}")
    ours = Ours(stage, database_url=database, redis_url=f"redis://127.0.0.1:{redis.port}/0")
    await ours.start()
    generator = Generator(ours.base, stage.speakers)
    listener = Listener(stage.ably.address, stage.watched)
    await generator.start()
    await listener.start()

    async def measure(name: str) -> Delivery:
        await listener.heard()
        one = await delivery.at_rate(name, generator, listener, _FAULT_SHARE, _FAULT_SHARE * capacity)
        say(
            f"{name:>22} {one.rate:>7,.0f}/s  POST p50 {one.post_p50_ms:.1f} p99 {one.post_p99_ms:.1f} ms  "
            f"delivery p50 {one.heard_ms(0.5):.1f} p99 {one.heard_ms(0.99):.1f} ms, "
            f"{len(one.heard)} of {one.sent} heard"
        )
        return one

    found: dict[str, Delivery] = {}
    try:
        await generator.closed(16, 1.0)
        found["nothing"] = await measure("nothing is wrong")
        postgres.seconds = _SLOW_POSTGRES_SECONDS
        found["postgres"] = await measure("PostgreSQL is slow")
        postgres.seconds = 0.0
        redis.seconds = _SLOW_REDIS_SECONDS
        found["redis"] = await measure("Redis is slow")
        redis.seconds = 0.0
        port = stage.ably.port
        await stage.ably.close()
        dead = asyncio.create_task(measure("Ably is gone"))
        await asyncio.sleep(delivery.SECONDS + 1.0)
        await stage.ably.start(port=port)
        found["ably"] = await dead
    finally:
        await listener.stop()
        await generator.stop()
        await ours.stop()
        await postgres.close()
        await redis.close()
    return found

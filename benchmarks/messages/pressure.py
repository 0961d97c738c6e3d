"""More than fits, and stores that are slow or gone: what slows down, and what does not."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from benchmarks.messages import delivery
from benchmarks.messages.contenders import Ours
from benchmarks.messages.generator import Generator
from benchmarks.messages.listener import Listener
from benchmarks.messages.slow_way import SlowWay
from benchmarks.messages.stage import open_crowd, speakers_of
from benchmarks.openings import lateness, plant_openings
from benchmarks.quantiles import quantile
from benchmarks.rates import TYPICAL
from benchmarks.service import ABLY_KEYS
from rdchat.common.clock import SystemClock
from rdchat.local.ably import AblyLocal
from rdchat.local.ably.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.messages.delivery import Delivery
    from benchmarks.messages.generator import Speaker
    from benchmarks.messages.stage import Stage

#: Times the capacity that is offered, and on how many connections: more than the service lets wait.
_OVERLOADS: Final = ((2.0, 2_048), (4.0, 4_096))
_SECONDS = 8.0
#: Chats that open meanwhile, and such as are ended, in a second.
_OPENINGS: Final = 10
_ENDINGS: Final = 5
_FIRST_OPENING: Final = timedelta(seconds=8)
_MARGIN_SECONDS: Final = 60.0
_FAULT_SHARE = 0.2
_SLOW_POSTGRES_SECONDS = 0.05
_SLOW_REDIS_SECONDS = 0.5


@dataclass(slots=True)
class Overload:
    """What came of more than fits, `times` the peak.

    `share`: of what is accepted at best, how much still was. `refusal_us` is the service's processor time for
    one that is turned away, `message_us` at the peak for one that is accepted. `late` are the ms (ascending)
    after which chats were said to be open that began meanwhile, `unopened` how many were not; `ends` counts
    what those were told who ended theirs, by status.
    """

    times: float
    peak: float
    offered: float
    accepted: float
    turned_away: float
    others: dict[str, int]
    p50_ms: float
    p99_ms: float
    message_us: float
    refusal_us: float
    late: list[int]
    unopened: int
    ends: dict[str, int]

    @property
    def share(self) -> float:
        """The part of the peak that was accepted."""
        return self.accepted / self.peak

    def figures(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return {
            "times": self.times,
            "peakPerSecond": round(self.peak),
            "offeredPerSecond": round(self.offered),
            "acceptedPerSecond": round(self.accepted),
            "turnedAwayPerSecond": round(self.turned_away),
            "otherAnswers": self.others,
            "acceptedMs": {"p50": round(self.p50_ms), "p99": round(self.p99_ms)},
            "goodput": round(self.share, 2),
            "messageMicroseconds": round(self.message_us),
            "refusalMicroseconds": round(self.refusal_us),
            "openingsLateMs": {"p99": quantile(self.late, 0.99), "of": len(self.late) + self.unopened},
            "unopened": self.unopened,
            "ends": self.ends,
        }


async def overloads(stage: Stage, capacity: float, say: Callable[[str], None]) -> list[Overload]:
    """Offer more than fits, while chats open and others are ended."""
    lasts = timedelta(seconds=len(_OVERLOADS) * (_SECONDS + 4.0) + _MARGIN_SECONDS)
    to_end = await _more_sessions(stage, int(_ENDINGS * _SECONDS * len(_OVERLOADS)))
    # Behind that, which opens all that there are.
    starts = await plant_openings(stage.connection, first=_FIRST_OPENING, lasts=lasts, a_second=_OPENINGS)
    # One that remembers what was published on it.
    endpoint = AblyLocal(keys=ABLY_KEYS, limits=Limits(recorded=1_000_000))
    await endpoint.start()
    ours = Ours(replace(stage, ably=endpoint))
    await ours.start()
    generator = Generator(ours.base, stage.speakers)
    await generator.start()
    found = []
    try:
        await generator.closed(TYPICAL, 2.0)
        for number, (times, connections) in enumerate(_OVERLOADS):
            own = ours.cpu_seconds()
            at_best = await generator.closed(256, 4.0)
            message_us = 1e6 * (ours.cpu_seconds() - own) / at_best.accepted
            peak = max(capacity, at_best.rate)
            ending = asyncio.create_task(_end(ours.base, to_end[number :: len(_OVERLOADS)]))
            own, begin = ours.cpu_seconds(), SystemClock().ms()
            load = await generator.open(times * peak, connections, _SECONDS)
            own, end = ours.cpu_seconds() - own, SystemClock().ms()
            ends = await ending
            await asyncio.sleep(1.0)
            late, unopened = lateness(endpoint.published, starts, begin, end - 1000.0)
            answers = dict(load.answers)
            accepted, away = answers.pop("201", 0), answers.pop("503", 0)
            one = Overload(
                times=times,
                peak=peak,
                offered=load.number / load.seconds,
                accepted=accepted / load.seconds,
                turned_away=away / load.seconds,
                others=answers,
                p50_ms=load.latency(0.5),
                p99_ms=load.latency(0.99),
                message_us=message_us,
                refusal_us=max(0.0, 1e6 * own - message_us * accepted) / away if away else 0.0,
                late=late,
                unopened=unopened,
                ends=ends,
            )
            say(
                f"{times:.0f} times the peak: {one.offered:,.0f}/s offered, {one.accepted:,.0f}/s accepted "
                f"({one.share:.0%} of {peak:,.0f}), {one.turned_away:,.0f}/s turned away at "
                f"{one.refusal_us:.0f} us each (a message {message_us:.0f}), p99 of the accepted "
                f"{one.p99_ms:,.0f} ms; {len(late)} chats opened, p99 {quantile(late, 0.99):.0f} ms late, "
                f"{unopened} did not; ends {ends}"
            )
            found.append(one)
    finally:
        await generator.stop()
        await ours.stop()
        await endpoint.close()
    return found


async def _more_sessions(stage: Stage, count: int) -> list[Speaker]:
    """Open sessions in which no one talks. Return one of the two people of each."""
    before = {one.session_id for one in stage.speakers}
    await open_crowd(stage.connection, count)
    opened = {one.session_id: one for one in await speakers_of(stage.connection)}
    return [one for session_id, one in opened.items() if session_id not in before]


async def _end(base: str, speakers: Sequence[Speaker]) -> dict[str, int]:
    """End sessions, one after the other through the time of the measurement. Return the answers by status."""
    told: Counter[str] = Counter()
    async with aiohttp.ClientSession(base) as http:
        for one in speakers:
            headers = {"Authorization": f"Bearer {one.token}"}
            async with http.put(f"/api/v1/chat/sessions/{one.session_id}/end", headers=headers) as answer:
                told[str(answer.status)] += 1
            await asyncio.sleep(1 / _ENDINGS)
    return dict(told)


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

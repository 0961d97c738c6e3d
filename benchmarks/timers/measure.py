"""The measurements of one contender that take the machine for themselves: all but recovery."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING, Any

from benchmarks.quantiles import quantile
from benchmarks.timers.drivers.protocol import make_jobs
from benchmarks.timers.plan import AHEAD_MS, BOOKING, BULK, SPARE_SECONDS, WARM_UP
from benchmarks.timers.process import Driver, DriverError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.asyncio import Redis

    from benchmarks.timers.contenders import Contender
    from benchmarks.timers.plan import Plan

_ANSWER_SECONDS = 15.0
#: Scheduling what is to run soon.
_SCHEDULE_SECONDS = 40.0
_SLOWER_WITH_WORKER = 4.0


class Measurements:
    """Measures one contender on one Redis, which it empties; every result is plain data."""

    def __init__(
        self,
        contender: Contender,
        command: list[str],
        *,
        redis: Redis,
        port: int,
        plan: Plan,
        say: Callable[[str], None],
    ) -> None:
        self._contender = contender
        self._command = command
        self._redis = redis
        self._where = {"port": port, "db": contender.db}
        self._plan = plan
        self._say = say
        # Jobs scheduled a second while a worker takes notice of each at once; a guess until it was seen.
        self._working_rate = 300.0

    async def run(self) -> dict[str, Any]:
        """Make all measurements; one that fails holds the reason, and the others go on."""
        results: dict[str, Any] = {}
        measurements = {"scheduling": self._scheduling, "lateness": self._lateness, "drain": self._drain}
        if self._contender.name == "ours":
            measurements["lateness_fast"] = self._lateness_fast
        for name, measure in measurements.items():
            results |= await self._guarded(name, measure)
        return results

    async def _guarded(self, name: str, measure: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        await self._redis.flushall()
        try:
            return await measure()
        except (DriverError, OSError) as error:
            self._say(f"{name}: {error}")
            return {name: {"failed": str(error)}}

    def _client(self) -> Awaitable[Driver]:
        return Driver.start(self._contender.name, self._command, "client", self._where)

    def _worker(self, **options: Any) -> Awaitable[Driver]:  # noqa: ANN401 - it becomes JSON
        return Driver.start(
            self._contender.name,
            self._command,
            "worker",
            {**self._where, **self._contender.worker, **options},
        )

    # ---- scheduling, memory, cancelling -------------------------------------------------------------------

    async def _scheduling(self) -> dict[str, Any]:
        """Schedule far ahead: once with all that can be learnt from it, then only for the rate."""
        async with await self._client() as client:
            results, rate = await self._first_round(client)
            results |= await self._cancelling(client)
        rounds = [rate]
        begin = time.monotonic()
        while self._another(rounds, begin):
            await self._redis.flushall()
            async with await self._client() as client:
                await self._schedule(client, "warm", WARM_UP, BULK)
                rounds.append(_rate(await self._schedule(client, "far", self._plan.schedule, BULK)))
        rate = statistics.median(rounds)
        self._working_rate = rate / _SLOWER_WITH_WORKER
        return results | {"scheduling": {"jobs_per_second": rate, "rounds": rounds}}

    def _another(self, rounds: list[Any], begin: float) -> bool:
        return len(rounds) < self._plan.rounds and time.monotonic() - begin < self._plan.rounds_seconds

    async def _first_round(self, client: Driver) -> tuple[dict[str, Any], float]:
        await self._schedule(client, "warm", WARM_UP, BULK)
        before = await self._used_memory()
        answer = await self._schedule(client, "far", self._plan.schedule, BULK)
        per_job = (await self._used_memory() - before) / answer["scheduled"]
        expected = answer["scheduled"] + WARM_UP
        pending = (await client.ask(do="pending", seconds=_ANSWER_SECONDS))["pending"]
        if pending != expected:
            raise DriverError(f"{expected:,} were scheduled, but {pending:,} wait")
        booking = await self._schedule(client, "booking", self._plan.bookings * BOOKING, BOOKING)
        self._say(f"scheduling {_rate(answer):,.0f} jobs/s, {per_job:.0f} bytes a job")
        results = {
            "bytes": {"per_job": per_job, "jobs": answer["scheduled"]},
            "booking": {"jobs_per_second": _rate(booking), "jobs": booking["scheduled"]},
        }
        return results, _rate(answer)

    async def _schedule(self, client: Driver, seed: str, count: int, batch: int) -> dict[str, Any]:
        limit = self._plan.schedule_seconds if batch == BULK else self._plan.bookings_seconds
        due_ms = time.time_ns() // 1_000_000 + AHEAD_MS
        return await client.ask(
            do="schedule",
            jobs={"count": count, "seed": seed, "due_ms": due_ms, "rate": self._plan.rate},
            batch=batch,
            exact=False,
            give_up=limit,
            seconds=limit + _ANSWER_SECONDS,
        )

    async def _used_memory(self) -> float:
        """Bytes in use without the clients' buffers and what waits to be written, once that is steady."""
        last = -1
        for _ in range(8):
            await asyncio.sleep(0.5)
            memory = await self._redis.info("memory")
            used = memory["used_memory"] - memory["mem_clients_normal"] - memory["mem_aof_buffer"]
            if abs(used - last) < 0.0005 * used:
                break
            last = used
        return used

    async def _cancelling(self, client: Driver) -> dict[str, Any]:
        contender = self._contender
        if contender.cannot_cancel is not None:
            return {"cancel": {"failed": f"not possible: {contender.cannot_cancel}"}}
        worker = await self._worker(cancel=True) if contender.worker_cancels else None
        ran = 0
        try:
            before = await client.ask(do="pending", seconds=_ANSWER_SECONDS)
            count = min(contender.cancel, self._plan.cancel)
            answer = await client.ask(do="cancel", count=count, seconds=self._plan.cancel_seconds)
            after = await client.ask(do="pending", seconds=_ANSWER_SECONDS)
            if worker is not None:
                ran = len((await worker.ask(do="dump", seconds=_ANSWER_SECONDS))["ran"])
        except DriverError as error:
            return {"cancel": {"failed": str(error)}}
        finally:
            if worker is not None:
                await worker.kill()
        gone = before["pending"] - after["pending"]
        if not contender.stays and gone != count:
            return {"cancel": {"failed": f"{count:,} were to be cancelled, but {gone:,} are gone"}}
        rate = answer["cancelled"] / answer["seconds"]
        note = f"{ran:,} of {count:,} ran instead of being cancelled" if ran else ""
        self._say(f"cancelling {rate:,.0f} jobs/s; {note or 'none ran'}")
        return {"cancel": {"jobs_per_second": rate, "jobs": answer["cancelled"], "ran": ran, "note": note}}

    # ---- lateness, drain ----------------------------------------------------------------------------------

    async def _lateness(self) -> dict[str, Any]:
        return {"lateness": await self._late(self._plan.lateness, self._plan.rate)}

    async def _lateness_fast(self) -> dict[str, Any]:
        figures = await self._late(self._plan.lateness_fast, self._plan.fast_rate)
        # These have no lines of their own in the table.
        return {"lateness_fast": {"note": _odd(figures), **figures}}

    async def _late(self, count: int, rate: int) -> dict[str, Any]:
        late, figures = await self._fire("late", count, rate, self._plan.lateness_tail_seconds)
        if not late:
            return {"failed": "none ran", **figures}
        figures |= {
            "p50_ms": quantile(late, 0.50),
            "p99_ms": quantile(late, 0.99),
            "max_ms": late[-1],
            "min_ms": late[0],
        }
        odd = _odd(figures) or "none early"
        self._say(
            f"at {rate:,}/s late by {figures['p50_ms']:.1f} ms p50, {figures['p99_ms']:.1f} ms p99; {odd}"
        )
        return figures

    async def _drain(self) -> dict[str, Any]:
        rounds: list[dict[str, Any]] = []
        begin = time.monotonic()
        while not rounds or self._another(rounds, begin):
            await self._redis.flushall()
            late, figures = await self._fire("drain", self._plan.drain, None, self._plan.drain_seconds)
            if not late:
                return {"drain": {"failed": f"none ran within {self._plan.drain_seconds:.0f} s", **figures}}
            figures["jobs_per_second"] = len(late) / (late[-1] / 1000)
            rounds.append(figures)
        rates = [one["jobs_per_second"] for one in rounds]
        odd = {name: sum(one[name] for one in rounds) for name in ("early", "missing", "twice")}
        rate, note = statistics.median(rates), _odd(odd)
        self._say(f"{self._plan.drain:,} at one instant: {rate:,.0f} jobs/s; {note or 'none early'}")
        return {"drain": {"jobs_per_second": rate, "rounds": rates, **odd, "note": note}}

    async def _fire(
        self, seed: str, count: int, rate: int | None, tail_seconds: float
    ) -> tuple[list[float], dict[str, int]]:
        """Have jobs run. Return by how many ms each was late, ascending, and how many went wrong."""
        ahead = SPARE_SECONDS + count / self._working_rate
        for last in (False, True):
            async with await self._worker(expect=count) as worker:
                due_ms = time.time_ns() // 1_000_000 + round(ahead * 1000)
                spec = {"count": count, "seed": seed, "due_ms": due_ms, "rate": rate}
                async with await self._client() as client:
                    answer = await client.ask(
                        do="schedule",
                        jobs=spec,
                        batch=BULK,
                        exact=True,
                        give_up=_SCHEDULE_SECONDS,
                        seconds=_SCHEDULE_SECONDS + _ANSWER_SECONDS,
                    )
                self._working_rate = 0.8 * _rate(answer)
                left = due_ms / 1000 - time.time_ns() / 1e9
                if left < 1.0 and not last:
                    # Slower than thought. Once more, with more time.
                    ahead = SPARE_SECONDS + count / self._working_rate
                    await self._redis.flushall()
                    continue
                if left < 0:
                    raise DriverError(f"scheduling took until {-left:.1f} s after the first job was due")
                window = left + (count / rate if rate else 0) + tail_seconds
                done = await worker.reached(seconds=window)
                ran = await worker.ask(do="dump", seconds=_ANSWER_SECONDS)
                if not done and "done" in ran:
                    ran = await worker.hear(seconds=_ANSWER_SECONDS)
                break
        due = {(job.session, job.kind): job.due_ms for job in make_jobs(spec)}
        first: dict[tuple[str, str], float] = {}
        for session, kind, at_ns in ran["ran"]:
            late = at_ns / 1e6 - due[session, kind]
            first[session, kind] = min(late, first.get((session, kind), late))
        late = sorted(first.values())
        return late, {
            "jobs": answer["scheduled"],
            "missing": answer["scheduled"] - len(late),
            "early": sum(one < 0 for one in late),
            "twice": len(ran["ran"]) - len(late),
        }


def _rate(answer: dict[str, Any]) -> float:
    return answer["scheduled"] / answer["seconds"]


def _odd(figures: dict[str, Any]) -> str:
    found = [f"{figures[name]:,} {name}" for name in ("early", "missing", "twice") if figures[name]]
    return ", ".join(found)

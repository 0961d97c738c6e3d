"""A million pending sessions: what a replica costs to start, to idle, and to recover from an emptied Redis.

Their four million automations lie over a month, or all within the day that the delay queue holds.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import aiohttp
import asyncpg
import click
import psutil
import uvloop

from benchmarks.crowd import plant
from benchmarks.page import RESULTS, write_section
from benchmarks.service import ABLY_KEYS, JWT_SECRET, Service
from rdchat.common.clock import SystemClock
from rdchat.domain.person import Caller, Role
from rdchat.local.ably import AblyLocal
from rdchat.local.stores import EmbeddedPostgres, EmbeddedRedis
from rdchat.postgres import pool
from rdchat.postgres.migrate import migrate
from rdchat.redis.connection import connect
from rdchat.redis.delay_queue import DelayQueue
from rdchat.security.caller_tokens import CallerTokens
from rdchat.timers.reconciler import HORIZON

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from datetime import datetime

    from rdchat.redis.connection import RedisClient

_LEADS = {
    "length": timedelta(hours=1),
    "initial_message_lead": timedelta(minutes=10),
    "end_warning_lead": timedelta(minutes=5),
}
#: Sessions that start during the refill, to see whether they wait for the far ones.
_NEAR = 200
_IDLE_SECONDS = 30
#: A page of the console asks this often.
_LOOK_SECONDS = 2.0
_LOOKING_SECONDS = 60


_PROSE = """## Many pending sessions, over {days} days

`.venv/bin/python -m benchmarks.size --days {days} --write`

Four automations each wait in PostgreSQL; Redis holds those of the next 24 hours.
"""


@dataclass(slots=True)
class Size:
    """The figures of one distribution. Seconds, MiB; `queued` are jobs in Redis."""

    sessions: int
    days: float
    start_seconds: float = 0.0
    first_fill_seconds: float = 0.0
    queued: int = 0
    redis_mib: float = 0.0
    idle_mib: float = 0.0
    idle_cpu_percent: float = 0.0
    restart_seconds: float = 0.0
    refill_seconds: float = 0.0
    late_p50_ms: int = 0
    late_max_ms: int = 0
    empty_mib: float = 0.0
    overview_first_ms: float = 0.0
    overview_p50_ms: float = 0.0
    overview_replica_percent: float = 0.0
    overview_postgresql_percent: float = 0.0
    counted_every_seconds: float = 0.0


@click.command()
@click.option("--sessions", default=1_000_000, show_default=True)
@click.option("--days", default=30.0, show_default=True, help="Over how many days they start.")
@click.option("--write", is_flag=True, help="Write the figures to docs/benchmarks.md and results/.")
def main(*, sessions: int, days: float, write: bool) -> None:
    """Measure a replica with very many pending sessions."""
    with tempfile.TemporaryDirectory(prefix="rdchat-bench-") as directory:
        postgres = EmbeddedPostgres(Path(directory) / "postgres")
        redis = EmbeddedRedis(Path(directory) / "redis")
        try:
            addresses = postgres.start(), redis.start()
            size = uvloop.run(measure(Path(directory), *addresses, sessions=sessions, days=days))
        finally:
            redis.stop()
            postgres.stop()
    click.echo(table(size))
    if write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"size-{days:g}-days.json").write_text(json.dumps(asdict(size), indent=1) + "\n")
        write_section(f"size-{days:g}-days", f"{_PROSE.format(days=f'{days:g}')}\n{table(size)}")


def table(size: Size) -> str:
    """Render the figures as a Markdown table."""
    rows = {
        "start until it serves": f"{size.start_seconds:.1f} s",
        "an empty Redis filled after": f"{size.first_fill_seconds:.1f} s",
        "jobs in Redis": f"{size.queued:,}",
        "memory of Redis": f"{size.redis_mib:.0f} MiB",
        "memory of the replica": f"{size.idle_mib:.0f} MiB (without any session: {size.empty_mib:.0f})",
        "processor of the replica, idle": f"{size.idle_cpu_percent:.1f} %",
        "overview of the console, first / p50": (
            f"{size.overview_first_ms:.0f} / {size.overview_p50_ms:.1f} ms"
        ),
        f"processor for one asked for every {_LOOK_SECONDS:g} s, beyond idling: replica / PostgreSQL": (
            f"{size.overview_replica_percent:.1f} / {size.overview_postgresql_percent:.1f} %"
        ),
        "pending sessions counted every": f"{size.counted_every_seconds:.0f} s",
        "restart on a full Redis": f"{size.restart_seconds:.1f} s",
        "Redis emptied, filled again after": f"{size.refill_seconds:.1f} s",
        f"{_NEAR} sessions that started meanwhile, late p50 / max": (
            f"{size.late_p50_ms} / {size.late_max_ms} ms"
        ),
    }
    lines = [f"| {size.sessions:,} pending sessions over {size.days:g} days | |", "|---|--:|"]
    return "\n".join(lines + [f"| {name} | {value} |" for name, value in rows.items()])


async def measure(directory: Path, database_url: str, redis_url: str, *, sessions: int, days: float) -> Size:
    """Seed the sessions, and start, idle, restart and empty."""
    size = Size(sessions, days)
    ably = AblyLocal(keys=ABLY_KEYS)
    await ably.start()
    database = await pool.connect(database_url)
    await migrate(database)
    await pool.close(database)
    connection = await asyncpg.connect(database_url)
    store = connect(redis_url)
    queue = DelayQueue(store)
    clock = SystemClock()
    service = Service(directory, database_url, redis_url, ably.address, _LEADS["initial_message_lead"])
    try:
        await service.start()
        size.empty_mib = service.memory_mib()
        await service.stop()
        click.echo(f"Seeding {sessions:,} sessions over {days:g} days ...")
        began = time.monotonic()
        first = clock.now() + timedelta(minutes=30)
        spread = timedelta(days=days) - timedelta(hours=2)
        await plant(
            connection,
            sessions=sessions,
            first=first,
            spread=spread,
            at=clock.now(),
            checked=False,
            **_LEADS,
        )
        # As a database that has had its rows for a while: otherwise it would do so while things are measured.
        await connection.execute("VACUUM ANALYZE")
        click.echo(f"... in {time.monotonic() - began:.0f} s")

        await (await store.client()).flushall()
        began = time.monotonic()
        await service.start()
        size.start_seconds = time.monotonic() - began
        size.queued = await _filled(queue, connection, clock.now())
        size.first_fill_seconds = time.monotonic() - began
        click.echo(f"{size.queued:,} jobs in Redis after {size.first_fill_seconds:.1f} s")
        await _idle(size, service, store)
        await _look(size, service)

        began = time.monotonic()
        await service.stop()
        await service.start()
        size.restart_seconds = time.monotonic() - began

        await _lose_redis(size, queue, store, connection)
    finally:
        await service.stop()
        await store.aclose()
        await connection.close()
        await ably.close()
    return size


async def _filled(queue: DelayQueue, connection: asyncpg.Connection[asyncpg.Record], since: datetime) -> int:
    """Wait until the queue holds everything within its horizon. Return how many jobs that are."""
    wanted = await connection.fetchval(
        "SELECT count(*) FROM automations WHERE status = 'scheduled' AND due_at <= $1", since + HORIZON
    )
    while True:
        depths = await queue.depth()
        held = sum(depth.waiting + depth.leased for depth in depths)
        mark = await queue.filled_until()
        # A few fall due and run while it is filled.
        if mark is not None and mark >= (since + HORIZON).timestamp() * 1000 and held >= wanted - 4 * _NEAR:
            return held
        await asyncio.sleep(0.05)


async def _idle(size: Size, service: Service, store: RedisClient) -> None:
    process = psutil.Process(service.pid)
    before = process.cpu_times()
    await asyncio.sleep(_IDLE_SECONDS)
    after = process.cpu_times()
    spent = after.user + after.system - before.user - before.system
    size.idle_cpu_percent = 100 * spent / _IDLE_SECONDS
    size.idle_mib = service.memory_mib()
    info = await (await store.client()).info("memory")
    size.redis_mib = info["used_memory"] / 2**20


async def _look(size: Size, service: Service) -> None:
    """Ask for the overview as a page of the console does, and see what that costs beyond idling."""
    caller = Caller(uuid4(), Role.SUPER_ADMIN, "Administrator")
    token = CallerTokens(
        algorithms=("HS256",), issuer="rdchat", audience="rdchat", clock=SystemClock(), secret=JWT_SECRET
    ).issue(caller, lifetime=timedelta(hours=1))
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http:

        async def ask() -> tuple[float, str]:
            began = time.perf_counter()
            async with http.get(f"{service.base}/api/v1/operations/overview") as answer:
                answer.raise_for_status()
                data = (await answer.json())["data"]
            if data["counts"]["pending"] != size.sessions or data["problems"]:
                raise click.ClickException(f"the overview is wrong: {data}")
            return (time.perf_counter() - began) * 1000, data["countedAt"]

        idle = await _spent_while(service, asyncio.sleep(_LOOKING_SECONDS))
        size.overview_first_ms, _ = await ask()
        took: list[float] = []
        counted: set[str] = set()

        async def poll() -> None:
            for _ in range(int(_LOOKING_SECONDS / _LOOK_SECONDS)):
                ms, at = await ask()
                took.append(ms)
                counted.add(at)
                await asyncio.sleep(_LOOK_SECONDS)

        busy = await _spent_while(service, poll())
    size.overview_p50_ms = sorted(took)[len(took) // 2]
    size.overview_replica_percent, size.overview_postgresql_percent = (
        max(0.0, busy[part] - idle[part]) for part in ("rdchat", "PostgreSQL")
    )
    size.counted_every_seconds = _LOOKING_SECONDS / len(counted)


async def _spent_while(service: Service, work: Coroutine[None, None, None]) -> dict[str, float]:
    """Return the processor time of each part meanwhile, in percent of one processor."""
    began, before = time.perf_counter(), service.cpu_seconds()
    await work
    after, lasted = service.cpu_seconds(), time.perf_counter() - began
    return {part: 100 * (after[part] - before[part]) / lasted for part in before}


async def _lose_redis(
    size: Size, queue: DelayQueue, store: RedisClient, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    """Empty Redis while some sessions are about to start."""
    clock = SystemClock()
    # Some start while the queue is filled again.
    first = clock.now() + timedelta(seconds=6)
    leads = _LEADS | {"initial_message_lead": timedelta(seconds=1)}
    await plant(connection, sessions=_NEAR, first=first, spread=timedelta(seconds=8), at=clock.now(), **leads)
    await (await store.client()).flushall()
    began = time.monotonic()
    await _filled(queue, connection, clock.now())
    size.refill_seconds = time.monotonic() - began
    await asyncio.sleep(max(0.0, (first - clock.now()).total_seconds() + 12))
    rows = await connection.fetch(
        "SELECT lateness_ms FROM automations WHERE kind = 'enable_chat' AND status = 'done' ORDER BY 1"
    )
    late = [row["lateness_ms"] for row in rows]
    if len(late) != _NEAR:
        raise click.ClickException(f"only {len(late)} of {_NEAR} sessions that started meanwhile are open")
    size.late_p50_ms, size.late_max_ms = late[len(late) // 2], late[-1]


if __name__ == "__main__":
    main()

"""Thousands of sessions that start at the same instant, with their whole effect.

Each has to be opened in PostgreSQL, its welcome stored, and four events published to Ably; before, both
people of each are reminded: all by one replica, on the machine's cores, while people in other sessions go on
talking. The Ably endpoint and the people are in this process, the service and its stores in theirs.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import click
import uvloop

from benchmarks.crowd import plant, plant_reminders
from benchmarks.opening.people import Talkers
from benchmarks.opening.report import Wave, section, table
from benchmarks.page import RESULTS, write_section
from benchmarks.service import ABLY_KEYS, Service
from rdchat.common.clock import SystemClock, to_ms
from rdchat.local.ably import AblyLocal
from rdchat.local.ably.limits import Limits
from rdchat.local.stores import EmbeddedPostgres, EmbeddedRedis
from rdchat.postgres import pool
from rdchat.postgres.migrate import migrate

if TYPE_CHECKING:
    from datetime import datetime

_LEAD = timedelta(seconds=12)
_SESSION = re.compile(r'"sessionId":"([^"]+)"')
_KINDS = {"reminder": -2 * _LEAD, "initial_message": -_LEAD, "enable_chat": timedelta(0)}
#: What each publishes: two notifications; its message; at the start also the new status, and two more.
_EVENTS = {"reminder": 2, "initial_message": 1, "enable_chat": 4}
_DONE = {
    "reminder": "SELECT count(*) FROM reminders WHERE status = 'done' AND due_at = $1",
    "initial_message": "SELECT count(*) FROM automations "
    "WHERE kind = 'initial_message' AND status = 'done' AND due_at = $1",
    "enable_chat": "SELECT count(*) FROM automations "
    "WHERE kind = 'enable_chat' AND status = 'done' AND due_at = $1",
}


@click.command()
@click.option("--sessions", default=10_000, show_default=True)
@click.option("--talkers", default=50, show_default=True, help="People who send a message every second.")
@click.option("--write", is_flag=True, help="Write the figures to docs/benchmarks.md and results/.")
@click.option("--split", is_flag=True, help="One replica for people, another for timers.")
def main(*, sessions: int, talkers: int, split: bool, write: bool) -> None:
    """Measure how fast sessions that start together are open, and what others notice of it."""
    with tempfile.TemporaryDirectory(prefix="rdchat-bench-") as directory:
        postgres = EmbeddedPostgres(Path(directory) / "postgres")
        redis = EmbeddedRedis(Path(directory) / "redis")
        try:
            addresses = postgres.start(), redis.start()
            waves = uvloop.run(
                measure(Path(directory), *addresses, sessions=sessions, talkers=talkers, split=split)
            )
        finally:
            redis.stop()
            postgres.stop()
    click.echo(table(waves))
    if write:
        RESULTS.mkdir(exist_ok=True)
        figures = [wave.figures() for wave in waves]
        name = "split" if split else "one-replica"
        (RESULTS / f"opening-{name}.json").write_text(json.dumps(figures, indent=1) + "\n")
        write_section(f"opening-{name}", section(waves, split=split, talkers=talkers))


async def measure(
    directory: Path, database_url: str, redis_url: str, *, sessions: int, talkers: int, split: bool
) -> list[Wave]:
    """Run the service through the waves; returns one for each kind of job."""
    ably = AblyLocal(keys=ABLY_KEYS, limits=Limits(recorded=10 * sessions, recorded_bytes=2**40))
    await ably.start()
    database = await pool.connect(database_url)
    await migrate(database)
    connection = await asyncpg.connect(database_url)
    clock = SystemClock()
    click.echo(f"Seeding {sessions:,} sessions ...")
    plans = {
        "length": timedelta(minutes=20),
        "initial_message_lead": _LEAD,
        "end_warning_lead": timedelta(minutes=5),
    }
    await plant(
        connection,
        sessions=talkers,
        first=clock.now() + timedelta(seconds=5),
        spread=timedelta(0),
        at=clock.now(),
        **plans | {"initial_message_lead": timedelta(0)},
    )
    talking = [(row["id"], row["client_id"]) for row in await connection.fetch("SELECT * FROM chat_sessions")]
    start = clock.now() + timedelta(seconds=10 + sessions / 2000) + 2 * _LEAD
    await plant(connection, sessions=sessions, first=start, spread=timedelta(0), at=clock.now(), **plans)
    await plant_reminders(connection, start, 2 * _LEAD)
    stores = directory, database_url, redis_url, ably.address, _LEAD
    service = Service(*stores, roles="worker,relay" if split else "api,worker,relay")
    to_instant = Service(*stores, roles="api") if split else service
    await service.start()
    if split:
        await to_instant.start()
    opened = "SELECT count(*) FROM chat_sessions WHERE status = 'active'"
    while await connection.fetchval(opened) < talkers:  # noqa: ASYNC110 - PostgreSQL does not call back
        await asyncio.sleep(0.1)
    people = Talkers(to_instant.base, talking)
    await people.start()
    try:
        waves = [
            await _wave(
                Wave(kind, sessions), start + offset, ably=ably, service=service, connection=connection
            )
            for kind, offset in _KINDS.items()
        ]
    finally:
        await people.stop()
        await service.stop()
        await to_instant.stop()
        await ably.close()
        await connection.close()
        await pool.close(database)
    for wave in waves:
        begin = to_ms(start + _KINDS[wave.kind])
        wave.posts = people.during(begin, begin + wave.published[-1])
    return waves


def _reached(ably: AblyLocal, kind: str, due: datetime) -> list[int]:
    """Return when the last event of each session that tells of it was published, in ms after `due`."""
    reminder, automated = ("notification", '"type":"reminder"'), ("message", '"isAutomated":true')
    name, mark = reminder if kind == "reminder" else automated
    last: dict[str, int] = {}
    for _, message in ably.published:
        data = str(message.get("data"))
        if message.get("name") == name and mark in data:
            session = _SESSION.search(data)
            last[session[1] if session else data] = message["timestamp"] - to_ms(due)
    return list(last.values())


async def _wave(
    wave: Wave,
    due: datetime,
    *,
    ably: AblyLocal,
    service: Service,
    connection: asyncpg.Connection[asyncpg.Record],
) -> Wave:
    """Wait for one kind of job to run in every session."""
    await asyncio.sleep(max(0.0, (due - SystemClock().now()).total_seconds() - 2.0))
    ably.published.clear()
    before = service.cpu_seconds()
    kind, sessions = wave.kind, wave.sessions
    at: list[int] = []
    while len(at) < sessions:
        # Rarely, and mostly by counting: looking takes time from what is measured.
        await asyncio.sleep(0.5)
        if len(ably.published) >= sessions * _EVENTS[kind]:
            at = _reached(ably, kind, due)
        if SystemClock().now() > due + timedelta(minutes=2):
            raise click.ClickException(f"{kind}: {len(ably.published)} events after two minutes")
    done = await connection.fetchval(_DONE[kind], due)
    if done != sessions or len(at) != sessions:
        raise click.ClickException(f"{kind}: {done} of {sessions} done, {len(at)} published")
    wave.published = sorted(at)
    after = service.cpu_seconds()
    wave.cpu = {part: round(1e6 * (after[part] - before[part]) / sessions) for part in after}
    click.echo(f"{kind}: {len(at):,} published in {max(at) / 1000:.2f} s")
    return wave


if __name__ == "__main__":
    main()

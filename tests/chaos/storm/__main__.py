"""`python -m tests.chaos.storm`: a storm of some minutes on private stores, with a report at the end."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import click

from rdchat.local.stores import EmbeddedPostgres, EmbeddedRedis
from tests.chaos.storm.plan import Plan, make_plan
from tests.chaos.storm.stage import a_stage
from tests.chaos.storm.storm import Storm

_LONGEST_SESSION_SECONDS = 40.0


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="How long sessions are to begin.")
@click.option("--seed", type=int, help="Of the plan; one is drawn, and printed, if you give none.")
@click.option("--replicas", default=3, show_default=True, help="Processes that serve.")
@click.option("--rate", default=12.0, show_default=True, help="Sessions a second, four timers each.")
@click.option("--later", default=5000, show_default=True, help="More sessions, hours ahead: a long queue.")
@click.option(
    "--gap",
    type=(float, float),
    default=(2.0, 9.0),
    show_default=True,
    help="Seconds between faults, from, to.",
)
@click.option("--directory", type=click.Path(path_type=Path), help="Where data and logs are kept.")
def main(
    *,
    minutes: float,
    seed: int | None,
    replicas: int,
    rate: float,
    later: int,
    gap: tuple[float, float],
    directory: Path | None,
) -> None:
    """Kill, pause and restart replicas, empty and kill Redis, while thousands of timers fall due.

    Afterwards every automation of every session must have taken effect exactly once, or been skipped by a
    rule because it was late: in PostgreSQL, and for subscribers. Exit status 1 if one has not.
    """
    seed = random.SystemRandom().randrange(10_000) if seed is None else seed
    plan = make_plan(
        seed,
        seconds=minutes * 60,
        replicas=replicas,
        rate=rate,
        later=later,
        gap=gap,
        longest=_LONGEST_SESSION_SECONDS,
    )
    click.echo(
        f"Seed {seed}: {len(plan.appointments)} sessions, {len(plan.faults)} faults, {replicas} replicas, "
        f"{minutes:g} minutes"
    )
    # The SDK logs what it survives.
    logging.getLogger("ably").setLevel(logging.CRITICAL)
    place = directory or Path(tempfile.mkdtemp(prefix="rdchat-storm-"))
    try:
        good = asyncio.run(_storm(plan, place))
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("Broken off.")
        sys.exit(130)
    if good and directory is None:
        shutil.rmtree(place)
    else:
        click.echo(f"\nThe replicas' logs are in {place}/")
    sys.exit(0 if good else 1)


async def _storm(plan: Plan, directory: Path) -> bool:
    task = asyncio.current_task()
    assert task is not None
    # What ends this ends the replicas with it.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    postgres = EmbeddedPostgres(directory / "pg", settings={"fsync": "off", "max_connections": "200"})
    redis = EmbeddedRedis(directory / "redis")
    try:
        postgres.start()
        async with a_stage(
            directory,
            database_url=postgres.service_address,
            redis_url=redis.start(),
            replicas=plan.replicas,
        ) as stage:
            report = await Storm(stage, redis, plan, click.echo).run()
    finally:
        redis.stop()
        postgres.stop()
    click.echo(f"\n{report.text()}")
    return report.verdict.is_good


if __name__ == "__main__":
    main()

"""The tests that book by wall time, once at each hour of a day and around the ends that a calendar has.

The hours are those of seven days, so that each day of the week comes as well. Each run begins shortly before
the hour, so that it turns while the tests run. `python -m tests.hours 01:00 "year-end"` runs only these.
"""

from __future__ import annotations

import calendar
import os
import re
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import click

from tests.support.soon import sunday

#: A run begins so long before the instant: collecting tests and starting servers takes about half of it.
_LEAD = timedelta(seconds=15)
#: More than there are cores: most of what these tests do is wait.
_WORKERS = 4
_RUN_SECONDS = 300


def instants(now: datetime) -> dict[str, datetime]:
    """Name the instants, all of them ahead: a machine's clock is moved forward only."""
    tomorrow = now.date() + timedelta(days=1)
    leap = next(year for year in range(now.year + 1, now.year + 9) if calendar.isleap(year))
    hours = {
        f"{hour:02}:00": datetime.combine(tomorrow + timedelta(days=hour % 7), time(hour), UTC)
        for hour in range(24)
    }
    days = {
        "month-end": date(now.year + 1, 5, 1),
        "year-end": date(now.year + 1, 1, 1),
        "29-february": date(leap, 2, 29),
        "1-march": date(leap, 3, 1),
        # Much is booked thirty days ahead; then it falls on the days on which New York changes its clocks.
        "before-spring": sunday(now.year + 1, 3, 2) - timedelta(days=30),
        "before-autumn": sunday(now.year + 1, 11, 1) - timedelta(days=30),
    }
    return hours | {name: datetime.combine(day, time(0), UTC) for name, day in days.items()}


def chosen() -> list[str]:
    """Find the files that have such tests; to collect all others as well takes longer than to run these."""
    files = Path(__file__).parents[1].rglob("test_*.py")
    return sorted(str(file) for file in files if "mark.wall_time" in file.read_text("utf-8"))


def built(directory: str) -> Path:
    """Build the library that moves the clock, where the servers' account may read it."""
    Path(directory).chmod(0o755)
    library = Path(directory) / "clock.so"
    source = Path(__file__).with_name("clock.c")
    command = ["cc", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    command += ["-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return library


def run(name: str, instant: datetime, library: Path) -> bool:
    """Run the tests around the instant and say in a line how it went; what failed is shown below."""
    began = datetime.now(UTC)
    ahead = round((instant - _LEAD - began).total_seconds())
    command = [sys.executable, "-m", "pytest", "-p", "tests.hours.moved", "-p", "no:cacheprovider"]
    command += ["-m", "wall_time", "-n", str(_WORKERS), "--tb", "short", "--durations", "5", *chosen()]
    environment = os.environ | {"LD_PRELOAD": str(library), "CLOCK_AHEAD": str(ahead)}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_RUN_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        click.echo(f"{name:14} no end after {_RUN_SECONDS} s")
        return False
    first, last = (at + timedelta(seconds=ahead) for at in (began, datetime.now(UTC)))
    counts = re.findall(r"^(?:\d+ \w+,? ?)+ in .*$", done.stdout, re.MULTILINE)
    click.echo(
        f"{name:14} {first:%Y-%m-%d %H:%M:%S} to {last:%H:%M:%S} UTC: "
        f"{'ok' if done.returncode == 0 else 'FAILED'}, {counts[-1] if counts else 'no count'}",
    )
    if done.returncode != 0:
        click.echo(f"{done.stdout}\n{done.stderr}")
    return done.returncode == 0


def main(wanted: list[str]) -> int:
    known = instants(datetime.now(UTC))
    if unknown := set(wanted) - set(known):
        click.echo(f"Not known: {', '.join(sorted(unknown))}. There are: {', '.join(known)}.")
        return 2
    with tempfile.TemporaryDirectory(prefix="rdchat-hours-") as directory:
        library = built(directory)
        outcomes = [run(name, known[name], library) for name in wanted or known]
    click.echo(f"{sum(outcomes)} of {len(outcomes)} ok")
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

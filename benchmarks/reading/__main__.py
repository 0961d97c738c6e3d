"""What people read, beside a NestJS service: history, sessions, unread counts, slots; receipts; bookings."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import click
import uvloop

from benchmarks.crowd import insert_people
from benchmarks.generator import Generator
from benchmarks.machine import Elsewhere
from benchmarks.messages.contenders import Ours, peer
from benchmarks.messages.stage import Tokens, stage, stores
from benchmarks.page import RESULTS, write_section
from benchmarks.rates import measure as measure_rates
from benchmarks.reading import report
from benchmarks.reading.practice import furnish, furnish_peer
from benchmarks.reading.routes import QUESTIONS, bookings, first_words
from rdchat.common.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.messages.stage import Stage, Stores
    from benchmarks.rates import Rates
    from benchmarks.reading.practice import Practice

_BOOKINGS: Final = "bookings"
_PARTS: Final = (*(one.name for one in QUESTIONS), _BOOKINGS)
_ROUNDS: Final = 3
_SECONDS: Final = 3.0
_WARM_SECONDS: Final = 2.0
#: Bookings that are prepared, more than are made: for each psychologist, room for five at a time.
_PREPARED: Final = 40_000
_MORE_PSYCHOLOGISTS: Final = 50


@click.command()
@click.option("--only", default=",".join(_PARTS), show_default=True, help="Which parts, with commas.")
@click.option("--rounds", default=_ROUNDS, show_default=True, help="How often each is measured.")
@click.option("--alone", is_flag=True, help="rdchat without the peer.")
@click.option("--write", is_flag=True, help="Write to docs/benchmarks.md and results/.")
def main(*, only: str, rounds: int, alone: bool, write: bool) -> None:
    """Measure what people read beside a NestJS service, and bookings, and print what holds.

    Takes five minutes. The first run installs the peer into .bench/.
    """
    parts = set(only.split(","))
    if parts - set(_PARTS):
        raise click.UsageError(f"--only takes some of {', '.join(_PARTS)}.")
    if write and (alone or rounds != _ROUNDS or parts != set(_PARTS)):
        raise click.UsageError("--write needs the whole of it.")
    began, elsewhere = time.monotonic(), Elsewhere()
    with stores() as running:
        found = uvloop.run(measure(running, parts, rounds, elsewhere.say, alone=alone))
    elsewhere.stop()
    found.seconds, found.used_by_others = time.monotonic() - began, elsewhere.share
    if not alone:
        click.echo("\n" + report.target_table(found))
    click.echo(f"\n{found.seconds:.0f} s; {found.used_by_others:.0%} of the processors were used by others.")
    if write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "reading.json").write_text(json.dumps(found.figures(), indent=1) + "\n")
        write_section("reading", report.section(found))


async def measure(
    running: Stores, parts: set[str], rounds: int, say: Callable[[str], None], *, alone: bool
) -> report.Findings:
    """Measure the parts one after the other."""
    found = report.Findings()
    async with stage(running, sessions=0) as scene:
        practice = await furnish(scene.connection)
        contenders = [Ours(scene, limits=True)]
        if not alone:
            contenders.insert(0, await peer(scene))
            await furnish_peer(scene.connection)
        tokens = Tokens()
        for contender in contenders:
            await contender.start()
        try:
            for contender in contenders:
                talk = Generator(contender.base, first_words(practice, tokens), accepted=201)
                await talk.start()
                await talk.closed(16, 0.5)
                await talk.stop()
            for question in QUESTIONS:
                if question.name in parts:
                    say(question.words)
                    asking = [(one, question.generator(one.base, practice, tokens)) for one in contenders]
                    found.read[question.words] = await measure_rates(
                        scene,
                        asking,
                        say,
                        dict.fromkeys(report.CONNECTIONS, rounds),
                        seconds=_SECONDS,
                        warm_seconds=_WARM_SECONDS,
                    )
        finally:
            for contender in contenders:
                await contender.stop()
        if _BOOKINGS in parts:
            say(_BOOKINGS)
            found.booked = await _book(scene, practice, tokens, rounds, say)
    return found


_PSYCHOLOGISTS = """
INSERT INTO psychologists (id, timezone, is_active, created_at, updated_at)
SELECT id, 'Asia/Jakarta', true, now(), now() FROM unnest($1::uuid[]) AS t (id)
"""


async def _book(
    scene: Stage, practice: Practice, tokens: Tokens, rounds: int, say: Callable[[str], None]
) -> Rates:
    ids = [uuid4() for _ in range(_MORE_PSYCHOLOGISTS)]
    named = [(one, "psychologist", f"Psychologist {number}") for number, one in enumerate(ids, 1)]
    await insert_people(scene.connection, named, SystemClock().now())
    await scene.connection.execute(_PSYCHOLOGISTS, ids)
    ours = Ours(scene, limits=True, rate_limits="")
    await ours.start()
    try:
        prepared = bookings(practice, ids, tokens, _PREPARED)
        return await measure_rates(
            scene,
            [(ours, Generator(ours.base, prepared, accepted=201))],
            say,
            dict.fromkeys(report.CONNECTIONS, rounds),
            seconds=_SECONDS,
            warm_seconds=_WARM_SECONDS,
        )
    finally:
        await ours.stop()


if __name__ == "__main__":
    main()

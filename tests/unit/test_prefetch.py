"""Which of the sessions that are expected are worth reading, and what becomes of what was read."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from rdchat.engine.actor import Actor, Stage
from rdchat.engine.prefetch import Prefetch
from statemachine import Status
from tests.support.memory_storage import MemoryStorage, SetClock
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from statemachine import Session

LONG_AGO = 60.0


class RecordingStorage(MemoryStorage):
    """A storage that notes what is read together."""

    def __init__(self) -> None:
        super().__init__()
        self.read_together: list[list[UUID]] = []

    async def hydrate(self, session_ids: Sequence[UUID]) -> tuple[dict[UUID, Session], set[UUID]]:
        self.read_together.append(list(session_ids))
        return await super().hydrate(session_ids)


@asynccontextmanager
async def prefetching(storage: MemoryStorage, actors: dict[UUID, Actor]) -> AsyncIterator[Prefetch]:
    prefetch = Prefetch(storage, actors)
    task = asyncio.create_task(prefetch.run())
    try:
        yield prefetch
    finally:
        task.cancel()
        await asyncio.wait({task})


def actor_of(session: Session, *, ago: float, stage: Stage = Stage.IDLE) -> Actor:
    return Actor(session.id, session, stage=stage, used_at=asyncio.get_running_loop().time() - ago)


async def test_what_is_in_use_or_was_a_moment_ago_is_not_read_and_everything_else_is() -> None:
    storage, clock = RecordingStorage(), SetClock()
    unknown, quiet, fresh, queued, running = (storage.add(clock, status=Status.ACTIVE) for _ in range(5))
    actors = {
        quiet.id: actor_of(quiet, ago=LONG_AGO),
        fresh.id: actor_of(fresh, ago=0.0),
        queued.id: actor_of(queued, ago=LONG_AGO, stage=Stage.QUEUED),
        running.id: actor_of(running, ago=LONG_AGO, stage=Stage.RUNNING),
    }
    expected = [fresh.id, unknown.id, queued.id, quiet.id, running.id]
    async with prefetching(storage, actors) as prefetch:
        prefetch.prefetch(expected)
        await until(lambda: unknown.id in actors)
    assert storage.read_together == [[unknown.id, quiet.id]]


async def test_a_newer_session_replaces_what_an_idle_actor_knows_and_an_older_one_does_not() -> None:
    storage, clock = RecordingStorage(), SetClock()
    behind, ahead, empty, last = (storage.add(clock, status=Status.ACTIVE) for _ in range(4))
    actors = {
        behind.id: actor_of(replace(behind), ago=LONG_AGO),
        ahead.id: actor_of(replace(ahead, version=9), ago=LONG_AGO),
        empty.id: Actor(empty.id, None),
    }
    storage.truth[behind.id] = replace(behind, version=3)
    async with prefetching(storage, actors) as prefetch:
        prefetch.prefetch([behind.id, ahead.id, empty.id])
        prefetch.prefetch([last.id])
        await until(lambda: last.id in actors)
    versions = {one: actor.session.version for one, actor in actors.items() if actor.session is not None}
    assert versions == {behind.id: 3, ahead.id: 9, empty.id: 0, last.id: 0}


async def test_many_are_read_sixty_four_at_a_time_and_each_once() -> None:
    storage, clock = RecordingStorage(), SetClock()
    expected = [storage.add(clock).id for _ in range(130)]
    actors: dict[UUID, Actor] = {}
    async with prefetching(storage, actors) as prefetch:
        prefetch.prefetch([*expected, uuid4()])
        await until(lambda: len(actors) == len(expected))
    assert [len(one) for one in storage.read_together] == [64, 64, 3]
    assert [one for page in storage.read_together for one in page][: len(expected)] == expected
    known_at = {actor.used_at for actor in actors.values()}
    assert max(known_at) <= asyncio.get_running_loop().time()
    assert min(known_at) > 0

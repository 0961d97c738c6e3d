"""Two replicas in this process, on one database and one Ably endpoint, and people who can call either."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.service import Person, Service
from tests.support.world import World, a_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@dataclass
class Pair:
    """The replicas, and the world that they are in."""

    world: World
    one: Service
    other: Service

    def elsewhere(self, person: Person) -> Person:
        """The same person, calling the other replica."""
        return Person(self.other.client, self.other.base, person.caller, person.token)


@asynccontextmanager
async def a_pair(
    directory: Path, *, database_url: str, redis_url: str, **settings: Any
) -> AsyncIterator[Pair]:
    """Start two replicas with the same settings."""
    async with (
        a_world(directory, database_url=database_url, redis_url=redis_url) as world,
        world.service(**settings) as one,
        world.service(**settings) as other,
    ):
        yield Pair(world, one, other)

"""Where a storm takes place: stores, an Ably endpoint that outlives everything, and replicas as processes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import aiohttp
import asyncpg
from redis.asyncio import Redis

from rdchat.local.ably import AblyLocal, Limits
from rdchat.postgres.migrate import migrate
from tests.chaos.storm.delay_queue import Queue
from tests.support.database_users import as_owner
from tests.support.replica import Replica
from tests.support.service import service_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

#: Several starting at once, on a machine that does other things as well.
START_SECONDS: Final = 60.0
#: Everything is kept, and nothing is dropped as a repetition: what comes twice has to be seen twice.
_LIMITS: Final = Limits(recorded=10_000_000, recorded_bytes=2**40, duplicate_window=0.0)
_HTTP_SECONDS: Final = 2.0


@dataclass(slots=True)
class Stage:
    """What a storm works with. `pool`, `redis` and `queue` are the harness' own connections."""

    ably: AblyLocal
    ably_key: str
    pool: asyncpg.Pool[asyncpg.Record]
    redis: Redis
    queue: Queue
    http: aiohttp.ClientSession
    replicas: list[Replica]

    async def start_replicas(self) -> None:
        """Start all of them, and wait until they serve."""
        await asyncio.gather(*[replica.start(START_SECONDS) for replica in self.replicas])


@asynccontextmanager
async def a_stage(
    directory: Path, *, database_url: str, redis_url: str, replicas: int
) -> AsyncIterator[Stage]:
    """Make a stage on stores that run; its replicas are not started yet, and ended in any case.

    The address is the service's, for the replicas and for what is booked here.
    """
    key = service_settings(directory).ably_key
    name, _, secret = key.partition(":")
    async with AsyncExitStack() as exits:
        # Under a name of its own, so that cutting the replicas' connections spares it.
        pool = await exits.enter_async_context(
            asyncpg.create_pool(
                database_url, min_size=1, max_size=4, server_settings={"application_name": "storm"}
            )
        )
        async with asyncpg.create_pool(as_owner(database_url), min_size=1) as owner:
            await migrate(owner)
        redis = Redis.from_url(redis_url)
        exits.push_async_callback(redis.aclose)
        ably = AblyLocal(keys={name: secret}, limits=_LIMITS)
        await ably.start()
        exits.push_async_callback(ably.close)
        http = await exits.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_HTTP_SECONDS))
        )
        made = [
            Replica(
                directory / f"replica-{number}",
                database_url=database_url,
                redis_url=redis_url,
                ably_endpoint=ably.address,
                # Thousands of sessions share a few psychologists.
                max_active_per_psychologist=1_000_000,
            )
            for number in range(replicas)
        ]
        for replica in made:
            exits.callback(replica.kill9)
        yield Stage(ably, key, pool, redis, Queue(redis), http, made)

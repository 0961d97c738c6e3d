"""The program and its stores go by one clock; without that, a moved clock would show nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import redis.asyncio

pytestmark = pytest.mark.wall_time


async def test_program_and_stores_tell_the_same_time(database_url: str, redis_url: str) -> None:
    before = datetime.now(UTC)
    database = await asyncpg.connect(database_url)
    store = redis.asyncio.Redis.from_url(redis_url)
    try:
        told = [await database.fetchval("SELECT clock_timestamp()")]
        seconds, microseconds = await store.time()
        told.append(datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds))
    finally:
        await store.aclose()
        await database.close()
    # Valkey looks at the clock once in a round of its loop.
    rounding = timedelta(seconds=1)
    assert all(before - rounding < one < datetime.now(UTC) + rounding for one in told), (before, told)

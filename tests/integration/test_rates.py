"""Rate limits: one count for all replicas, and one for each while Redis is away."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import limits
import pytest

from rdchat.local.stores import EmbeddedRedis
from rdchat.redis import rates as rates_module
from rdchat.redis.connection import connect
from rdchat.redis.rates import RateLimitStatus, Rates
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path
    from uuid import UUID


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


@asynccontextmanager
async def counting(url: str, count: int = 2, **kinds: str) -> AsyncIterator[list[Rates]]:
    """So many processes' counts on one Redis."""
    stores = [connect(url) for _ in range(count)]
    items = {kind: limits.parse(rate) for kind, rate in kinds.items()}
    made = [Rates(store, items) for store in stores]
    for one in made:
        one.start()
    try:
        yield made
    finally:
        for one, store in zip(made, stores, strict=True):
            await one.close()
            await store.aclose()


async def hit(rates: Rates, person_id: UUID, kind: str = "message") -> RateLimitStatus:
    status = await rates.hit(kind, person_id)
    assert status is not None
    return status


@pytest.mark.usefixtures("patient_with_redis")
async def test_two_count_as_one_and_let_exactly_the_limit_pass(redis_url: str) -> None:
    async with counting(redis_url, message="40/minute") as both:
        person_id = uuid4()
        statuses = await asyncio.gather(*(hit(both[n % 2], person_id) for n in range(40)))
        await asyncio.sleep(0)
        # What was counted in memory has been told by now, or is told with the next.
        await until(lambda: not any(one.pending for one in both))
        after = await asyncio.gather(*(hit(both[n % 2], person_id) for n in range(20)))
        assert all(status.allowed for status in statuses)
        assert not any(status.allowed for status in after)
        assert {status.left for status in after} == {0}
        assert all(0 < status.resets_in <= 60 for status in (*statuses, *after))
        other = await hit(both[0], uuid4())
        assert (other.allowed, other.limit, other.window, other.left) == (True, 40, 60, 39)
        assert await both[0].hit("typing", person_id) is None, "a kind without a limit has none"


@pytest.mark.usefixtures("patient_with_redis")
async def test_who_is_near_the_limit_is_counted_exactly(redis_url: str) -> None:
    async with counting(redis_url, count=3, message="10/minute") as processes:
        person_id = uuid4()
        for _ in range(6):
            assert (await hit(processes[0], person_id)).allowed
        statuses = await asyncio.gather(*(hit(processes[0], person_id) for _ in range(20)))
        assert sorted(status.left for status in statuses) == [0] * 17 + [1, 2, 3]
        assert sum(status.allowed for status in statuses) == 4
        # One that has heard nothing yet lets a few pass from memory, and knows a moment later.
        for one in processes[1:]:
            await hit(one, person_id)

            async def refuses(one: Rates = one) -> bool:
                return not (await hit(one, person_id)).allowed

            await until(refuses, 2, every=0.06)


async def test_a_window_ends_and_the_next_one_is_whole(redis_url: str) -> None:
    async with counting(redis_url, message="3/second") as both:
        person_id = uuid4()
        for _ in range(2):
            before = [await hit(both[n % 2], person_id) for n in range(8)]
            assert [one.allowed for one in before[:2]] == [True, True]
            assert not before[-1].allowed
            assert before[-1].resets_in == 1

            ends = asyncio.get_running_loop().time() + before[-1].resets_in

            def ended(ends: float = ends) -> bool:
                return asyncio.get_running_loop().time() > ends

            await until(ended, 3)


@pytest.mark.parametrize("fault", ["killed", "hanging"])
async def test_without_redis_each_counts_for_itself_and_nobody_waits(
    own_redis: EmbeddedRedis, fault: str
) -> None:
    async with counting(own_redis.address, message="30/minute") as both:
        person_id = uuid4()
        for one in both:
            assert (await hit(one, person_id)).allowed
        await until(lambda: not any(one.pending for one in both))
        pid = own_redis.pid
        assert pid is not None
        if fault == "killed":
            own_redis.kill()
        else:
            os.kill(pid, signal.SIGSTOP)
        try:
            began = asyncio.get_running_loop().time()
            for one in both:
                statuses = [await hit(one, person_id) for _ in range(40)]
                allowed = [status.allowed for status in statuses]
                assert 27 <= sum(allowed) <= 30
                assert allowed == sorted(allowed, reverse=True), "once refused, refused until the window ends"
            took = asyncio.get_running_loop().time() - began
            assert took < 2, "the first who asks waits, the others do not"
        finally:
            if fault == "hanging":
                os.kill(pid, signal.SIGCONT)


async def test_when_redis_is_back_it_is_asked_again(
    own_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates_module, "_REST_SECONDS", 0.05)
    async with counting(own_redis.address, message="10/minute") as (one, other):
        person_id = uuid4()
        own_redis.kill()
        for _ in range(20):
            last = await hit(one, person_id)
        assert not last.allowed
        own_redis.start()

        async def other_knows() -> bool:
            return not (await hit(other, person_id)).allowed

        await until(other_knows, 5, every=0.06)
        assert not (await hit(one, person_id)).allowed


async def test_the_memory_of_counts_is_bounded_and_looked_through_seldom(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates_module, "_REMEMBERED", 100)
    async with counting(redis_url, count=1, message="1000/second") as (one,):
        for _ in range(5):
            for _ in range(150):
                await hit(one, uuid4())
            ends = asyncio.get_running_loop().time() + 1

            def over(ends: float = ends) -> bool:
                return asyncio.get_running_loop().time() > ends

            await until(over, 2)
        assert one.remembered <= 400

"""Redis is emptied, killed, hung, filled with rubbish: it is never the only copy of anything."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING

import redis.asyncio

from rdchat.local.stores import EmbeddedRedis
from rdchat.redis.delay_queue import SHARDS, due_key, leases_key
from rdchat.timers import reconciler
from tests.support.waiting import until
from tests.support.world import World, a_world, at_instant

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

LATE_MS = 250


async def on_time(world: World, count: int) -> None:
    """All of so many sessions' automations are done, and none of them was late."""
    for kind in ("initial_message", "enable_chat", "end_warning", "auto_end"):
        late = await lateness(world, kind)
        assert len(late) == count, f"{kind}: {late}"
        assert max(late) < LATE_MS, f"{kind}: {late}"


async def lateness(world: World, kind: str) -> list[int]:
    rows = await world.fetch("SELECT lateness_ms FROM automations WHERE kind = $1 AND status = 'done'", kind)
    return sorted(row["lateness_ms"] for row in rows)


async def flush(redis_url: str) -> None:
    client = redis.asyncio.Redis.from_url(redis_url)
    await client.flushall()
    await client.aclose()


async def test_an_emptied_redis_is_filled_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "_EVERY_SECONDS", 0.5)
    async with world.service() as service:
        [talk, *_] = await world.book(service.base, starts_in=2.6, lasts=3, count=3)
        await flush(world.redis_url)
        await at_instant(talk.starts_at, offset=0.5)
        await flush(world.redis_url)
        assert (await world.insist(talk, talk.client, "masih di sini", 2)).replies
        await world.check(8)
    await on_time(world, 3)


async def test_a_set_that_redis_loses_alone_is_filled_again(world: World) -> None:
    """As by eviction. The mark stays, so nothing but who claims can notice."""
    async with world.service() as service:
        talks = await world.book(service.base, starts_in=3, lasts=2, count=3)
        # The round at the start is over, and the next one comes long after.
        await until(service.runtime.queue.filled_until, 5)
        client = redis.asyncio.Redis.from_url(world.redis_url)
        await client.delete(*map(due_key, range(SHARDS)))
        await client.aclose()
        await until(lambda: world.all_are("active"), 6)
        assert len(talks) == 3
        await world.check(8)
    await on_time(world, 3)


async def test_redis_restarts_empty_before_the_start(
    tmp_path: Path, database_url: str, own_redis: EmbeddedRedis
) -> None:
    async with (
        a_world(tmp_path, database_url=database_url, redis_url=own_redis.address) as world,
        world.service() as service,
    ):
        await world.book(service.base, starts_in=2.6, lasts=2, count=3)
        own_redis.kill()
        shutil.rmtree(tmp_path / "redis" / "data")
        own_redis.start()
        await world.check(9)
        await on_time(world, 3)


async def test_redis_is_away_when_the_chat_has_to_open(
    tmp_path: Path, database_url: str, own_redis: EmbeddedRedis
) -> None:
    async with (
        a_world(tmp_path, database_url=database_url, redis_url=own_redis.address) as world,
        world.service() as service,
    ):
        [talk] = await world.book(service.base, starts_in=3, lasts=4)
        await at_instant(talk.starts_at, offset=-2.0)
        own_redis.kill()
        await until(lambda: world.is_settled(talk, "enable_chat"), 6)
        assert await world.status(talk) == "active"
        assert max(await lateness(world, "enable_chat")) < 3000
        assert (await world.say(talk, talk.client, "tanpa Redis"))[0].replies
        own_redis.start()
        await world.check(10)


async def test_a_redis_that_hangs_does_not_hold_up_claimed_timers(
    tmp_path: Path, database_url: str, own_redis: EmbeddedRedis
) -> None:
    async with (
        a_world(tmp_path, database_url=database_url, redis_url=own_redis.address) as world,
        world.service() as service,
    ):
        [talk] = await world.book(service.base, starts_in=2.6, lasts=3)
        # By now the start is claimed and waits in the worker's memory.
        await at_instant(talk.starts_at, offset=-1.2)
        pid = own_redis.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            await until(lambda: world.is_settled(talk, "enable_chat"), 6)
            # The session is in memory by now: a message needs nothing of Redis.
            said, reply = await world.say(talk, talk.client, "Redis diam")
            assert reply is not None
            assert said.replies
        finally:
            os.kill(pid, signal.SIGCONT)
        await world.check(12)
        assert max(await lateness(world, "enable_chat")) < 1000


async def test_a_restarted_redis_goes_on_to_wake_the_workers(
    tmp_path: Path, database_url: str, own_redis: EmbeddedRedis
) -> None:
    """It has forgotten that notifications were switched on."""
    async with (
        a_world(tmp_path, database_url=database_url, redis_url=own_redis.address) as world,
        world.service() as service,
    ):
        client = redis.asyncio.Redis.from_url(own_redis.address)

        async def listening() -> bool:
            return len(await client.pubsub_channels("__keyspace@*")) == 2 * SHARDS

        async def switched_on() -> bool:
            flags = (await client.config_get("notify-keyspace-events"))["notify-keyspace-events"]
            return set("Kxz") <= set(flags or "")

        try:
            await until(listening, 4)
            own_redis.kill()
            await client.connection_pool.disconnect()
            own_redis.start()
            await until(switched_on, 4)
        finally:
            await client.aclose()
        await world.book(service.base, starts_in=1, lasts=2, count=3)
        await world.check(8)
        assert max(await lateness(world, "initial_message")) < LATE_MS


async def test_a_failover_to_an_empty_redis_is_noticed(world: World) -> None:
    async with world.service() as service:
        await world.book(service.base, starts_in=2.2, lasts=2.0, count=3)
        client = redis.asyncio.Redis.from_url(world.redis_url)
        # All connections are cut, and whoever comes back finds nothing: what clients see of a failover.
        async with client.pipeline(transaction=True) as pipeline:
            pipeline.flushall()
            pipeline.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            pipeline.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await pipeline.execute()
        await client.aclose()
        await world.check(8)
        assert max(await lateness(world, "enable_chat")) < 1000


async def test_rubbish_in_the_queue_harms_no_timer(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    async with world.service() as service:
        [talk, *_] = await world.book(service.base, starts_in=2.1, lasts=2, count=5)
        client = redis.asyncio.Redis.from_url(world.redis_url)
        # The latter is of a kind that only a newer release knows.
        rubbish = (b"not a job", bytes(16) + b"\xff\x00\x01")
        score = talk.starts_at.timestamp() * 1000 - 1
        for shard in range(SHARDS):
            await client.zadd(due_key(shard), dict.fromkeys(rubbish, score))
        await until(lambda: world.is_settled(talk, "auto_end"), 8)
        for shard in range(SHARDS):
            await client.zrem(due_key(shard), *rubbish)
            await client.zrem(leases_key(shard), *rubbish)
        await client.aclose()
        await world.check(4)
    assert max(await lateness(world, "enable_chat")) < LATE_MS
    assert "a background loop failed" not in capfd.readouterr().err


async def test_without_notifications_and_without_config(
    tmp_path: Path, database_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    more = tmp_path / "managed.conf"
    more.write_text('notify-keyspace-events ""\nrename-command CONFIG ""\n')
    server = EmbeddedRedis(tmp_path / "redis", settings={"include": str(more)})
    server.start()
    try:
        async with (
            a_world(tmp_path, database_url=database_url, redis_url=server.address) as world,
            world.service() as service,
        ):
            assert "notifications cannot be switched on" in capfd.readouterr().err
            await world.book(service.base, starts_in=2.6, lasts=2, count=5)
            await world.check(9)
            await on_time(world, 5)
    finally:
        server.stop()

"""Replicas write themselves into Redis, and are listed while they live."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
import redis.asyncio

from rdchat import __version__
from rdchat.domain.person import Role
from rdchat.local.stores import EmbeddedRedis
from rdchat.operations import heartbeat
from rdchat.postgres.key_checks import WrongKeyError
from rdchat.redis.connection import LOST, RedisClient, connect
from rdchat.redis.replica_registry import ReplicaRegistry
from rdchat.runtime import Runtime
from tests.support.console import keep_nothing
from tests.support.redis_cluster import a_redis_cluster
from tests.support.service import ENCRYPTION_KEY, Service, service_settings
from tests.support.sessions import INSTANT
from tests.support.soon import session_soon
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from config import Settings


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[RedisClient]:
    client = connect(redis_url)
    yield client
    await client.aclose()


async def present(registry: ReplicaRegistry) -> list[str]:
    return sorted(one["name"] for one in await registry.list_present())


async def replicas(service: Service) -> list[dict[str, Any]] | None:
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    found: list[dict[str, Any]] | None = (await admin.get("/operations/overview")).data["replicas"]
    return found


async def test_those_are_listed_whose_lease_has_not_run_out(store: RedisClient) -> None:
    registry = ReplicaRegistry(store)
    assert await present(registry) == []
    first, second, third = uuid4(), uuid4(), uuid4()
    await registry.note(first, {"name": "first"}, lease_ms=60_000)
    await registry.note(second, {"name": "second"}, lease_ms=1)

    async def is_gone() -> bool:
        return await present(registry) == ["first"]

    # A short lease does not shorten the others', nor what holds them all.
    await until(is_gone)
    await registry.note(third, {"name": "third"}, lease_ms=60_000)
    assert await present(registry) == ["first", "third"]
    # What it says of itself now, not twice.
    await registry.note(first, {"name": "first, again"}, lease_ms=60_000)
    assert await present(registry) == ["first, again", "third"]
    await registry.remove(third)
    assert await present(registry) == ["first, again"]


async def test_one_that_is_gone_leaves_nothing_behind(store: RedisClient) -> None:
    registry = ReplicaRegistry(store)
    for _ in range(20):
        await registry.note(uuid4(), {"name": "short"}, lease_ms=1)

    async def are_gone() -> bool:
        return await present(registry) == []

    await until(are_gone)
    await registry.note(uuid4(), {"name": "other"}, lease_ms=60_000)
    assert await store.one("HLEN", "rdchat:{replicas}:facts") == 1
    assert await store.one("ZCARD", "rdchat:{replicas}:until") == 1
    assert 0 < await store.one("PTTL", "rdchat:{replicas}:facts") <= 120_000


async def test_it_works_on_a_cluster(tmp_path: Path) -> None:
    async with a_redis_cluster(tmp_path / "cluster") as cluster:
        client = connect(cluster.url)
        try:
            registry = ReplicaRegistry(client)
            await registry.note(uuid4(), {"name": "first"}, lease_ms=60_000)
            assert await present(registry) == ["first"]
            together, _, clients = await client.measure()
            single = redis.asyncio.Redis.from_url(cluster.url)
            of_one = (await single.info("memory"))["used_memory"]
            await single.aclose()
            assert together > 2 * of_one, "of all primaries"
            assert clients >= 3
        finally:
            await client.aclose()


async def test_replicas_come_and_go(
    database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_nothing(monkeypatch)
    stores = {"database_url": database_url, "redis_url": redis_url}
    async with AsyncExitStack() as closing:
        first = await closing.enter_async_context(Service.running(service_settings(tmp_path), **stores))

        async def are(count: int) -> list[dict[str, Any]] | None:
            found = await replicas(first)
            return found if found is not None and len(found) == count else None

        [alone] = await until(lambda: are(1))
        assert (alone["name"], alone["version"]) == (f"replica-{alone['id'][:6]}", __version__)
        assert UUID(alone["id"])
        assert alone["roles"] == ["api", "relay", "worker"]
        assert INSTANT.fullmatch(alone["startedAt"])
        assert INSTANT.fullmatch(alone["seenAt"])
        assert abs(alone["clockOffsetMs"]) < 500
        assert (alone["jobsHeld"], alone["outboxHeld"], alone["commandsWaiting"]) == (0, 0, 0)
        async with Service.running(service_settings(tmp_path, roles=frozenset({"api"})), **stores):
            both = await until(lambda: are(2))
            assert [one["roles"] for one in both] == [["api", "relay", "worker"], ["api"]]
            assert both[1]["jobsHeld"] is None
        # It has said that it goes.
        assert await replicas(first) == await are(1)


async def test_no_replica_encrypts_with_a_key_that_another_lacks(
    database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_nothing(monkeypatch)
    stores: dict[str, Any] = {"database_url": database_url, "redis_url": redis_url}
    old, new = {"test": ENCRYPTION_KEY}, {"new": b"n" * 32}

    def having(keys: dict[str, bytes]) -> Settings:
        return service_settings(tmp_path, encryption_keys=keys)

    async with Service.running(having(old), **stores) as first:
        assert await until(lambda: replicas(first))
        with pytest.raises(WrongKeyError, match="could not read what 'new' encrypts"):
            await Runtime.start(having(new | old), **stores)
        # At the end it is known, and encrypts nothing.
        async with Service.running(having(old | new), **stores):
            pass
    async with Service.running(having(old | new), **stores) as first:
        assert await until(lambda: replicas(first))
        async with Service.running(having(new | old), **stores) as second:
            assert (await until(lambda: replicas(second)))[-1]["encryptionKeys"] == ["new", "test"]


async def test_it_says_again_and_again_how_it_is(
    tmp_path: Path, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_nothing(monkeypatch)
    monkeypatch.setattr(heartbeat, "_EVERY_SECONDS", 0.05)
    async with Service.running(
        service_settings(tmp_path), database_url=database_url, redis_url=redis_url
    ) as service:
        await service.psychologist()
        await session_soon(service.person(), 1, 60)

        async def is_told() -> bool:
            [alone] = await replicas(service) or [{}]
            return alone.get("liveSessions") == 1

        await until(is_told)


async def test_a_replica_outlives_redis_and_is_listed_again(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_nothing(monkeypatch)
    monkeypatch.setattr(heartbeat, "_EVERY_SECONDS", 0.1)
    own = EmbeddedRedis(tmp_path / "redis")
    redis_url = own.start()
    try:
        async with Service.running(
            service_settings(tmp_path), database_url=database_url, redis_url=redis_url
        ) as service:

            async def is_listed() -> bool:
                return len(await replicas(service) or ()) == 1

            await until(is_listed)
            own.kill()
            admin = service.person(Role.SUPER_ADMIN, "Admin")
            seen = (await admin.get("/operations/overview")).data
            assert (seen["replicas"], seen["redis"]) == (None, None)
            assert seen["problems"]["replicas"].startswith("Redis is away")
            assert seen["counts"]["pending"] == 0
            own.start()
            await until(is_listed)
            own.kill()
    finally:
        own.stop()


async def test_registry_errors_are_those_of_redis(store: RedisClient) -> None:
    away = connect("redis://127.0.0.1:1")
    registry = ReplicaRegistry(away)
    with pytest.raises(LOST):
        await registry.list_present()
    with pytest.raises(LOST):
        await registry.note(uuid4(), {}, lease_ms=1)
    with pytest.raises(LOST):
        await away.measure()
    await away.aclose()
    used, most, clients = await store.measure()
    assert used > 0 < clients
    assert most >= 0

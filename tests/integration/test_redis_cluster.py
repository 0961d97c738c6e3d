"""Sessions on a Redis Cluster, one of whose primaries dies."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import redis.asyncio

from rdchat.redis.connection import connect
from rdchat.redis.delay_queue import SHARDS, DelayQueue, due_key
from tests.support.redis_cluster import RedisCluster, a_redis_cluster
from tests.support.waiting import until
from tests.support.world import World, a_world, at_instant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[RedisCluster]:
    async with a_redis_cluster(tmp_path / "cluster") as cluster:
        yield cluster


@pytest.fixture
async def world(tmp_path: Path, database_url: str, cluster: RedisCluster) -> AsyncIterator[World]:
    async with a_world(tmp_path, database_url=database_url, redis_url=cluster.url) as world:
        yield world


async def test_the_shards_are_spread_over_the_primaries(cluster: RedisCluster) -> None:
    store = connect(cluster.url)
    try:
        depths = await DelayQueue(store).depth()
        assert [depth.waiting for depth in depths] == [0] * SHARDS
        client = await store.client()
        assert isinstance(client, redis.asyncio.RedisCluster)
        nodes = [client.get_node_from_key(due_key(shard)) for shard in range(SHARDS)]
        assert None not in nodes
        assert len({node.name for node in nodes if node}) == 3
    finally:
        await store.aclose()


async def test_a_primary_dies_and_nothing_is_missed_or_repeated(world: World, cluster: RedisCluster) -> None:
    replicas = [world.new_replica(), world.new_replica()]
    await asyncio.gather(*[replica.start() for replica in replicas])
    one, other = replicas
    # Enough of them to have jobs in every shard; they start, are warned and end over the failover.
    early = await world.book(one.base, starts_in=3, lasts=6, count=8)
    late = await world.book(other.base, starts_in=5, lasts=8, count=8)
    async with world.talking(
        *[(talk, world.at(talk.client, one.base)) for talk in early[:3]],
        *[(talk, world.at(talk.psychologist, other.base)) for talk in late[:3]],
        pause=0.2,
    ):
        await until(lambda: world.is_settled(early[0], "enable_chat"), 8)
        await at_instant(late[0].starts_at, offset=-0.5)
        cluster.kill_the_first_primary()
        await cluster.replica_rules(15)
        await until(lambda: world.all_are("completed"), 20)
    await world.check(15, in_order=False)
    for talk in world.talks:
        for kind in ("enable_chat", "auto_end"):
            assert (await world.automation(talk, kind))["lateness_ms"] < 3_000

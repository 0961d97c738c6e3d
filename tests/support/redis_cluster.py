"""A cluster of three primaries on loopback, one of them with a replica behind it."""

from __future__ import annotations

import random
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import redis.asyncio

from rdchat.local.stores import EmbeddedRedis
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_SLOTS = 16384
_PRIMARIES = 3


class RedisCluster:
    """Its servers: three primaries, then the replica of the first. `url` names one that is never killed."""

    def __init__(self, servers: list[EmbeddedRedis]) -> None:
        self._servers = servers
        self.clients = [redis.asyncio.Redis.from_url(server.address) for server in servers]

    @property
    def url(self) -> str:
        return self._servers[1].address

    async def form(self) -> None:
        """Make the servers one cluster, and wait until it serves."""
        first, replica = self.clients[0], self.clients[-1]
        for number, client in enumerate(self.clients[:_PRIMARIES]):
            slots = _SLOTS * number // _PRIMARIES, _SLOTS * (number + 1) // _PRIMARIES - 1
            await client.execute_command("CLUSTER", "ADDSLOTSRANGE", *slots)
        for server in self._servers[1:]:
            await first.execute_command(
                "CLUSTER", "MEET", "127.0.0.1", server.address.split(":")[2].split("/")[0]
            )
        for client in self.clients:

            async def knows_all(client: redis.asyncio.Redis = client) -> bool:
                return await _says(client, "cluster_known_nodes", str(len(self.clients)))

            await until(knows_all, 20)
        node = await first.execute_command("CLUSTER", "MYID")
        await replica.execute_command("CLUSTER", "REPLICATE", node)
        await until(lambda: _replicates(replica, "master_link_status", "up"), 20)
        for client in self.clients:

            async def serves(client: redis.asyncio.Redis = client) -> bool:
                return await _says(client, "cluster_state", "ok")

            await until(serves, 20)

    def kill_the_first_primary(self) -> None:
        """End it as a crash would."""
        self._servers[0].kill()

    async def replica_rules(self, seconds: float) -> None:
        """Wait until the replica has taken the killed primary's place."""
        await until(lambda: _replicates(self.clients[-1], "role", "master"), seconds)

    async def close(self) -> None:
        for client in self.clients:
            await client.aclose()


@asynccontextmanager
async def a_redis_cluster(directory: Path) -> AsyncIterator[RedisCluster]:
    """Start a cluster for the block."""
    servers = []
    for number, port in enumerate(_free_ports(_PRIMARIES + 1)):
        settings = {
            "port": str(port),
            "cluster-enabled": "yes",
            "cluster-node-timeout": "1000",
            "cluster-announce-ip": "127.0.0.1",
            "cluster-allow-replica-migration": "no",
        }
        servers.append(EmbeddedRedis(directory / f"node-{number}", settings=settings))
    try:
        for server in servers:
            server.start()
        cluster = RedisCluster(servers)
        try:
            await cluster.form()
            yield cluster
        finally:
            await cluster.close()
    finally:
        for server in servers:
            server.stop()


def _free_ports(count: int) -> list[int]:
    """Find ports that are free, and whose neighbours 10,000 up are: the nodes talk to each other there.

    In no order, so that two who look at the same time do not find the same ones; and below those that the
    system gives to connections.
    """
    found: list[int] = []
    candidates = range(10_000, 22_000, 7)
    for port in random.sample(candidates, len(candidates)):
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", port))
                other.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports")


async def _says(client: redis.asyncio.Redis, name: str, value: str) -> bool:
    info: bytes = await client.execute_command("CLUSTER", "INFO")
    return f"{name}:{value}" in info.decode().splitlines()


async def _replicates(client: redis.asyncio.Redis, name: str, value: str) -> bool:
    return bool((await client.info("replication")).get(name) == value)

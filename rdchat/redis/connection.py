"""The connection to Redis (or Valkey), single or a cluster, and what its errors mean to the program.

The server is asked at the first call which of the two it is: the address of any node of a cluster will do.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

import redis
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import RedisError, ResponseError, SlotNotCoveredError
from redis.exceptions import TimeoutError as RedisTimeoutError

from rdchat.redis.shared_connection import SharedConnection

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


#: Everything that means "Redis cannot be asked now". It is never fatal: Redis is not the only copy.
LOST = (RedisError, OSError, TimeoutError)

#: A command and its arguments; the keys of one command live in one slot of a cluster.
RedisCommand = tuple[Any, ...]

_SECONDS: Final = 2.0
#: What each connection says of itself. Left to itself, redis-py looks its version up in the files of all
#: packages for each: ten connections at once held everything else up for a tenth of a second.
_DRIVER: Final = DriverInfo(lib_version=redis.__version__)


class RedisClient:
    """Redis, single or a cluster. Nothing is connected before the first call.

    `url` is where `single` connects to, if that may be a node of a cluster.
    """

    def __init__(self, single: Redis, *, url: str | None = None) -> None:
        self._single = single
        # What stands in for a server has no connection to share.
        self._shared = SharedConnection(single.connection_pool, _SECONDS) if url is not None else None
        self._url = url
        self._cluster: RedisCluster | None = None
        self._asked = url is None
        self._asking = asyncio.Lock()

    async def is_cluster(self) -> bool:
        """Whether the keys are spread over a cluster. Raise one of LOST."""
        if not self._asked:
            async with self._asking:
                if not self._asked:
                    await self._ask()
        return self._cluster is not None

    async def client(self) -> Redis | RedisCluster:
        """Return redis-py's client, for calls that this class does not offer. Raise one of LOST."""
        await self.is_cluster()
        return self._cluster or self._single

    async def patient_client(self) -> Redis | RedisCluster:
        """Make another client, for a subscription; the caller closes it. Raise one of LOST.

        redis-py gives every connection a read timeout of five seconds by default (since 8.0), which would
        silently end a subscription that is merely quiet. It does not reconnect by itself either: the listener
        has to know what it may have missed.
        """
        url = self._url or ""
        if await self.is_cluster():
            return RedisCluster.from_url(url, **_settings(patient=True, retries=0))
        return Redis.from_url(url, **_settings(patient=True, retries=0))

    def subscriber(self) -> Redis:
        """Make a client for a subscription to channels; the caller closes it.

        It may be to any node of a cluster: what is published on one is heard on all.
        """
        if self._url is None:
            return self._single
        return Redis.from_url(self._url, **_settings(patient=True, retries=0))

    @property
    def database(self) -> int:
        """The number of the logical database."""
        return int(self._single.connection_pool.connection_kwargs.get("db") or 0)

    async def describe(self) -> tuple[str, str | None]:
        """Return the version, and the notification flags (None: not disclosed). Raise one of LOST."""
        version = str((await self._single.info("server")).get("redis_version"))
        try:
            flags = (await self._single.config_get("notify-keyspace-events"))["notify-keyspace-events"]
        except ResponseError:
            flags = None
        return f"{version}, a cluster" if await self.is_cluster() else version, flags

    async def measure(self) -> tuple[int, int, int]:
        """Return the memory in use, its limit (0: none; both in bytes), and the clients of all primaries.

        Raise one of LOST, also where the server does not disclose them.
        """
        await self.is_cluster()
        if self._cluster is None:
            nodes: list[dict[str, Any]] = [await self._single.info()]
        else:
            told: dict[str, Any] = await self._cluster.info(target_nodes=RedisCluster.PRIMARIES)
            # By node; of one that is alone, redis-py gives what it says itself.
            nodes = list(told.values()) if "used_memory" not in told else [told]
        used, limit, clients = (
            sum(int(node.get(name, 0)) for node in nodes)
            for name in ("used_memory", "maxmemory", "connected_clients")
        )
        return used, limit, clients

    async def probe(self) -> None:
        """Ping the server. Raise one of LOST."""
        await (await self.client()).ping()

    async def one(self, *command: Any) -> Any:  # noqa: ANN401 - whatever the command answers
        """Run one command. Raise one of LOST."""
        answer = (await self.many([command]))[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def many(self, commands: Sequence[RedisCommand]) -> list[Any]:
        """Run commands together. Return for each its answer, or one of LOST; each may fail alone."""
        if not commands:
            return []
        try:
            cluster = await self.is_cluster()
        except LOST as error:
            return [error] * len(commands)
        return await (self._spread(commands) if cluster else self._run_on_single(commands))

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """Read the values of any keys, None for missing ones. Raise one of LOST."""
        if not await self.is_cluster():
            return cast("list[bytes | None]", await self._single.mget(keys))
        answers = await self._spread([("GET", key) for key in keys])
        return [None if isinstance(answer, BaseException) else answer for answer in answers]

    async def aclose(self) -> None:
        """Close every connection."""
        if self._shared is not None:
            await self._shared.aclose()
        await self._single.aclose()
        if self._cluster is not None:
            await self._cluster.aclose()

    async def _ask(self) -> None:
        try:
            enabled = (await self._single.info("cluster")).get("cluster_enabled")
        except ResponseError:
            # A managed server that forbids the question; clusters allow it.
            enabled = 0
        if enabled and self._url is not None:
            # Covered slots are served, also while others wait for a new primary. Retries are ours: the
            # client's own would close every connection first, also those in use.
            self._cluster = RedisCluster.from_url(
                self._url, require_full_coverage=False, **_settings(retries=0)
            )
        self._asked = True

    async def _run_on_single(self, commands: Sequence[RedisCommand]) -> list[Any]:
        if self._shared is None:
            return await _together(self._single, commands)
        try:
            answers = await self._shared.run(commands)
        except RedisTimeoutError as error:
            # Once more on another connection, as redis-py does it with its own: this one may be dead. Every
            # command of ours can be repeated.
            try:
                async with asyncio.timeout(_SECONDS):
                    return await _together(self._single, commands)
            except TimeoutError:
                return [error] * len(commands)
        return await _together(self._single, commands) if answers is None else answers

    async def _spread(self, commands: Sequence[RedisCommand]) -> list[Any]:
        """Run commands on the nodes that have their keys, all nodes at once; each may fail alone."""
        cluster = self._cluster
        if cluster is None:  # pragma: no cover - only called when it is one
            return []
        try:
            await cluster.initialize()
        except LOST as error:
            return [error] * len(commands)
        answers: list[Any] = [None] * len(commands)
        by_node: dict[str, list[int]] = {}
        for index, command in enumerate(commands):
            try:
                node = cluster.get_node_from_key(_key(command))
            except SlotNotCoveredError as error:
                answers[index] = error
            else:
                by_node.setdefault(node.name if node else "", []).append(index)
        parts = await asyncio.gather(
            *(_on_one_node(cluster, [commands[index] for index in indexes]) for indexes in by_node.values())
        )
        for indexes, part in zip(by_node.values(), parts, strict=True):
            for index, answer in zip(indexes, part, strict=True):
                answers[index] = answer
        return answers


def connect(url: str, *, db: int | None = None) -> RedisClient:
    """Make a client of a single server, or of the cluster of which `url` names any node.

    `db` overrides the database of the address.
    """
    options: dict[str, Any] = {} if db is None else {"db": db}
    return RedisClient(Redis.from_url(url, **_settings(), **options), url=url)


def raise_first(answers: Iterable[Any]) -> None:
    """Raise the first error among answers of `many`, if there is one."""
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer


def _settings(*, patient: bool = False, retries: int = 1) -> dict[str, Any]:
    return {
        "socket_timeout": None if patient else _SECONDS,
        "socket_connect_timeout": _SECONDS,
        "health_check_interval": 0,
        "retry": Retry(NoBackoff(), retries),
        "driver_info": _DRIVER,
    }


async def _together(client: Redis | RedisCluster, commands: Sequence[RedisCommand]) -> list[Any]:
    pipeline: Any = (
        client.pipeline() if isinstance(client, RedisCluster) else client.pipeline(transaction=False)
    )
    try:
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
    except LOST as error:
        return [error] * len(commands)
    finally:
        await pipeline.reset()
    return answers


async def _on_one_node(cluster: RedisCluster, commands: list[RedisCommand]) -> list[Any]:
    answers = await _together(cluster, commands)
    lost = [index for index, answer in enumerate(answers) if isinstance(answer, LOST)]
    if lost and not all(type(answers[index]) is ResponseError for index in lost):
        # The node may be gone and its slots moved: the map is read again, and the commands are sent once
        # more. Every command of ours can be repeated.
        try:
            await cluster.nodes_manager.initialize()
        except LOST:
            return answers
        for index, answer in zip(
            lost, await _together(cluster, [commands[index] for index in lost]), strict=True
        ):
            answers[index] = answer
    return answers


def _key(command: RedisCommand) -> Any:  # noqa: ANN401 - text or bytes
    return command[3] if command[0] in {"EVAL", "EVALSHA"} else command[1]

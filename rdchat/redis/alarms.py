"""Keyspace notifications as wake-ups: an alarm key per shard, and changes of the queue's own keys.

The alarm key of a shard expires when the shard's earliest job can be claimed. Its `expired` event, and the
`zadd` events of the `due` set, wake the workers of every replica. They only wake: events are lost while no
one listens, expiry events are late among many keys with a lifetime, and managed servers have them switched
off. So the user of alarms must also look at the queue on its own schedule.

The alarm keys live in the next logical database, where there is one: among few other keys an expiry event is
tens of milliseconds late instead of seconds. A cluster has one database only, and each of its primaries
notifies of its own keys.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import structlog
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.keyspace_notifications import (
    AsyncClusterKeyspaceNotifications,
    AsyncKeyspaceNotifications,
)
from redis.exceptions import ResponseError

from rdchat.common.background import cancel, keep_running
from rdchat.redis.connection import LOST, connect
from rdchat.redis.delay_queue import SHARDS, alarm_key, due_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio import Redis
    from redis.asyncio.keyspace_notifications import AsyncKeyspaceNotificationsInterface

    from rdchat.redis.connection import RedisClient

log = structlog.get_logger(__name__)

#: K: keyspace channels; x: expired; z: commands on sorted sets.
_NEEDED_FLAGS: Final = "Kxz"
_SETTING: Final = "notify-keyspace-events"
#: Events that wake: an alarm expired, a job was added. Claiming and finishing notify as well.
_HINTS: Final = frozenset({"expired", "zadd"})
#: A quiet connection is pinged this often.
_WATCHDOG_SECONDS: Final = 10.0
_RECONNECT_SECONDS: Final = 0.5


class Alarms:
    """Sets the alarms and listens for them. `on_wake` is called for every event, from the event loop."""

    def __init__(self, url: str, on_wake: Callable[[], None], on_reconnect: Callable[[], None]) -> None:
        self._url = url
        self._on_wake = on_wake
        self._on_reconnect = on_reconnect
        self._queue = connect(url)
        self._keys: RedisClient | None = None
        self._listener: asyncio.Task[None] | None = None
        self._armed: dict[int, int] = {}
        self.listening = asyncio.Event()

    async def start(self) -> None:
        """Choose the alarms' database, switch notifications on where that is allowed, and listen."""
        await self._prepare()
        self._listener = keep_running(self._listen, "alarms")

    async def close(self) -> None:
        """Stop listening."""
        await cancel(self._listener)
        if self._keys is not None and self._keys is not self._queue:
            await self._keys.aclose()
        await self._queue.aclose()

    async def schedule(self, instants: dict[int, int]) -> None:
        """Let each shard's alarm expire at its instant (ms since 1970), unless it is set to that already."""
        changed = {shard: at for shard, at in instants.items() if self._armed.get(shard) != at}
        if not changed or self._keys is None:
            return
        answers = await self._keys.many(
            [("SET", alarm_key(shard), b"", "PXAT", at) for shard, at in changed.items()]
        )
        for (shard, at), answer in zip(changed.items(), answers, strict=True):
            if not isinstance(answer, BaseException):
                self._armed[shard] = at

    async def wake(self, shards: list[int]) -> None:
        """Touch alarms that are due, so that Redis notices their expiry now and not at its next round."""
        if self._keys is not None:
            await self._keys.many([("EXISTS", alarm_key(shard)) for shard in shards])

    def forget(self) -> None:
        """Assume that no alarm is set, for instance after Redis was emptied."""
        self._armed.clear()

    async def _prepare(self) -> None:
        try:
            if self._keys is None:
                self._keys = await self._choose_keys()
            await _switch_on(await self._queue.client())
        except LOST as error:
            log.warning("Redis is away; automations run from PostgreSQL meanwhile", error=str(error))

    async def _choose_keys(self) -> RedisClient:
        if await self._queue.is_cluster():
            # A cluster has a single database.
            return self._queue
        other = connect(self._url, db=self._queue.database + 1)
        try:
            await other.probe()
        except ResponseError:
            await other.aclose()
            return self._queue
        return other

    async def _listen(self) -> None:
        first = True
        while True:
            if not first:
                # A server that was restarted has forgotten that notifications were switched on.
                await self._prepare()
            try:
                await self._subscribe_and_hear(first=first)
            except LOST as error:
                log.debug("alarms are away", error=str(error))
            finally:
                self.listening.clear()
            first = False
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _subscribe_and_hear(self, *, first: bool) -> None:
        client = await self._queue.patient_client()
        try:
            async with _notifications(client) as notifications:
                alarms = self._keys.database if self._keys is not None else 0
                for shard in range(SHARDS):
                    await notifications.subscribe_keyspace(due_key(shard), db=self._queue.database)
                    await notifications.subscribe_keyspace(alarm_key(shard), db=alarms)
                self.listening.set()
                if not first:
                    self.forget()
                    self._on_reconnect()
                await self._hear(client, notifications)
        finally:
            await client.aclose()

    async def _hear(
        self, client: Redis | RedisCluster, notifications: AsyncKeyspaceNotificationsInterface
    ) -> None:
        while True:
            event = await notifications.get_message(timeout=_WATCHDOG_SECONDS)
            if event is None:
                # Quiet or dead? A mere subscription would never find out.
                async with asyncio.timeout(_WATCHDOG_SECONDS):
                    await client.ping()
            elif event.event_type in _HINTS:
                self._on_wake()


def _notifications(client: Redis | RedisCluster) -> AsyncKeyspaceNotificationsInterface:
    if isinstance(client, RedisCluster):
        # Each primary notifies of its own keys only; this one listens to all of them.
        return AsyncClusterKeyspaceNotifications(client)
    return AsyncKeyspaceNotifications(client)


async def _switch_on(client: Redis | RedisCluster) -> None:
    try:
        if isinstance(client, RedisCluster):
            await client.initialize()
            for node in client.get_nodes():
                # Replicas too: one may be the primary tomorrow.
                await _switch_on_server(client, target_nodes=node)
        else:
            await _switch_on_server(client)
    except ResponseError as error:
        log.warning(
            "keyspace notifications cannot be switched on; timers are polled and stay on time",
            error=str(error),
            wanted=_NEEDED_FLAGS,
        )


async def _switch_on_server(client: Redis | RedisCluster, **where: Any) -> None:  # noqa: ANN401 - for redis-py
    present = (await client.config_get(_SETTING, **where))[_SETTING] or ""
    flags = present.replace("A", "g$lshzxetd")
    missing = [flag for flag in _NEEDED_FLAGS if flag not in flags]
    if missing:
        await client.config_set(_SETTING, present + "".join(missing), **where)

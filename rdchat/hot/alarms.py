"""Keyspace notifications as hints: an alarm key per shard, and the changes of the queue's own keys.

The alarm key of a shard expires when the shard's earliest job can be claimed. Its `expired` event, and the
`zadd` events of the `due` set, wake the workers of every replica. They are hints and nothing else: events
are lost while nobody listens, expiry events are late among many keys with a lifetime, and managed servers
have them switched off. Whoever uses alarms looks at the queue by itself as well.

The alarm keys live in the next logical database, where there is one: among few other keys an expiry event is
tens of milliseconds late instead of seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import structlog
from redis.asyncio.keyspace_notifications import AsyncKeyspaceNotifications
from redis.exceptions import RedisError, ResponseError

from rdchat.background import cancel, keep_running
from rdchat.hot.connection import LOST, connect
from rdchat.hot.delay_queue import SHARDS, alarm_key, due_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

#: K: keyspace channels; x: expired; z: commands on sorted sets.
_NEEDED_FLAGS: Final = "Kxz"
#: A connection that says nothing is asked for a sign of life this often.
_WATCHDOG_SECONDS: Final = 10.0
_RECONNECT_SECONDS: Final = 0.5


class Alarms:
    """Sets the alarms and listens for them. `on_hint` is called for every event, from the event loop."""

    def __init__(self, url: str, on_hint: Callable[[], None], on_reconnect: Callable[[], None]) -> None:
        self._url = url
        self._on_hint = on_hint
        self._on_reconnect = on_reconnect
        self._alarm_db = 0
        self._keys: Redis | None = None
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
        if self._keys is not None:
            await self._keys.aclose()

    async def arm(self, instants: dict[int, int]) -> None:
        """Let each shard's alarm expire at its instant (ms since 1970), unless it is set so already."""
        changed = {shard: at for shard, at in instants.items() if self._armed.get(shard) != at}
        if not changed or self._keys is None:
            return
        with contextlib.suppress(*LOST):
            async with self._keys.pipeline(transaction=False) as pipeline:
                for shard, at in changed.items():
                    pipeline.set(alarm_key(shard), b"", pxat=at)
                await pipeline.execute()
            self._armed.update(changed)

    async def nudge(self, shards: list[int]) -> None:
        """Touch alarms that are due, so that Redis notices their expiry now and not at its next round."""
        if self._keys is None or not shards:
            return
        with contextlib.suppress(*LOST):
            async with self._keys.pipeline(transaction=False) as pipeline:
                for shard in shards:
                    pipeline.exists(alarm_key(shard))
                await pipeline.execute()

    def forget(self) -> None:
        """Assume no alarm to be set, for instance after Redis was emptied."""
        self._armed.clear()

    async def _prepare(self) -> None:
        main = connect(self._url)
        try:
            if self._keys is None:
                await self._choose_database(main)
            await _switch_on(main)
        except LOST as error:
            log.warning("Redis is away; automations run from PostgreSQL meanwhile", error=str(error))
        finally:
            await main.aclose()

    async def _choose_database(self, main: Redis) -> None:
        own = int(main.connection_pool.connection_kwargs.get("db") or 0)
        other = connect(self._url, db=own + 1)
        try:
            await other.ping()
        except ResponseError:
            # A cluster, or a server with a single database.
            await other.aclose()
            self._alarm_db, self._keys = own, connect(self._url)
        else:
            self._alarm_db, self._keys = own + 1, other

    async def _listen(self) -> None:
        first = True
        while True:
            if not first:
                # A server that was restarted has forgotten that notifications were switched on.
                await self._prepare()
            client = connect(self._url, patient=True)
            try:
                own = int(client.connection_pool.connection_kwargs.get("db") or 0)
                async with AsyncKeyspaceNotifications(client) as notifications:
                    for shard in range(SHARDS):
                        await notifications.subscribe_keyspace(due_key(shard), db=own)
                        await notifications.subscribe_keyspace(alarm_key(shard), db=self._alarm_db)
                    self.listening.set()
                    if not first:
                        self.forget()
                        self._on_reconnect()
                    first = False
                    await self._hear(client, notifications)
            except LOST as error:
                log.debug("alarms are away", error=str(error))
            finally:
                self.listening.clear()
                await client.aclose()
            first = False
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _hear(self, client: Redis, notifications: AsyncKeyspaceNotifications) -> None:
        while True:
            event = await notifications.get_message(timeout=_WATCHDOG_SECONDS)
            if event is not None:
                self._on_hint()
            else:
                # Quiet or dead? A subscription alone would never find out.
                async with asyncio.timeout(_WATCHDOG_SECONDS):
                    await client.ping()


async def _switch_on(redis: Redis) -> None:
    try:
        present = (await redis.config_get("notify-keyspace-events"))["notify-keyspace-events"] or ""
        flags = present.replace("A", "g$lshzxetd")
        missing = [flag for flag in _NEEDED_FLAGS if flag not in flags]
        if missing:
            await redis.config_set("notify-keyspace-events", present + "".join(missing))
    except RedisError as error:
        log.warning(
            "keyspace notifications cannot be switched on; timers are polled and stay on time",
            error=str(error),
            wanted=_NEEDED_FLAGS,
        )

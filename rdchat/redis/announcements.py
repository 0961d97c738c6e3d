"""Announcements between replicas: short texts on a topic, to all who listen at that moment.

Redis keeps none of them: what has to arrive is read from PostgreSQL as well. Nothing is started, and no
connection made, before the first one is made or listened for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.redis.connection import LOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio import Redis

    from rdchat.redis.connection import RedisClient

log = structlog.get_logger(__name__)

#: What waits while Redis is away; older ones are dropped.
_WAITING: Final = 10_000
_TOGETHER: Final = 500
#: A quiet subscription is pinged this often, and is taken to be dead if nothing comes for as long again.
_WATCHDOG_SECONDS: Final = 10.0
_RECONNECT_SECONDS: Final = 0.5


class Announcements:
    """Announces, and listens."""

    def __init__(self, store: RedisClient) -> None:
        self._store = store
        self._waiting: deque[tuple[str, str]] = deque(maxlen=_WAITING)
        self._work = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._sending = False
        #: Set while the last topic that was asked for is listened to.
        self.listening = asyncio.Event()

    async def close(self) -> None:
        """Stop; what waits is dropped."""
        for task in self._tasks:
            await cancel(task)

    def announce(self, topic: str, text: str) -> None:
        """Announce something in a moment, if Redis is there."""
        self._waiting.append((self._channel(topic), text))
        self._work.set()
        if not self._sending:
            self._sending = True
            self._tasks.append(keep_running(self._send, "announcements"))

    def listen(self, topic: str, hear: Callable[[str], None]) -> None:
        """Call `hear` for what is announced from now on, until this is closed."""
        self._tasks.append(keep_running(partial(self._listen, topic, hear), f"announcements of {topic}"))

    def _channel(self, topic: str) -> str:
        # Logical databases share their channels, and may belong to different installations.
        return f"rdchat:{self._store.database}:{topic}"

    async def _send(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._waiting:
                some = [self._waiting.popleft() for _ in range(min(len(self._waiting), _TOGETHER))]
                answers = await self._store.many([("PUBLISH", *one) for one in some])
                lost = sum(isinstance(answer, BaseException) for answer in answers)
                if lost:
                    log.debug("announcements were lost", count=lost)

    async def _listen(self, topic: str, hear: Callable[[str], None]) -> None:
        while True:
            client = self._store.subscriber()
            try:
                await self._subscribe(client, topic, hear)
            except LOST as error:
                log.debug("announcements are away", topic=topic, error=str(error))
            finally:
                self.listening.clear()
                await client.aclose()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _subscribe(self, client: Redis, topic: str, hear: Callable[[str], None]) -> None:
        async with client.pubsub() as subscription:
            await subscription.subscribe(self._channel(topic))
            pinged = False
            while True:
                message = await subscription.get_message(timeout=_WATCHDOG_SECONDS)
                if message is None:
                    if pinged:
                        raise TimeoutError
                    # Quiet or dead? A mere subscription would never find out.
                    await subscription.ping()
                    pinged = True
                    continue
                pinged = False
                if message["type"] == "subscribe":
                    self.listening.set()
                elif message["type"] == "message":
                    hear(message["data"].decode())

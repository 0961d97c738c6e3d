"""The connection to Redis (or Valkey), and what its errors mean to the rest of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from typing import Any

#: Everything that means "Redis cannot be asked now". It is never fatal: Redis is not the only copy.
LOST = (RedisError, OSError, TimeoutError)

_SECONDS = 2.0


def connect(url: str, *, patient: bool = False, **options: Any) -> Redis:  # noqa: ANN401 - passed through to redis-py
    """Make a client; it connects when it is first used.

    `patient` clients wait for messages of a subscription: redis-py gives every connection a read timeout of
    five seconds by default (since 8.0), which would silently end a subscription that is merely quiet. They do
    not reconnect by themselves either: whoever listens has to know what it may have missed.
    """
    return Redis.from_url(
        url,
        socket_timeout=None if patient else _SECONDS,
        socket_connect_timeout=_SECONDS,
        health_check_interval=0,
        retry=Retry(NoBackoff(), 0 if patient else 1),
        **options,
    )


async def probe(redis: Redis) -> None:
    """Ask Redis for a sign of life. Raises one of LOST."""
    await redis.ping()

"""Which replicas there are: each writes itself down every few seconds, and is forgotten when it stops.

By Redis' own clock, so that the clocks of the replicas do not matter. Both keys share a hash tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from rdchat.redis.connection import RedisClient

_UNTIL: Final = "rdchat:{replicas}:until"
_FACTS: Final = "rdchat:{replicas}:facts"

_NOW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# KEYS: until when each is there, what each says. ARGV: id, facts, how long (ms). Removes those that are gone.
_NOTE: Final = (
    _NOW
    + """
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 1000)
for i = 1, #gone do
  redis.call('ZREM', KEYS[1], gone[i])
  redis.call('HDEL', KEYS[2], gone[i])
end
if redis.call('PTTL', KEYS[1]) < ARGV[3] * 2 then
  redis.call('PEXPIRE', KEYS[1], ARGV[3] * 2)
  redis.call('PEXPIRE', KEYS[2], ARGV[3] * 2)
end
return 1
"""
)

# Returns what those say that are there, 1,000 at most.
_LIST: Final = (
    _NOW
    + """
local there = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'LIMIT', 0, 1000)
if #there == 0 then return {} end
return redis.call('HMGET', KEYS[2], unpack(there))
"""
)

_REMOVE: Final = """
redis.call('ZREM', KEYS[1], ARGV[1])
return redis.call('HDEL', KEYS[2], ARGV[1])
"""


class ReplicaRegistry:
    """The replicas. Every method raises what redis-py raises (see `redis.connection.LOST`)."""

    def __init__(self, store: RedisClient) -> None:
        self._store = store

    async def note(self, replica_id: UUID, facts: Mapping[str, Any], *, lease_ms: int) -> None:
        """Write a replica down for so long, with what it says of itself (JSON)."""
        await self._run(_NOTE, str(replica_id), orjson.dumps(facts), lease_ms)

    async def remove(self, replica_id: UUID) -> None:
        """Forget a replica that stops."""
        await self._run(_REMOVE, str(replica_id))

    async def list_present(self) -> list[dict[str, Any]]:
        """Return what the replicas say of themselves that are there now, in no order."""
        return [orjson.loads(facts) for facts in await self._run(_LIST) if facts is not None]

    async def _run(self, script: str, *arguments: Any) -> Any:  # noqa: ANN401 - whatever the script returns
        return await self._store.one("EVAL", script, 2, _UNTIL, _FACTS, *arguments)

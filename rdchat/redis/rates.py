"""Rate limits: how often a person may call, counted in Redis for all replicas together.

A count that is far from its limit is answered from memory and sent to Redis a moment later with all others:
most people never come near a limit and wait for nothing. From half of the limit on, Redis is asked first.
While Redis is away, each process counts for itself and no call waits.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rdchat.common.background import cancel, keep_running

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from limits import RateLimitItem

    from rdchat.redis.connection import RedisClient

#: Counts are sent together, this long after the first of them.
_TOGETHER_SECONDS: Final = 0.05
#: When more counts than this are remembered, expired ones are removed.
_REMEMBERED: Final = 20_000
#: Redis answers in a thousandth of this, or hangs.
_ASK_SECONDS: Final = 0.25
#: After Redis did not answer, calls do not wait for it for this long.
_REST_SECONDS: Final = 1.0
#: A window that ends this much later than known is a new one; less is clock skew and latency.
_ANOTHER_WINDOW_SECONDS: Final = 0.5

# How often, and how many milliseconds until the count starts again.
_COUNT: Final = """
local times = redis.call('INCRBY', KEYS[1], ARGV[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  left = tonumber(ARGV[2])
end
return {times, left}
"""


@dataclass(slots=True)
class RateLimitStatus:
    """A person's limit after a call: calls left, and the seconds until all are available again."""

    allowed: bool
    limit: int
    window: int
    left: int
    resets_in: int


@dataclass(slots=True)
class _Count:
    """One person's calls of one kind. `synced`: what Redis said last; `pending`: calls not yet sent."""

    key: str
    item: RateLimitItem
    ends_at: float
    synced: int = 0
    pending: int = 0

    @property
    def times(self) -> int:
        return self.synced + self.pending

    def hear(self, times: int, ends_at: float) -> None:
        """Record Redis' count in the window that ends at `ends_at`.

        Answers come in any order, and calls this one knows nothing of may be under way: within a window the
        count never falls.
        """
        another = ends_at > self.ends_at + _ANOTHER_WINDOW_SECONDS
        self.synced = times if another else max(self.synced, times)
        self.ends_at = ends_at


class Rates:
    """Counts calls by kind and person. `items` are the limits by kind; a kind without one has none."""

    def __init__(self, store: RedisClient, items: Mapping[str, RateLimitItem]) -> None:
        self._store = store
        self._items = items
        self._counts: dict[tuple[str, UUID], _Count] = {}
        self._pending: dict[str, _Count] = {}
        self._look_at = _REMEMBERED
        self._asked_again_at = 0.0
        self._something = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start sending counts."""
        self._task = keep_running(self._sync_together, "rates")

    async def close(self) -> None:
        """Send pending counts, and stop."""
        if self._task is not None:
            await cancel(self._task)
        await self._sync(list(self._pending.values()))

    @property
    def remembered(self) -> int:
        """How many counts are in memory."""
        return len(self._counts)

    @property
    def pending(self) -> int:
        """How many counts are pending."""
        return len(self._pending)

    async def hit(self, kind: str, person_id: UUID) -> RateLimitStatus | None:
        """Count a call. Return its status, None if calls of this kind have no limit."""
        item = self._items.get(kind)
        if item is None:
            return None
        count = self._count(kind, person_id, item)
        count.pending += 1
        self._pending[count.key] = count
        loop = asyncio.get_running_loop()
        # This very call's place in the window: others of the same person are counted while Redis is asked.
        place = count.times
        if place * 2 > item.amount and loop.time() >= self._asked_again_at:
            place = await self._ask(count) or place
        else:
            self._something.set()
        resets_in = max(1, math.ceil(count.ends_at - loop.time()))
        return RateLimitStatus(
            place <= item.amount,
            item.amount,
            item.get_expiry(),
            max(0, item.amount - place),
            min(resets_in, item.get_expiry()),
        )

    def _count(self, kind: str, person_id: UUID, item: RateLimitItem) -> _Count:
        now = asyncio.get_running_loop().time()
        count = self._counts.get((kind, person_id))
        if count is None or count.ends_at <= now:
            if len(self._counts) >= self._look_at:
                self._counts = {one: known for one, known in self._counts.items() if known.ends_at > now}
                # When nearly all of them are still in use, another look is useless for a while.
                self._look_at = max(_REMEMBERED, 2 * len(self._counts))
            count = _Count(f"rdchat:rate:{kind}:{person_id.hex}", item, now + item.get_expiry())
            self._counts[kind, person_id] = count
        return count

    async def _ask(self, count: _Count) -> int | None:
        """Return the latest call's place in the window of all replicas; None if Redis is too slow."""
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                [place] = await self._sync([count])
        except TimeoutError:
            self._rest()
            return None
        return place

    def _rest(self) -> None:
        self._asked_again_at = asyncio.get_running_loop().time() + _REST_SECONDS

    async def _sync_together(self) -> None:
        while True:
            await self._something.wait()
            await asyncio.sleep(_TOGETHER_SECONDS)
            self._something.clear()
            await self._sync(list(self._pending.values()))

    async def _sync(self, counts: list[_Count]) -> list[int | None]:
        """Send pending counts. Return the count of each in Redis, None where it did not answer."""
        sent = [(count, count.pending) for count in counts if count.pending]
        for count, times in sent:
            # They are under way: no other task sends them, and they count meanwhile.
            count.synced += times
            count.pending = 0
            self._pending.pop(count.key, None)
        answers = await self._store.many(
            [("EVAL", _COUNT, 1, count.key, times, count.item.get_expiry() * 1000) for count, times in sent]
        )
        now = asyncio.get_running_loop().time()
        heard: list[int | None] = []
        for (count, _), answer in zip(sent, answers, strict=True):
            if isinstance(answer, BaseException):
                self._rest()
                heard.append(None)
            else:
                count.hear(int(answer[0]), now + int(answer[1]) / 1000)
                heard.append(int(answer[0]))
        return heard

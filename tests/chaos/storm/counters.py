"""The counters of the replicas, summed over all their lives: each life counts from zero."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

import aiohttp

if TYPE_CHECKING:
    from tests.chaos.storm.stage import Stage
    from tests.support.replica import Replica

#: Session changes that lost to the version fence: another process had changed the session since.
FENCED: Final = "rdchat_fenced_sessions_total"
_EVERY_SECONDS: Final = 1.0
_LINE: Final = re.compile(r"^(\w+(?:\{[^}]*\})?) ([0-9.e+]+)$", re.MULTILINE)


class Counters:
    """Reads `/metrics` once a second. What a replica counted in the second before a kill is not known."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._seen: dict[int, dict[str, float]] = {}

    def total(self, name: str) -> int | None:
        """Sum a counter over all lives of all replicas; None when no replica has it."""
        values = [page[name] for page in self._seen.values() if name in page]
        return round(sum(values)) if values else None

    async def watch(self) -> None:
        """Go on reading until cancelled."""
        while True:
            await self.read()
            await asyncio.sleep(_EVERY_SECONDS)

    async def read(self) -> None:
        """Read all replicas that answer."""
        await asyncio.gather(*[self._read(replica) for replica in self._stage.replicas])

    async def _read(self, replica: Replica) -> None:
        # A replica that is killed, paused or not there yet has nothing to say.
        try:
            pid = replica.pid
            page = await page_of(self._stage.http, replica)
        except (AssertionError, aiohttp.ClientError, TimeoutError, OSError):
            return
        self._seen[pid] = page


async def page_of(http: aiohttp.ClientSession, replica: Replica) -> dict[str, float]:
    """Read a replica's metrics: values by name, with the labels as they are written."""
    async with http.get(f"{replica.base}/metrics") as answer:
        text = await answer.text()
    return {name: float(value) for name, value in _LINE.findall(text)}

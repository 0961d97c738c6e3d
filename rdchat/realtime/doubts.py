"""Outbox entries of commits whose answer was lost: they may be committed, or still be, or never.

They are looked for until they are found, and what is committed later on their session waits for one look: so
the order of a session survives a lost connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import structlog

from rdchat.common.errors import UnavailableError
from rdchat.postgres import outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta
    from uuid import UUID

    from rdchat.events.outbox_entry import OutboxEntry
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Pool

log = structlog.get_logger(__name__)

#: What waits for a row lock may land seconds later. Whatever lands later still is taken over like a dead
#: process' entries, by its lease.
_SOUGHT_SECONDS: Final = 20.0
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 0.5


class Doubts:
    """Looks for entries, and hands on to `publish` what it finds, before what waits behind it."""

    def __init__(
        self,
        pool: Pool,
        keys: DataKeys,
        *,
        lease: timedelta,
        publish: Callable[[Iterable[OutboxEntry]], None],
    ) -> None:
        self._pool = pool
        self._keys = keys
        self._lease = lease
        self._publish = publish
        # By session, the ids and since when they are sought; and what was committed on it since.
        self._sought: dict[UUID, dict[int, float]] = {}
        self._behind: dict[UUID, list[OutboxEntry]] = {}
        self._asked = asyncio.Event()
        self._pause = _FIRST_PAUSE

    def add(self, entries: Iterable[OutboxEntry]) -> None:
        """Look for entries from now on."""
        now = asyncio.get_running_loop().time()
        for entry in entries:
            self._sought.setdefault(entry.session_id, {})[entry.id] = now
        self._pause = _FIRST_PAUSE
        self._asked.set()

    def holds_back(self, entry: OutboxEntry) -> bool:
        """Keep an entry that is committed, if an earlier one of its session is sought; say whether."""
        if entry.session_id not in self._sought:
            return False
        self._behind.setdefault(entry.session_id, []).append(entry)
        self._asked.set()
        return True

    @property
    def held_back(self) -> list[int]:
        """The ids of the entries that wait for earlier ones."""
        return [entry.id for waiting in self._behind.values() for entry in waiting]

    async def run(self) -> None:
        """Look, whenever something waits for it, and now and then."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause if self._sought else None):
                    await self._asked.wait()
            self._asked.clear()
            try:
                await self._look(list(self._behind) or list(self._sought))
            except UnavailableError:
                await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    async def _look(self, session_ids: list[UUID]) -> None:
        started = asyncio.get_running_loop().time()
        ids = [entry_id for session_id in session_ids for entry_id in self._sought[session_id]]
        # Everything that was committed before what waits is seen; what is held back meanwhile waits again.
        behind = {one: len(self._behind.get(one, ())) for one in session_ids}
        found = await outbox.reclaim_entries(self._pool, ids, lease=self._lease, keys=self._keys)
        if found:
            log.info("commits whose answer was lost had happened", entries=len(found))
        for entry in found:
            self._sought[entry.session_id].pop(entry.id, None)
        for session_id, count in behind.items():
            waiting = self._behind.pop(session_id, [])
            found += waiting[:count]
            if waiting[count:]:
                self._behind[session_id] = waiting[count:]
                self._asked.set()
            sought = self._sought[session_id]
            for entry_id in [one for one, since in sought.items() if since < started - _SOUGHT_SECONDS]:
                del sought[entry_id]
            if not sought and session_id not in self._behind:
                del self._sought[session_id]
        self._publish(sorted(found, key=lambda entry: (entry.session_id, entry.version)))

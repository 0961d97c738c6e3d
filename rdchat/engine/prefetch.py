"""Reading sessions before their command comes, so that at the instant there is only to decide."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from rdchat.common.errors import UnavailableError
from rdchat.engine.actor import Actor, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from rdchat.engine.storage import Storage

_BATCH: Final = 64
#: What was used within this time need not be read again because it is expected.
_FRESH_SECONDS: Final = 2.0


class Prefetch:
    """Gives the engine's `actors` the sessions that are expected to be needed soon."""

    def __init__(self, storage: Storage, actors: dict[UUID, Actor]) -> None:
        self._storage = storage
        self._actors = actors
        self._expected: deque[UUID] = deque()
        self._expecting = asyncio.Event()

    def prefetch(self, session_ids: Iterable[UUID]) -> None:
        """Have sessions read. A hint, and no more."""
        self._expected.extend(session_ids)
        self._expecting.set()

    async def run(self) -> None:
        """Read what is expected, for ever."""
        while True:
            await self._expecting.wait()
            ids = self._take()
            if not ids:
                self._expecting.clear()
                continue
            try:
                found, _ = await self._storage.hydrate(ids)
            except UnavailableError:
                continue
            now = asyncio.get_running_loop().time()
            for session_id, session in found.items():
                actor = self._actors.get(session_id)
                if actor is None:
                    self._actors[session_id] = Actor(session_id, session, used_at=now)
                elif actor.stage is Stage.IDLE and (
                    actor.session is None or actor.session.version < session.version
                ):
                    actor.session = session

    def _take(self) -> list[UUID]:
        """Take sessions that are worth reading: unknown ones, and those that others may know more of.

        Once their command has come, it is too late for that.
        """
        fresh = asyncio.get_running_loop().time() - _FRESH_SECONDS
        taken: list[UUID] = []
        while self._expected and len(taken) < _BATCH:
            session_id = self._expected.popleft()
            actor = self._actors.get(session_id)
            if actor is None or (actor.stage is Stage.IDLE and actor.used_at < fresh):
                taken.append(session_id)
        return taken

"""Turns: what one person does a few times at a time, the rest of it waiting, so that others find room."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rdchat.common.errors import ErrorCode, RdchatError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID


@dataclass(slots=True)
class _Person:
    free: asyncio.Semaphore
    here: int = 0


class Turns:
    """Gives each person `at_once` turns at a time; `waiting` more wait for one, for `patience` seconds.

    `in_all` bounds the turns of all people together. `what` is named where there is no turn.
    """

    def __init__(self, what: str, *, at_once: int, waiting: int, in_all: int, patience: float) -> None:
        self._what = what
        self._at_once = at_once
        self._most = at_once + waiting
        self._left = in_all
        self._patience = patience
        self._people: dict[UUID, _Person] = {}

    def count(self, person_id: UUID) -> int:
        """Count what a person has under way or waiting."""
        return self._people[person_id].here if person_id in self._people else 0

    @asynccontextmanager
    async def turn(self, person_id: UUID) -> AsyncIterator[None]:
        """Have a turn within.

        Raise RdchatError: RATE_LIMITED where enough of one's own wait already, or for too long; UNAVAILABLE
        where too many others have theirs.
        """
        person = self._people.setdefault(person_id, _Person(asyncio.Semaphore(self._at_once)))
        if person.here >= self._most:
            raise RdchatError(ErrorCode.RATE_LIMITED, retry_after=1)
        person.here += 1
        try:
            await self._wait(person)
            try:
                if not self._left:
                    raise UnavailableError(self._what)
                self._left -= 1
                try:
                    yield
                finally:
                    self._left += 1
            finally:
                person.free.release()
        finally:
            person.here -= 1
            if not person.here:
                del self._people[person_id]

    async def _wait(self, person: _Person) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await person.free.acquire()
        except TimeoutError as error:
            raise RdchatError(ErrorCode.RATE_LIMITED, retry_after=1) from error

"""Calendars: a feed for each person, by a secret link that they can replace and revoke."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain.counseling import CounselingFilter
from rdchat.postgres import calendars, counseling_lists, people
from rdchat.postgres.pool import transaction
from rdchat.texts.calendar import calendar_text

if TYPE_CHECKING:
    from rdchat.common.clock import Clock
    from rdchat.domain.counseling import Counseling
    from rdchat.domain.person import Caller
    from rdchat.postgres.pool import Pool
    from rdchat.services.access_list import AccessList

_SECRET_BYTES: Final = 32
#: Counsellings that started longer ago are no longer shown, nor more than so many.
_PAST: Final = timedelta(days=30)
_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class OpenedCalendar:
    """What a link opens. `tag` names this very state of it."""

    tag: str
    counselings: list[Counseling]
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarService:
    """Calendars. `language`: of those whose tokens have never named one."""

    pool: Pool
    access: AccessList
    clock: Clock
    language: str
    one_at_a_time: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, 1))

    async def create_link(self, caller: Caller) -> str:
        """Give the caller a new secret for their link; the former one opens nothing from now on."""
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        now = self.clock.now()
        async with transaction(self.pool) as connection:
            await people.upsert_person(connection, caller, now)
            await calendars.put_link(connection, caller.id, _hash(secret), now)
        return secret

    async def revoke_link(self, caller: Caller) -> bool:
        """Take the caller's link away. Return whether there was one."""
        return await calendars.delete_link(self.pool, caller.id)

    async def open_calendar(self, secret: str) -> OpenedCalendar:
        """Read the calendar that a link opens. Raise RdchatError (FORBIDDEN).

        A secret is looked for by its hash: how long that takes tells nothing of secrets that there are.
        """
        owner = await calendars.get_owner(self.pool, _hash(secret))
        if owner is None or not self.access.is_active(owner[0]):
            raise RdchatError(ErrorCode.FORBIDDEN)
        person_id, language = owner
        now = self.clock.now()
        part = CounselingFilter(status=None, since=now - _PAST, until=None, before=None, limit=_MOST)
        listed = await counseling_lists.list_counselings(self.pool, part, person_id=person_id, at=now)
        words = language or self.language
        state = [(one.id.hex, one.revision, one.updated_at, one.status) for one in listed]
        return OpenedCalendar(_tag(words, state), listed[::-1], words)

    async def write(self, calendar: OpenedCalendar) -> bytes:
        """Write an opened calendar: beside the event loop, and one at a time."""
        async with self.one_at_a_time:
            return await asyncio.to_thread(calendar_text, calendar.counselings, calendar.language)

    def write_one(self, caller: Caller, counseling: Counseling) -> str:
        """Write a calendar of one counselling, for the caller to keep."""
        return calendar_text([counseling], caller.language or self.language).decode()


def _tag(*state: object) -> str:
    return sha256(repr(state).encode()).hexdigest()[:32]


def _hash(secret: str) -> bytes:
    return sha256(secret.encode()).digest()

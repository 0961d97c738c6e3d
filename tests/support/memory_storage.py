"""Sessions in memory behind the engine's storage interface, with faults on demand."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from config import Organizations
from rdchat.common.errors import UnavailableError
from rdchat.engine.storage import CommitRefusedError, CommitResult
from rdchat.texts.wording import automated_text
from statemachine import Session, Status
from statemachine.schedule import Leads, plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from rdchat.domain.message import Message
    from rdchat.domain.timeline import TimelineEntry
    from rdchat.engine.change import Change


class SetClock:
    """A clock that stands where it is put."""

    def __init__(self, instant: datetime = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)) -> None:
        self.instant = instant

    def now(self) -> datetime:
        return self.instant

    def ms(self) -> float:
        return self.instant.timestamp() * 1000

    def forward(self, **much: float) -> None:
        self.instant += timedelta(**much)


class MemoryStorage:
    """`snapshots` may be older than `truth`; both are what the engine is given.

    Faults: `lose_before`/`lose_after` commits lose the connection before or after they are done; with
    `land_late` the next one loses it and is done only when the one after it arrives; sessions in `poisoned`
    cannot be committed.
    """

    def __init__(self) -> None:
        self.truth: dict[UUID, Session] = {}
        self.snapshots: dict[UUID, Session] = {}
        self.messages: list[Message] = []
        self.timeline: list[TimelineEntry] = []
        self.commits: list[int] = []
        self.reads = 0
        self.lose_before = 0
        self.lose_after = 0
        self.land_late = False
        self._in_flight: list[Change] = []
        self.away = False
        self.poisoned: set[UUID] = set()
        self.automated_text = partial(automated_text, Organizations())

    def add(self, clock: SetClock, *, status: Status = Status.PENDING) -> Session:
        """A session of an hour that starts in a quarter of one."""
        start = clock.now() + timedelta(minutes=15)
        end = start + timedelta(hours=1)
        session = Session(
            id=uuid4(),
            counseling_id=uuid4(),
            client_id=uuid4(),
            client_name="Budi",
            psychologist_id=uuid4(),
            psychologist_name="Sari",
            starts_at=start,
            ends_at=end,
            created_at=clock.now(),
            updated_at=clock.now(),
            status=status,
            automations=plan(start, end, Leads(), clock.now()),
        )
        self.truth[session.id] = session
        return session

    def said(self, session_id: UUID) -> list[Message]:
        return [message for message in self.messages if message.session_id == session_id]

    async def hydrate(self, session_ids: Sequence[UUID]) -> tuple[dict[UUID, Session], set[UUID]]:
        stale = {one: self.snapshots[one] for one in session_ids if one in self.snapshots}
        missing = [one for one in session_ids if one not in stale]
        return stale | (await self.read(missing) if missing else {}), set(missing)

    async def read(self, session_ids: Sequence[UUID]) -> dict[UUID, Session]:
        self.reads += 1
        if self.away:
            raise UnavailableError("PostgreSQL")
        return {one: copy.copy(self.truth[one]) for one in session_ids if one in self.truth}

    async def commit(self, changes: Sequence[Change]) -> dict[UUID, CommitResult]:
        # A real one takes a while, in which others get their turn.
        await asyncio.sleep(0)
        if self.away:
            raise UnavailableError("PostgreSQL")
        if self._in_flight:
            self._apply(self._in_flight)
            self._in_flight = []
        if self.land_late:
            self.land_late = False
            self._in_flight = list(changes)
            raise UnavailableError("PostgreSQL")
        if self.lose_before:
            self.lose_before -= 1
            raise UnavailableError("PostgreSQL")
        if any(change.after.id in self.poisoned for change in changes):
            raise CommitRefusedError("poison")
        named = [(one.session_id, one.sender_id, one.client_message_id) for one in self.messages]
        for change in changes:
            for message in change.messages:
                key = (message.session_id, message.sender_id, message.client_message_id)
                if message.client_message_id is not None and key in named:
                    raise CommitRefusedError("unique", repeats=True)
        won = self._apply(changes)
        self.commits.append(len(changes))
        if self.lose_after:
            self.lose_after -= 1
            raise UnavailableError("PostgreSQL")
        return won

    def _apply(self, changes: Sequence[Change]) -> dict[UUID, CommitResult]:
        won = {}
        talk = all(change.only_talks for change in changes)
        for change in changes:
            before, after = self.truth[change.after.id], copy.copy(change.after)
            others = before.last_seq - change.before.last_seq
            if talk and before.state_version == change.before.state_version and others <= change.slack:
                after.last_seq = before.last_seq + len(change.messages)
            elif before.version != change.before.version or talk:
                continue
            after.version = before.version + 1
            after.state_version = before.state_version if talk else after.version
            self.truth[after.id] = after
            first = after.last_seq - len(change.messages) + 1
            self.messages += [replace(one, seq=first + place) for place, one in enumerate(change.messages)]
            self.timeline += change.timeline
            won[after.id] = CommitResult(after.version, after.last_seq)
        return won

    async def find_committed(self, session_ids: Sequence[UUID], command_ids: Sequence[UUID]) -> set[UUID]:
        del session_ids
        if self.away:
            raise UnavailableError("PostgreSQL")
        known = {one.id for one in self.messages} | {one.command_id for one in self.timeline}
        return known & set(command_ids)

    async def messages_by_client_id(
        self, session_id: UUID, named: Sequence[tuple[UUID, str]]
    ) -> dict[tuple[UUID, str], Message]:
        return {
            (one.sender_id, one.client_message_id): one
            for one in self.said(session_id)
            if one.client_message_id is not None and (one.sender_id, one.client_message_id) in named
        }

    async def message_by_id(self, session_id: UUID, message_id: UUID) -> Message | None:
        return next((one for one in self.said(session_id) if one.id == message_id), None)

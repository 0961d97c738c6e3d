"""The audit, for those who write it and those who may look: what was done, seen and refused.

Who reads what was said is written down before it is answered, for all who read at that moment at once.
Refusals are counted first, and written every few seconds: an attack must not fill the database.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.common.errors import ErrorCode, RdchatError, UnavailableError
from rdchat.domain.audit import AuditEntry, AuditFilter, AuditKind, AuditRow
from rdchat.postgres import audit, people
from rdchat.postgres.pool import acquire

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Pool

log = structlog.get_logger(__name__)

_REFUSALS_SECONDS: Final = 5.0
#: Different refusals that are told apart within these seconds; what comes beyond them is counted together.
_REFUSALS_APART: Final = 200
_LARGEST_BATCH: Final = 500
#: What someone has seen of a session, or taken out of it.
_SEEN: Final = (AuditKind.CONTENT_READ, AuditKind.PERSON_EXPORTED)


@dataclass(frozen=True, slots=True)
class RefusalKey:
    """Refusals that are written as one: of one person, at one route, for one reason."""

    code: ErrorCode
    action: str
    person_id: UUID | None
    subject_id: UUID | None = None


@dataclass(slots=True)
class _Waiting:
    entry: AuditEntry
    written: asyncio.Future[None]


@dataclass(slots=True, kw_only=True)
class AuditTrail:
    """Writes what has no transaction of its own, and lists what was written."""

    pool: Pool
    keys: DataKeys
    clock: Clock
    _waiting: list[_Waiting] = field(default_factory=list)
    _something: asyncio.Event = field(default_factory=asyncio.Event)
    _refused: dict[RefusalKey, int] = field(default_factory=dict)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        """Begin to write."""
        self._tasks = [
            keep_running(self._write_for_ever, "audit"),
            keep_running(self._write_refusals_for_ever, "audit of refusals"),
        ]

    async def close(self) -> None:
        """Stop, when the refusals so far are written."""
        for task in self._tasks:
            await cancel(task)
        for one in self._waiting:
            one.written.cancel()
        try:
            await self.write_refusals()
        except UnavailableError:
            log.warning("the last refusals are not written down", kinds=len(self._refused))

    async def record(
        self,
        kind: AuditKind,
        action: str,
        person_id: UUID,
        *,
        session_id: UUID | None = None,
        subject_id: UUID | None = None,
    ) -> None:
        """Write down what someone has done, before it is answered. Raise UnavailableError."""
        entry = AuditEntry(
            at=self.clock.now(),
            kind=kind,
            action=action,
            actor_id=person_id,
            subject_id=subject_id,
            session_id=session_id,
        )
        waiting = _Waiting(entry, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._something.set()
        await waiting.written

    def note_refusal(self, key: RefusalKey) -> None:
        """Count a refusal, to be written within seconds."""
        if key not in self._refused and len(self._refused) >= _REFUSALS_APART:
            key = RefusalKey(key.code, "any", None)
        self._refused[key] = self._refused.get(key, 0) + 1

    async def write_refusals(self) -> None:
        """Write the refusals so far. Raise UnavailableError."""
        counted, self._refused = self._refused, {}
        try:
            await self._insert([self._refusal_entry(key, count) for key, count in counted.items()])
        except UnavailableError:
            for key, count in counted.items():
                self._refused[key] = self._refused.get(key, 0) + count
            raise

    def _refusal_entry(self, key: RefusalKey, count: int) -> AuditEntry:
        is_unknown = key.code is ErrorCode.UNAUTHENTICATED
        return AuditEntry(
            at=self.clock.now(),
            kind=AuditKind.SIGN_IN_REFUSED if is_unknown else AuditKind.ACCESS_REFUSED,
            action=key.action,
            outcome=key.code.value,
            actor_id=key.person_id,
            subject_id=key.subject_id,
            occurrences=count,
        )

    async def list_entries(
        self, wanted: AuditFilter, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[AuditRow]:
        """List entries, latest first; `before` is the (instant, id) of the last one that was seen."""
        return await audit.list_entries(self.pool, wanted, before=before, limit=limit, keys=self.keys)

    async def list_readers(
        self, session_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[AuditRow]:
        """List who has seen what was said in a session, latest first: for its two people alone."""
        wanted = AuditFilter(kinds=_SEEN, session_id=session_id)
        return await self.list_entries(wanted, before=before, limit=limit)

    async def get_names(self, person_ids: Iterable[UUID]) -> dict[UUID, str]:
        """Return the names of people, as far as they are known. Raise UnavailableError."""
        async with acquire(self.pool) as connection:
            return await people.get_names(connection, person_ids)

    async def _write_for_ever(self) -> None:
        while True:
            await self._something.wait()
            batch = self._waiting[:_LARGEST_BATCH]
            del self._waiting[:_LARGEST_BATCH]
            if not self._waiting:
                self._something.clear()
            try:
                await self._insert([one.entry for one in batch])
            except BaseException as error:
                _fail(batch, error)
                if not isinstance(error, RdchatError):
                    raise
            else:
                for one in batch:
                    if not one.written.done():
                        one.written.set_result(None)

    async def _write_refusals_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_REFUSALS_SECONDS)
            try:
                await self.write_refusals()
            except UnavailableError:
                log.debug("refusals are written down later")

    async def _insert(self, entries: Sequence[AuditEntry]) -> None:
        if entries:
            async with acquire(self.pool) as connection:
                await audit.insert_entries(connection, entries, keys=self.keys)


def _fail(batch: Sequence[_Waiting], error: BaseException) -> None:
    """Answer all of a batch that it could not be written."""
    shown = error if isinstance(error, RdchatError) else UnavailableError("the audit")
    for one in batch:
        if not one.written.done():
            one.written.set_exception(shown)

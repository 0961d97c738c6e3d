"""Retention: what was said in a session is kept for so many days after its end, by organisation.

A run looks at all counsellings in pages, oldest first, and destroys what is due, a page a transaction. It is
recorded as one erasure; one that was interrupted is gone on with by the next run, which finds less to do.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.common.errors import RdchatError, UnavailableError
from rdchat.common.ids import new_id
from rdchat.domain.audit import AuditEntry, AuditKind
from rdchat.domain.erasure import Erasure, ErasureKind, ErasureStatus
from rdchat.domain.operator_action import Operator
from rdchat.operations.privacy.erasing import ignore_progress
from rdchat.postgres import access_rules, audit, erasing, erasures, retention
from rdchat.postgres.pool import acquire, transaction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from config import Organizations
    from rdchat.common.clock import Clock
    from rdchat.operations.privacy.erasing import ErasureService
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Pool
    from rdchat.postgres.retention import OldCounseling

log = structlog.get_logger(__name__)

#: Counsellings that are looked at in a statement, and those that are erased in a transaction.
_LOOK: Final = 1_000
_PAGE: Final = 100
#: Between pages, when the service does it beside people who chat.
_REST_SECONDS: Final = 0.2
_EVERY_SECONDS: Final = 600.0
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0)


@dataclass(slots=True, kw_only=True)
class RetentionRun:
    """What a run has found: what was due, how many of them legal holds keep, and its record if it has one."""

    due: list[OldCounseling] = field(default_factory=list)
    held: int = 0
    erasure: Erasure | None = None


@dataclass(slots=True, kw_only=True)
class RetentionService:
    """Ends what has been kept for long enough."""

    pool: Pool
    keys: DataKeys
    organizations: Organizations
    erasures: ErasureService
    clock: Clock
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to do so once a day, together with all replicas; erasures that were interrupted as well."""
        self._task = keep_running(self._run_for_ever, "retention")

    async def close(self) -> None:
        """Stop. What is left is done by the next run."""
        await cancel(self._task)

    async def _run_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                if await retention.take_day(self.pool):
                    await self.run_day()
            except UnavailableError:
                log.debug("what is due is erased later")

    async def run_day(self) -> None:
        """Finish erasures that were interrupted, and end what is due. Raise UnavailableError."""
        for erasure in await erasures.list_unfinished(self.pool):
            try:
                await self.erasures.go_on(erasure)
            except UnavailableError:
                raise
            except RdchatError as error:
                log.warning("an erasure is not finished", id=str(erasure.id), error=str(error))
        await self.apply(Operator(reason="retention"), rest=_REST_SECONDS)

    def ends_before(self, now: datetime, organization_id: UUID | None) -> datetime | None:
        """Return since when an organisation's sessions must be over to be due at an instant; None: never."""
        default, own = self.organizations.retention()
        days = own.get(organization_id, default) if organization_id is not None else default
        return now - timedelta(days=days) if days is not None else None

    async def find(
        self, *, only: UUID | None = None, say: Callable[[str], None] = ignore_progress
    ) -> RetentionRun:
        """Find what is due, and change nothing; `only` of an organisation."""
        run = RetentionRun()
        async for page in self._pages(only, say):
            run.due += [one for one in page if not one.is_held]
            run.held += sum(one.is_held for one in page)
        return run

    async def apply(
        self,
        operator: Operator,
        *,
        only: UUID | None = None,
        rest: float = 0.0,
        say: Callable[[str], None] = ignore_progress,
    ) -> RetentionRun:
        """End what is due; `only` of an organisation. Nothing is recorded where nothing is due.

        Raise UnavailableError; it is gone on with when it is called again.
        """
        run = RetentionRun()
        async with acquire(self.pool) as connection:
            run.erasure = await erasures.get_unfinished_retention(connection)
        async for page in self._pages(only, say):
            run.held += sum(one.is_held for one in page)
            due = [one for one in page if not one.is_held]
            for start in range(0, len(due), _PAGE):
                await self._end(operator, run, due[start : start + _PAGE])
                say(f"{len(run.due):,} counselings are erased")
                await asyncio.sleep(rest)
        if run.erasure is not None:
            await self._finish(run.erasure, say)
            run.erasure = await erasures.get_erasure(self.pool, run.erasure.id)
        return run

    async def _pages(
        self, only: UUID | None, say: Callable[[str], None]
    ) -> AsyncIterator[list[OldCounseling]]:
        default, own = self.organizations.retention()
        every = [*own.values(), *([default] if default is not None else [])]
        if not every:
            return
        now, after, looked = self.clock.now(), _BEGINNING, 0
        latest = now - timedelta(days=min(every))
        while page := await retention.list_old(self.pool, started_before=latest, after=after, limit=_LOOK):
            after = page[-1].starts_at, page[-1].id
            looked += len(page)
            say(f"{looked:,} counselings looked at")
            yield [one for one in page if one.has_key and self._is_due(one, now, only)]

    def _is_due(self, one: OldCounseling, now: datetime, only: UUID | None) -> bool:
        before = self.ends_before(now, one.organization_id)
        is_wanted = only is None or one.organization_id == only
        return is_wanted and before is not None and one.over_at is not None and one.over_at < before

    async def _end(self, operator: Operator, run: RetentionRun, due: list[OldCounseling]) -> None:
        async with transaction(self.pool) as connection:
            change = await access_rules.count_change(connection)
            # Behind the same lock as holds are set.
            held = await retention.list_held(connection, [one.id for one in due])
            due = [one for one in due if one.id not in held]
            run.held += len(held)
            erasure = run.erasure
            if erasure is None:
                erasure = Erasure(
                    id=new_id(),
                    kind=ErasureKind.RETENTION,
                    person_id=None,
                    actor_id=operator.actor_id,
                    status=ErasureStatus.BEGUN,
                    begun_at=self.clock.now(),
                )
                service_key = await self.keys.get_service_key(connection)
                await erasures.insert_erasure(connection, erasure, operator.reason, service_key)
            part = erasing.OwnedPart([(one.id, one.session_id, one.messages) for one in due])
            counts = await self.erasures.destroy_part(connection, erasure.id, part, change)
            counts["notifications"] = await erasing.blank_reasons(connection, part.owners)
            await erasures.add_counts(connection, erasure.id, counts)
        run.erasure = erasure
        run.due += due

    async def _finish(self, erasure: Erasure, say: Callable[[str], None]) -> None:
        async with acquire(self.pool) as connection:
            await erasures.mark_destroyed(connection, erasure.id, self.erasures.clock.now())
        destroyed = await erasures.get_erasure(self.pool, erasure.id)
        await self.erasures.tidy_away(destroyed or erasure, say)
        now = self.clock.now()
        async with transaction(self.pool) as connection:
            await erasures.mark_done(connection, erasure.id, now, None)
            entry = AuditEntry(
                at=now,
                kind=AuditKind.RETENTION_APPLIED,
                action="finish",
                actor_id=erasure.actor_id,
                subject_id=erasure.id,
            )
            await audit.insert_entries(connection, [entry], keys=self.keys)

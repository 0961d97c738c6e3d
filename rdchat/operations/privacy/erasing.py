"""Erasing a person in the middle of other people's lives.

Their data keys are destroyed, and what is personal in rows is blanked; rows, states and counts stay, and so
does what others owe each other. In this order, each step a transaction and recorded with what it has done, so
that an erasure that is interrupted goes on where it was:

1. it is recorded, and the person's tokens are revoked: nothing is added any more;
2. what they have ahead is cancelled as anyone would, and the other of the two is told;
3. keys are destroyed, sessions in pages, and rows blanked (`destroyed`): from here, nothing can be read;
4. every replica drops the keys within a second; files and snapshots are removed;
5. what a replica has still written in that second is blanked as well, and the receipt signed (`done`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from rdchat.common.clock import iso
from rdchat.common.errors import ErrorCode, RdchatError, UnavailableError
from rdchat.common.ids import new_id
from rdchat.domain.audit import AuditEntry, AuditKind
from rdchat.domain.counseling import CounselingFilter
from rdchat.domain.erasure import Erasure, ErasureKind, ErasureStatus
from rdchat.operations.privacy.receipts import write_receipt
from rdchat.postgres import access_rules, audit, counseling_lists, erasing, erasures, legal_holds
from rdchat.postgres.key_destruction import OwnerKind, destroy_keys
from rdchat.postgres.pool import transaction
from statemachine import Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.operator_action import Operator
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.redis.snapshots import Snapshots
    from rdchat.security.sealed_files import SealedFiles

#: Counsellings whose keys are destroyed in one transaction; files that are removed before it is said how far
#: it is; counsellings that are cancelled before it is looked again.
_PAGE: Final = 100
#: What is about to be published of what was cancelled gets five seconds; then it is dropped.
_LOOKS: Final = 50
_LOOK_SECONDS: Final = 0.1
#: Within that, every replica knows that keys are destroyed; one that has not asked for so long reads nothing.
_SETTLING: Final = timedelta(seconds=2)
#: New bookings that come between, at the most, before it is given up for now.
_ATTEMPTS: Final = 5


class HeldError(RdchatError):
    """A legal hold stands in the way (LEGAL_HOLD)."""


def ignore_progress(_text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureService:
    """Erases people.

    `cancel` cancels a counselling for an administrator, by their id; `follow` has this replica drop keys.
    """

    pool: Pool
    keys: DataKeys
    files: SealedFiles
    snapshots: Snapshots
    clock: Clock
    cancel: Callable[[UUID | None, UUID], Awaitable[object]]
    follow: Callable[[], Awaitable[None]]

    async def erase_person(
        self,
        operator: Operator,
        person_id: UUID,
        *,
        say: Callable[[str], None] = ignore_progress,
    ) -> Erasure:
        """Erase a person, or go on with it. Return the erasure, with its receipt.

        Raise RdchatError: NOT_FOUND for one who was never seen, LEGAL_HOLD, ILLEGAL_TRANSITION while a chat
        of theirs is open or for one who would erase themselves; UNAVAILABLE, and it can be gone on with.
        """
        if operator.actor_id == person_id:
            raise RdchatError(ErrorCode.ILLEGAL_TRANSITION, "You cannot erase yourself")
        erasure = await self._begin(operator, person_id)
        return await self.go_on(erasure, say=say)

    async def go_on(self, erasure: Erasure, *, say: Callable[[str], None] = ignore_progress) -> Erasure:
        """Finish an erasure of a person, from where it is. Raise as `erase_person` does."""
        person_id = erasure.person_id
        if person_id is None:
            raise ValueError("a run of the retention is gone on with by the next one")
        if erasure.status is ErasureStatus.BEGUN:
            await self._destroy(erasure, person_id, say)
        await self.tidy_away(await self._get(erasure.id), say)
        return await self._finish(erasure.id, person_id)

    async def repeat_all(self) -> dict[str, int]:
        """Erase again what has come back with a backup: all that is recorded. Return how much that was.

        For a database whose data were restored from before an erasure, and the records of erasures with the
        keys from after it. Raise UnavailableError.
        """
        async with transaction(self.pool) as connection:
            counts = await erasing.destroy_again(connection)
        for erasure in await erasures.list_of_people(self.pool):
            if erasure.person_id is None:  # pragma: no cover - the statement asks for those of people
                continue
            async with transaction(self.pool) as connection:
                await erasing.lock_person(connection, erasure.person_id)
                if not await erasing.has_come_back(connection, erasure.person_id, erasure.begun_at):
                    cleared = await erasing.clear_person(connection, erasure.person_id, self.keys)
                    for name, count in cleared.items():
                        counts[name] = counts.get(name, 0) + count
        return counts

    # ---- beginning ----------------------------------------------------------------------------------------

    async def _begin(self, operator: Operator, person_id: UUID) -> Erasure:
        now = self.clock.now()
        async with transaction(self.pool) as connection:
            if await erasing.lock_person(connection, person_id) is None:
                raise RdchatError(ErrorCode.NOT_FOUND, "Person not found")
            unfinished = await erasures.get_unfinished(connection, person_id)
            if unfinished is not None:
                return unfinished
            await self._must_be_erasable(connection, person_id)
            erasure = Erasure(
                id=new_id(),
                kind=ErasureKind.PERSON,
                person_id=person_id,
                actor_id=operator.actor_id,
                status=ErasureStatus.BEGUN,
                begun_at=now,
            )
            service_key = await self.keys.get_service_key(connection)
            await erasures.insert_erasure(connection, erasure, operator.reason, service_key)
            await self._audit(
                connection, erasure, "begin", {"reason": operator.reason} if operator.reason else None
            )
            await erasing.withdraw_psychologist(connection, person_id, now)
            rule, number = await access_rules.lock(connection, person_id)
            await access_rules.put(connection, replace(rule, revoked_at=now), number, cut=True)
        await self._follow()
        return erasure

    async def _must_be_erasable(self, connection: Connection, person_id: UUID) -> None:
        hold = await legal_holds.find_hold(connection, person_id)
        if hold is not None:
            raise HeldError(
                ErrorCode.LEGAL_HOLD,
                f"A legal hold on the {hold.subject_type.value} {hold.subject_id}, since {iso(hold.set_at)}, "
                "has to be lifted first",
            )
        for session in await erasing.list_not_over(connection, person_id):
            if session.is_open:
                raise RdchatError(
                    ErrorCode.ILLEGAL_TRANSITION,
                    f"A chat of this person is open, until {iso(session.ends_at)}: try again after its end",
                )

    # ---- destroying ---------------------------------------------------------------------------------------

    async def _destroy(self, erasure: Erasure, person_id: UUID, say: Callable[[str], None]) -> None:
        for _ in range(_ATTEMPTS):
            await self._cancel_ahead(erasure, person_id, say)
            await self._let_publish(person_id)
            if await self._destroy_pages(erasure, person_id, say):
                return
        raise UnavailableError("a person who books again and again")

    async def _cancel_ahead(self, erasure: Erasure, person_id: UUID, say: Callable[[str], None]) -> None:
        ahead = CounselingFilter(
            status=Status.PENDING.value, since=None, until=None, before=None, limit=_PAGE
        )
        while found := await counseling_lists.list_counselings(
            self.pool, ahead, person_id=person_id, at=self.clock.now()
        ):
            for counseling in found:
                await self.cancel(erasure.actor_id, counseling.id)
            say(f"{len(found)} counselings that were ahead are cancelled")

    async def _let_publish(self, person_id: UUID) -> None:
        """Let those be told who are to be told, before what it is encrypted with is destroyed."""
        for _ in range(_LOOKS):
            if not await erasing.is_anything_to_publish(self.pool, person_id):
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _destroy_pages(self, erasure: Erasure, person_id: UUID, say: Callable[[str], None]) -> bool:
        """Destroy keys, page by page. Return False where something was booked in between."""
        while True:
            async with transaction(self.pool) as connection:
                await erasing.lock_person(connection, person_id)
                # Behind the same lock as holds: what was held a moment ago is not destroyed.
                change = await access_rules.count_change(connection)
                await self._must_be_erasable(connection, person_id)
                if await erasing.list_not_over(connection, person_id):
                    return False
                part = await erasing.list_with_keys(connection, person_id, _PAGE)
                if not part.counselings:
                    await self._destroy_person(connection, erasure, person_id, change)
                    return True
                counts = await self.destroy_part(connection, erasure.id, part, change)
                await erasures.add_counts(connection, erasure.id, counts)
            say(f"{len(part.session_ids)} sessions with {counts['messages']:,} messages are destroyed")

    async def destroy_part(
        self, connection: Connection, erasure_id: UUID, part: erasing.OwnedPart, change: int
    ) -> dict[str, int]:
        """Destroy the keys of a part of counsellings, in the open transaction. Return how much went."""
        service_key = await self.keys.get_service_key(connection)
        gone = await destroy_keys(
            connection, part.owners, erasure_id=erasure_id, change=change, service_key=service_key
        )
        return {"outboxEntries": await erasing.drop_events(connection, part.owners)} | part.counts(gone)

    async def _destroy_person(
        self, connection: Connection, erasure: Erasure, person_id: UUID, change: int
    ) -> None:
        counts = await erasing.clear_person(connection, person_id, self.keys)
        counts["cancelled"] = await erasing.count_cancelled(connection, person_id, erasure.begun_at)
        gone = await destroy_keys(
            connection,
            {person_id: OwnerKind.PERSON},
            erasure_id=erasure.id,
            change=change,
            service_key=await self.keys.get_service_key(connection),
        )
        await erasures.add_counts(connection, erasure.id, counts | {"dataKeys": len(gone)})
        await erasures.mark_destroyed(connection, erasure.id, self.clock.now())
        await self._audit(connection, erasure, "destroy")

    # ---- tidying away -------------------------------------------------------------------------------------

    async def tidy_away(self, erasure: Erasure, say: Callable[[str], None] = ignore_progress) -> None:
        """Remove what is left of the sessions whose keys an erasure has destroyed."""
        await self._follow()
        session_ids = await erasing.list_erased_sessions(self.pool, erasure.id)
        await self.snapshots.withdraw(session_ids)
        await self._remove_files(erasure.id, say)
        settled_at = (erasure.destroyed_at or self.clock.now()) + _SETTLING
        await asyncio.sleep(max(0.0, (settled_at - self.clock.now()).total_seconds()))
        for start in range(0, len(session_ids), _PAGE):
            async with transaction(self.pool) as connection:
                some = session_ids[start : start + _PAGE]
                cleared = await erasing.clear_client_message_ids(connection, some)
                await erasures.add_counts(connection, erasure.id, {"clientMessageIds": cleared})

    async def _remove_files(self, erasure_id: UUID, say: Callable[[str], None]) -> None:
        while found := await erasing.list_files(self.pool, erasure_id, _PAGE):
            for session_id, file_id in found:
                await self.files.delete(session_id, file_id)
                async with transaction(self.pool) as connection:
                    marked = await erasing.mark_file_erased(connection, session_id, file_id, self.clock.now())
                    await erasures.add_counts(connection, erasure_id, {"files": marked})
            say(f"{len(found)} files are removed")

    async def _finish(self, erasure_id: UUID, person_id: UUID) -> Erasure:
        erasure = await self._get(erasure_id)
        if erasure.finished_at is not None:
            return erasure
        async with transaction(self.pool) as connection:
            await erasing.lock_person(connection, person_id)
            service_key = await self.keys.get_service_key(connection)
            if not await erasing.has_come_back(connection, person_id, erasure.begun_at):
                counts = await erasing.clear_person(connection, person_id, self.keys)
                await erasures.add_counts(connection, erasure_id, counts)
            now = self.clock.now()
            counted = await erasures.get_unfinished(connection, person_id) or erasure
            receipt = write_receipt(counted, now, service_key)
            await erasures.mark_done(connection, erasure_id, now, receipt)
            await self._audit(connection, erasure, "finish")
        return await self._get(erasure_id)

    async def _get(self, erasure_id: UUID) -> Erasure:
        found = await erasures.get_erasure(self.pool, erasure_id)
        if found is None:  # pragma: no cover - records are not deleted
            raise LookupError(erasure_id)
        return found

    async def _follow(self) -> None:
        """Let it hold here at once. It is committed: where that fails, it holds a moment later."""
        try:
            await self.follow()
        except UnavailableError:
            return

    async def _audit(
        self, connection: Connection, erasure: Erasure, action: str, detail: dict[str, str] | None = None
    ) -> None:
        entry = AuditEntry(
            at=self.clock.now(),
            kind=AuditKind.PERSON_ERASED,
            action=action,
            actor_id=erasure.actor_id,
            subject_id=erasure.person_id,
            detail={"erasureId": str(erasure.id)} | (detail or {}),
        )
        await audit.insert_entries(connection, [entry], keys=self.keys)

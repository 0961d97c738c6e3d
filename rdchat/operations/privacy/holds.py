"""Legal holds: what must be kept, set and lifted with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rdchat.common.errors import ErrorCode, RdchatError, invalid
from rdchat.domain.audit import AuditEntry, AuditKind
from rdchat.domain.erasure import HoldSubject, LegalHold
from rdchat.postgres import access_rules, audit, legal_holds
from rdchat.postgres.pool import transaction

if TYPE_CHECKING:
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.operator_action import Operator
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldService:
    """Sets and lifts holds. They count as changes of access, so that none is set while keys are destroyed."""

    pool: Pool
    keys: DataKeys
    clock: Clock

    async def set_hold(self, operator: Operator, subject_type: HoldSubject, subject_id: UUID) -> LegalHold:
        """Hold a person, or a session, back from erasure and retention. One that is set stays as it is.

        Raise RdchatError: NOT_FOUND, VALIDATION_FAILED without a reason.
        """
        reason = _reason_of(operator)
        now = self.clock.now()
        async with transaction(self.pool) as connection:
            if not await legal_holds.is_there(connection, subject_type, subject_id):
                raise RdchatError(ErrorCode.NOT_FOUND, f"{subject_type.value.capitalize()} not found")
            await access_rules.count_change(connection)
            hold = await legal_holds.set_hold(
                connection,
                subject_type,
                subject_id,
                reason=reason,
                by=operator.actor_id,
                at=now,
                service_key=await self.keys.get_service_key(connection),
            )
            await self._audit(connection, operator, "set", subject_type, subject_id)
        return hold

    async def lift_hold(self, operator: Operator, subject_type: HoldSubject, subject_id: UUID) -> bool:
        """Lift a hold. Return whether there was one. Raise RdchatError (VALIDATION_FAILED) without reason."""
        reason = _reason_of(operator)
        async with transaction(self.pool) as connection:
            lifted = await legal_holds.lift_hold(
                connection,
                subject_id,
                reason=reason,
                by=operator.actor_id,
                at=self.clock.now(),
                service_key=await self.keys.get_service_key(connection),
            )
            if lifted:
                await self._audit(connection, operator, "lift", subject_type, subject_id)
        return lifted

    async def list_holds(self) -> list[LegalHold]:
        """List the holds that are in force."""
        return await legal_holds.list_holds(self.pool)

    async def _audit(
        self,
        connection: Connection,
        operator: Operator,
        action: str,
        subject_type: HoldSubject,
        subject_id: UUID,
    ) -> None:
        entry = AuditEntry(
            at=self.clock.now(),
            kind=AuditKind.HOLD_CHANGED,
            action=action,
            actor_id=operator.actor_id,
            subject_id=subject_id,
            session_id=subject_id if subject_type is HoldSubject.SESSION else None,
            detail={"reason": operator.reason or ""},
        )
        await audit.insert_entries(connection, [entry], keys=self.keys)


def _reason_of(operator: Operator) -> str:
    if operator.reason is None:
        raise invalid("reason", "A legal hold is set and lifted with a reason.")
    return operator.reason

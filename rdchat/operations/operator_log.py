"""What those have changed who run the service.

What has a transaction of its own is written in it (`rdchat.operations.dead_letters`). What existing services
change is written around them: that it was begun before, and what became of it after. So nothing is changed
unseen, also where the process dies in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from rdchat.common.errors import UnavailableError
from rdchat.domain.operator_action import BEGUN, ActionKind, ActionSubject, Operator, OperatorAction
from rdchat.postgres import operator_actions
from rdchat.postgres.pool import transaction

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Pool

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorLog:
    """Writes actions down, and lists them."""

    pool: Pool
    clock: Clock
    keys: DataKeys

    async def begin(self, operator: Operator, kind: ActionKind, subject: ActionSubject) -> OperatorAction:
        """Write down that an action is begun. Return it, as it is to be settled. Raise UnavailableError."""
        action = OperatorAction(
            id=uuid4(),
            at=self.clock.now(),
            actor_id=operator.actor_id,
            action=kind,
            subject=subject,
            detail=None,
            outcome=BEGUN,
            request_id=operator.request_id,
            reason=operator.reason,
        )
        async with transaction(self.pool) as connection:
            await operator_actions.insert_actions(connection, [action], keys=self.keys)
        return action

    async def settle(self, action: OperatorAction, outcome: str) -> None:
        """Write down what became of an action. While PostgreSQL is away, it stays begun."""
        try:
            await operator_actions.settle_action(
                self.pool, action, outcome, at=self.clock.now(), keys=self.keys
            )
        except UnavailableError:
            log.warning("what became of an action was not written down", id=str(action.id), outcome=outcome)

    async def list_actions(self, *, before: tuple[datetime, UUID] | None, limit: int) -> list[OperatorAction]:
        """List actions, latest first; `before` is the (instant, id) of the last one that was seen."""
        return await operator_actions.list_actions(self.pool, before=before, limit=limit)

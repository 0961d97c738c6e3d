"""What those have changed who run the service: written in the transaction of the change, or around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rdchat.domain.audit import AuditEntry, AuditKind
from rdchat.domain.operator_action import ActionSubject, OperatorAction, SubjectType
from rdchat.postgres import audit
from rdchat.postgres.data_keys import keys_of
from rdchat.postgres.names import names_in, shown_name
from rdchat.postgres.pool import acquire, transaction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool

_INSERT = """
INSERT INTO operator_actions (id, at, actor_id, action, subject_type, subject_id, detail, outcome,
                              request_id)
SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::uuid[],
                     $7::text[], $8::text[], $9::text[])
"""

#: Beside the action: what was written down is not changed.
_SETTLE = "INSERT INTO operator_outcomes (action_id, outcome) VALUES ($1, $2) ON CONFLICT DO NOTHING"

_LIST = """
SELECT a.*, coalesce(o.outcome, a.outcome) AS settled,
       (SELECT p.sealed_name FROM people p WHERE p.id = a.actor_id) AS actor_sealed,
       EXISTS (SELECT FROM people p WHERE p.id = a.actor_id) AS is_known
  FROM operator_actions a LEFT JOIN operator_outcomes o ON o.action_id = a.id
 WHERE (a.at, a.id) < ($1, $2) ORDER BY a.at DESC, a.id DESC LIMIT $3
"""
_LATEST = _LIST.replace("(a.at, a.id) < ($1, $2)", "$1::timestamptz IS NULL AND $2::uuid IS NULL")


async def insert_actions(
    connection: Connection, actions: Sequence[OperatorAction], *, keys: DataKeys
) -> None:
    """Write actions, also to the audit, in a transaction."""
    if actions:
        await connection.execute(_INSERT, *zip(*map(_row, actions), strict=True))
        await audit.insert_entries(
            connection, [_entry(one, at=one.at, outcome=one.outcome) for one in actions], keys=keys
        )


def _entry(action: OperatorAction, *, at: datetime, outcome: str) -> AuditEntry:
    subject = action.subject
    words = {
        "reason": action.reason,
        "detail": action.detail,
        "requestId": action.request_id,
    }
    return AuditEntry(
        at=at,
        kind=AuditKind.ADMINISTRATION,
        action=action.action,
        outcome=outcome,
        actor_id=action.actor_id,
        subject_id=subject.id,
        session_id=subject.id if subject.type is SubjectType.SESSION else None,
        detail={name: text for name, text in words.items() if text is not None} or None,
    )


def _row(action: OperatorAction) -> tuple[object, ...]:
    return (
        action.id,
        action.at,
        action.actor_id,
        action.action,
        action.subject.type.value,
        action.subject.id,
        action.detail,
        action.outcome,
        action.request_id,
    )


async def settle_action(
    pool: Pool, action: OperatorAction, outcome: str, *, at: datetime, keys: DataKeys
) -> None:
    """Note what became of an action that was begun, also in the audit."""
    async with transaction(pool) as connection:
        await connection.execute(_SETTLE, action.id, outcome)
        await audit.insert_entries(connection, [_entry(action, at=at, outcome=outcome)], keys=keys)


async def list_actions(
    pool: Pool, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[OperatorAction]:
    """List actions, latest first; `before` is the (instant, id) of the last one that was seen."""
    async with acquire(pool) as connection:
        if before is None:
            rows = await connection.fetch(_LATEST, None, None, limit)
        else:
            rows = await connection.fetch(_LIST, *before, limit)
        names = await names_in(connection, keys_of(connection), rows, [("actor_id", "actor_sealed")])
    return [
        OperatorAction(
            id=row["id"],
            at=row["at"],
            actor_id=row["actor_id"],
            action=row["action"],
            subject=ActionSubject(SubjectType(row["subject_type"]), row["subject_id"]),
            detail=row["detail"],
            outcome=row["settled"],
            request_id=row["request_id"],
            actor_name=shown_name(names, row["actor_id"]) if row["is_known"] else None,
        )
        for row in rows
    ]

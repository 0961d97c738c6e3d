"""The group commit: the changes of hundreds of sessions in one statement, each behind its own fence.

One statement is one round trip and one transaction. A change whose session has moved on since it was decided
(`version` differs) writes nothing at all, and its neighbours do not notice.

Changes that only add messages have a statement of their own. What they were decided on is everything but the
messages of others, so `state_version` is their fence, and `seq` is given by PostgreSQL: two participants who
talk through two replicas never lose to each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rdchat.engine.storage import CommitResult
from rdchat.postgres import commit_parts as parts
from rdchat.postgres import notifications, outbox, webhooks
from rdchat.postgres.pool import acquire
from statemachine import EndReason, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta
    from uuid import UUID

    from rdchat.engine.change import Change
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Encryptor


async def commit(
    pool: Pool,
    changes: Sequence[Change],
    *,
    encryptor: Encryptor,
    outbox_lease: timedelta,
    endpoints: Sequence[str] = (),
) -> dict[UUID, CommitResult]:
    """Write the changes. Return the sessions whose change is committed; the others lost a race.

    `outbox_lease`: how long this process has for publishing the entries before another may take them over.
    `endpoints`: the webhooks that are told of notifications.
    Raise what asyncpg raises; after a lost connection the outcome is unknown (see `find_committed`).
    """
    async with acquire(pool) as connection:
        return await write(
            connection, changes, encryptor=encryptor, outbox_lease=outbox_lease, endpoints=endpoints
        )


async def write(
    connection: Connection,
    changes: Sequence[Change],
    *,
    encryptor: Encryptor,
    outbox_lease: timedelta,
    endpoints: Sequence[str] = (),
) -> dict[UUID, CommitResult]:
    """Write the changes on a connection, as `commit` does; within a transaction if there is one."""
    entries = [change.outbox_entry for change in changes if change.outbox_entry is not None]
    attached = list(_attachment_rows(changes))
    attachments = _columns(parts.ATTACHMENT, attached) if attached else ()
    if all(change.only_talks for change in changes):
        statement = parts.COMMIT_TALK_ATTACHED if attached else parts.COMMIT_TALK
        arguments: Sequence[Any] = (
            *_columns(parts.TALK_SESSION, map(_talking_row, changes)),
            *_columns(parts.TALK_MESSAGE, (row for one in changes for row in _said_rows(one, encryptor))),
            *attachments,
            *_columns(parts.TALK_OUTBOX_ENTRY, map(outbox.message_entry_row, entries)),
        )
    else:
        statement = parts.COMMIT_ALL_ATTACHED if attached else parts.COMMIT_ALL
        told = [new for one in changes for new in one.notifications]
        deliveries = await notifications.delivery_rows(
            connection, told, endpoints=endpoints, encryptor=encryptor
        )
        arguments = (
            *_columns(parts.SESSION, (_session_row(one, encryptor) for one in changes)),
            *_columns(parts.MESSAGE, (row for one in changes for row in _message_rows(one, encryptor))),
            *_columns(parts.AUTOMATION, (row for one in changes for row in _automation_rows(one))),
            *_columns(parts.TIMELINE, (row for one in changes for row in _timeline_rows(one))),
            *_columns(
                parts.NOTIFICATION,
                (notifications.notification_row(new, encryptor) for new in told),
            ),
            *_columns(webhooks.COMMIT_PART, ((new.session_id, *row) for new, row in deliveries)),
            *attachments,
            *_columns(parts.OUTBOX_ENTRY, (outbox.entry_row(entry, encryptor) for entry in entries)),
        )
    rows = await connection.fetch(statement, *arguments, outbox_lease)
    return {row["id"]: CommitResult(row["version"], row["last_seq"], row["outcome"]) for row in rows}


def _columns(part: parts.StatementPart, rows: Iterable[tuple[Any, ...]]) -> Sequence[Sequence[Any]]:
    return tuple(zip(*rows, strict=True)) or ((),) * part[1]


#: What becomes of the counselling when its session is over; until then it stays as it is.
_COUNSELING = {Status.COMPLETED: "completed", Status.CANCELLED: "cancelled"}


def _talking_row(change: Change) -> tuple[Any, ...]:
    return change.after.id, change.before.state_version, len(change.messages), change.after.updated_at


def _session_row(change: Change, encryptor: Encryptor) -> tuple[Any, ...]:
    after, reason = change.after, change.cancel_reason
    return (
        after.id,
        change.before.version,
        after.last_seq,
        after.updated_at,
        after.status.value,
        after.started_at,
        after.ended_at,
        after.end_reason,
        _COUNSELING.get(after.status),
        encryptor.encrypt(reason.encode(), after.counseling_id.bytes) if reason is not None else None,
        change.has_spoken(after.client_id) or after.end_reason is EndReason.ENDED_BY_CLIENT,
        change.has_spoken(after.psychologist_id) or after.end_reason is EndReason.ENDED_BY_PSYCHOLOGIST,
    )


def _said_rows(change: Change, encryptor: Encryptor) -> Iterable[tuple[Any, ...]]:
    # The same columns, with the place among the messages of this commit for `seq`.
    for place, row in enumerate(_message_rows(change, encryptor), 1):
        yield row[0], place, *row[2:]


def _message_rows(change: Change, encryptor: Encryptor) -> Iterable[tuple[Any, ...]]:
    for message in change.messages:
        body = encryptor.encrypt(message.text.encode(), message.session_id.bytes)
        yield (
            message.session_id,
            message.seq,
            message.id,
            message.sender_id,
            message.message_type,
            body,
            message.client_message_id,
            message.created_at,
        )


def _attachment_rows(changes: Sequence[Change]) -> Iterable[tuple[Any, ...]]:
    for change in changes:
        for message in change.messages:
            if message.attachment is not None:
                yield message.session_id, message.attachment.id, message.id


def _automation_rows(change: Change) -> Iterable[tuple[Any, ...]]:
    for automation in change.automations:
        yield (
            change.after.id,
            automation.kind.value,
            change.after.schedule_version,
            automation.status.value,
            automation.executed_at,
            automation.lateness_ms,
            automation.reason,
        )


def _timeline_rows(change: Change) -> Iterable[tuple[Any, ...]]:
    for position, entry in enumerate(change.timeline):
        yield (
            change.after.id,
            change.before.version + 1,
            position,
            entry.command_id,
            entry.trigger,
            entry.actor_id,
            entry.source,
            entry.destination,
            entry.planned_at,
            entry.at,
            entry.outcome,
            entry.reason,
        )


_LANDED = """
SELECT command_id AS id FROM timeline WHERE session_id = ANY($1) AND command_id = ANY($2)
UNION
SELECT id FROM messages WHERE session_id = ANY($1) AND id = ANY($2)
"""


async def find_committed(pool: Pool, session_ids: Sequence[UUID], command_ids: Sequence[UUID]) -> set[UUID]:
    """Find out which of the commands were committed after all, by the rows that each of them leaves.

    A command that stores a participant's message has the message's id.
    """
    async with acquire(pool) as connection:
        return await find_committed_on(connection, session_ids, command_ids)


async def find_committed_on(
    connection: Connection, session_ids: Sequence[UUID], command_ids: Sequence[UUID]
) -> set[UUID]:
    """Find out like `find_committed`, on a connection; within a transaction if there is one."""
    rows = await connection.fetch(_LANDED, list(session_ids), list(command_ids))
    return {row["id"] for row in rows}

"""The group commit: the changes of hundreds of sessions in one statement, each behind its own fence.

One statement is one round trip and one transaction. A change whose session has moved on since it was decided
(`version` differs) writes nothing at all, and its neighbours do not notice.

Changes that only add messages have a statement of their own. What they were decided on is everything but the
messages of others, so `state_version` is their fence, and `seq` is given by PostgreSQL: two participants who
talk through two replicas do not lose to each other, unless more was said meanwhile than `Change.slack`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rdchat.domain.audit import AuditEntry, AuditKind
from rdchat.engine.storage import CommitResult
from rdchat.postgres import audit, notifications, outbox, webhooks
from rdchat.postgres import commit_parts as parts
from rdchat.postgres.counselings import encrypted_reason
from rdchat.postgres.data_keys import DataKeyError, KeyOwner, person_owner, session_owner
from rdchat.postgres.messages import message_context, place_context
from rdchat.postgres.pool import acquire
from statemachine import EndReason, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta
    from uuid import UUID

    from rdchat.domain.message import Message
    from rdchat.engine.change import Change
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Encryptor


async def commit(
    pool: Pool,
    changes: Sequence[Change],
    *,
    keys: DataKeys,
    outbox_lease: timedelta,
    endpoints: Sequence[str] = (),
) -> dict[UUID, CommitResult]:
    """Write the changes. Return the sessions whose change is committed; the others lost a race.

    `outbox_lease`: how long this process has for publishing the entries before another may take them over.
    `endpoints`: the webhooks that are told of notifications.
    Raise what asyncpg raises; after a lost connection the outcome is unknown (see `find_committed`). Raise
    DataKeyError, before anything is written, for a session whose row names other people than its key.
    """
    async with acquire(pool) as connection:
        return await write(connection, changes, keys=keys, outbox_lease=outbox_lease, endpoints=endpoints)


async def write(
    connection: Connection,
    changes: Sequence[Change],
    *,
    keys: DataKeys,
    outbox_lease: timedelta,
    endpoints: Sequence[str] = (),
) -> dict[UUID, CommitResult]:
    """Write the changes on a connection, as `commit` does; within a transaction if there is one."""
    entries = [change.outbox_entry for change in changes if change.outbox_entry is not None]
    attached = list(_attachment_rows(changes))
    attachments = _columns(parts.ATTACHMENT, attached) if attached else ()
    own = await _open_keys(connection, changes, keys)
    if all(change.only_talks for change in changes):
        statement = parts.COMMIT_TALK_ATTACHED if attached else parts.COMMIT_TALK
        arguments: Sequence[Any] = (
            *_columns(parts.TALK_SESSION, map(_talking_row, changes)),
            *_columns(parts.TALK_MESSAGE, (row for one in changes for row in _said_rows(one, own))),
            *attachments,
            *_columns(parts.TALK_OUTBOX_ENTRY, map(outbox.message_entry_row, entries)),
        )
    else:
        statement = parts.COMMIT_ALL_ATTACHED if attached else parts.COMMIT_ALL
        told = [new for one in changes for new in one.notifications]
        own |= await keys.ensure(connection, _further_owners(changes, endpoints))
        service = await keys.get_service_key(connection)
        deliveries = await notifications.delivery_rows(connection, told, endpoints=endpoints, encryptors=own)
        arguments = (
            *_columns(parts.SESSION, (_session_row(one, own) for one in changes)),
            *_columns(parts.MESSAGE, (row for one in changes for row in _message_rows(one, own))),
            *_columns(parts.AUTOMATION, (row for one in changes for row in _automation_rows(one))),
            *_columns(parts.TIMELINE, (row for one in changes for row in _timeline_rows(one))),
            *_columns(audit.COMMIT_PART, (row for one in changes for row in _audit_rows(one, service))),
            *_columns(
                parts.NOTIFICATION,
                (notifications.notification_row(new, own) for new in told),
            ),
            *_columns(webhooks.COMMIT_PART, ((new.session_id, *row) for new, row in deliveries)),
            *attachments,
            *_columns(
                parts.OUTBOX_ENTRY, (outbox.entry_row(entry, own[entry.session_id]) for entry in entries)
            ),
        )
    rows = await connection.fetch(statement, *arguments, outbox_lease)
    return {row["id"]: CommitResult(row["version"], row["last_seq"], row["outcome"]) for row in rows}


async def _open_keys(
    connection: Connection, changes: Sequence[Change], keys: DataKeys
) -> dict[UUID, Encryptor]:
    own = await keys.find(connection, [session_owner(change.before) for change in changes])
    if len(own) < len(changes):
        raise DataKeyError(next(change.before.id for change in changes if change.before.id not in own))
    return own


def _further_owners(changes: Sequence[Change], endpoints: Sequence[str]) -> list[KeyOwner]:
    """List whose keys are needed as well: counsellings' for reasons, people's for what they are told."""
    owners = [
        KeyOwner(change.before.counseling_id, change.before.participants)
        for change in changes
        if change.cancel_reason is not None
    ]
    told = {
        new.person_id
        for change in changes
        for new in change.notifications
        if endpoints or new.reason is not None
    }
    return owners + [person_owner(person_id) for person_id in told]


def _columns(part: parts.StatementPart, rows: Iterable[tuple[Any, ...]]) -> Sequence[Sequence[Any]]:
    return tuple(zip(*rows, strict=True)) or ((),) * part[1]


#: What becomes of the counselling when its session is over; until then it stays as it is.
_COUNSELING = {Status.COMPLETED: "completed", Status.CANCELLED: "cancelled"}


def _talking_row(change: Change) -> tuple[Any, ...]:
    before = change.before
    return (
        before.id,
        before.state_version,
        len(change.messages),
        change.after.updated_at,
        before.client_id,
        before.psychologist_id,
        before.last_seq,
        before.last_seq + change.slack,
    )


def _session_row(change: Change, encryptors: Mapping[UUID, Encryptor]) -> tuple[Any, ...]:
    before, after, reason = change.before, change.after, change.cancel_reason
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
        encrypted_reason(after.counseling_id, reason, encryptors) if reason is not None else None,
        change.has_spoken(after.client_id) or after.end_reason is EndReason.ENDED_BY_CLIENT,
        change.has_spoken(after.psychologist_id) or after.end_reason is EndReason.ENDED_BY_PSYCHOLOGIST,
        before.client_id,
        before.psychologist_id,
    )


def _said_rows(change: Change, encryptors: Mapping[UUID, Encryptor]) -> Iterable[tuple[Any, ...]]:
    """Make the rows of messages whose `seq` PostgreSQL gives, with a code for each that it may give."""
    encryptor = encryptors[change.before.id]
    places = range(change.slack + 1)
    for place, message in enumerate(change.messages, 1):
        macs = b"".join(
            encryptor.mac(place_context(message.session_id, message.seq + further, message.id))
            for further in places
        )
        yield message.session_id, place, *_written(message, encryptor), macs, message.seq


def _message_rows(change: Change, encryptors: Mapping[UUID, Encryptor]) -> Iterable[tuple[Any, ...]]:
    encryptor = encryptors[change.before.id]
    for message in change.messages:
        mac = encryptor.mac(place_context(message.session_id, message.seq, message.id))
        yield message.session_id, message.seq, *_written(message, encryptor), mac


def _written(message: Message, encryptor: Encryptor) -> tuple[Any, ...]:
    return (
        message.id,
        message.sender_id,
        message.message_type,
        encryptor.encrypt(message.text.encode(), message_context(message)),
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


def _audit_rows(change: Change, service: Encryptor) -> Iterable[tuple[Any, ...]]:
    for entry in change.timeline:
        # What was called off with the session changed no state.
        if not entry.called_off:
            yield audit.entry_row(
                AuditEntry(
                    at=entry.at,
                    kind=AuditKind.STATE_CHANGED,
                    action=entry.trigger,
                    outcome=entry.destination,
                    actor_id=entry.actor_id,
                    subject_id=change.after.counseling_id,
                    session_id=change.after.id,
                ),
                service,
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

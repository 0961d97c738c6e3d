"""The group commit: the changes of hundreds of sessions in one statement, each behind its own fence.

One statement is one round trip and one transaction. A change whose session has moved on since it was decided
(`version` differs) writes nothing at all, and its neighbours do not notice.

Changes that only add messages have a statement of their own. What they were decided on is everything but the
messages of others, so `state_version` is their fence, and `seq` is given by PostgreSQL: two participants who
talk through two replicas never lose to each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rdchat.database import notifications, outbox, webhooks
from rdchat.database.pool import acquire
from rdchat.engine.storage import Numbers
from statemachine import EndReason, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta
    from uuid import UUID

    from rdchat.database.pool import Connection, Pool
    from rdchat.engine.change import Change
    from rdchat.sealing import Sealer

#: A part of a statement, and how many parameters it has: `{n}` stands for the n-th of them, counted from 0.
_Part = tuple[str, int]

# Rows are locked in one order everywhere, so that two commits never wait for each other in a circle.
_TALK_SESSION: _Part = (
    """
WITH input AS (
    SELECT * FROM unnest({0}::uuid[], {1}::bigint[], {2}::int[], {3}::timestamptz[])
        AS t (id, expected, said, updated_at)
),
locked AS (
    SELECT s.id FROM chat_sessions s JOIN input i ON s.id = i.id AND s.state_version = i.expected
    ORDER BY s.id FOR UPDATE OF s
),
won AS (
    UPDATE chat_sessions s
    SET version = s.version + 1, last_seq = s.last_seq + i.said,
        updated_at = greatest(s.updated_at, i.updated_at)
    FROM input i JOIN locked l ON l.id = i.id
    WHERE s.id = i.id AND s.state_version = i.expected
    RETURNING s.id, s.version, s.last_seq, s.outcome, i.said
)""",
    4,
)
_TALK_MESSAGE: _Part = (
    """
message AS (
    INSERT INTO messages (session_id, seq, id, sender_id, message_type, body, client_message_id, created_at)
    SELECT m.session_id, w.last_seq - w.said + m.place, m.id, m.sender_id, m.message_type, m.body,
           m.client_message_id, m.created_at
    FROM unnest({0}::uuid[], {1}::bigint[], {2}::uuid[], {3}::uuid[], {4}::text[], {5}::bytea[], {6}::text[],
                {7}::timestamptz[])
        AS m (session_id, place, id, sender_id, message_type, body, client_message_id, created_at)
    JOIN won w ON w.id = m.session_id
)""",
    8,
)
_TALK_PARCEL: _Part = (
    """
parcel AS (
    INSERT INTO outbox (session_id, version, id, first_seq, messages, created_at, lease_until)
    SELECT p.session_id, w.version, p.id, w.last_seq - w.said + 1, w.said, p.created_at,
           now() + {3}::interval
    FROM unnest({0}::uuid[], {1}::bigint[], {2}::timestamptz[]) AS p (session_id, id, created_at)
    JOIN won w ON w.id = p.session_id
)""",
    3,
)
_SESSION: _Part = (
    """
WITH input AS (
    SELECT * FROM unnest({0}::uuid[], {1}::bigint[], {2}::bigint[], {3}::timestamptz[], {4}::text[],
                         {5}::timestamptz[], {6}::timestamptz[], {7}::text[], {8}::text[], {9}::bytea[],
                         {10}::boolean[], {11}::boolean[])
        AS t (id, expected, last_seq, updated_at, status, started_at, ended_at, end_reason,
              counseling_status, cancel_reason, client_spoke, psychologist_spoke)
),
locked AS (
    SELECT s.id FROM chat_sessions s JOIN input i ON s.id = i.id AND s.version = i.expected
    ORDER BY s.id FOR UPDATE OF s
),
won AS (
    UPDATE chat_sessions s
    SET version = s.version + 1, state_version = s.version + 1, status = i.status, last_seq = i.last_seq,
        started_at = i.started_at, ended_at = i.ended_at, end_reason = i.end_reason,
        updated_at = i.updated_at,
        outcome = CASE WHEN i.status = 'completed' THEN
            CASE WHEN i.client_spoke OR was_there(s.id, s.client_id)
                 THEN CASE WHEN i.psychologist_spoke OR was_there(s.id, s.psychologist_id)
                           THEN 'held' ELSE 'psychologist_absent' END
                 ELSE CASE WHEN i.psychologist_spoke OR was_there(s.id, s.psychologist_id)
                           THEN 'client_absent' ELSE 'nobody_came' END END END
    FROM input i JOIN locked l ON l.id = i.id
    WHERE s.id = i.id AND s.version = i.expected
    RETURNING s.id, s.version, s.last_seq, s.outcome, s.counseling_id, i.counseling_status, i.cancel_reason,
              i.updated_at
),
counseling AS (
    UPDATE counselings c
    SET status = w.counseling_status, cancel_reason = coalesce(w.cancel_reason, c.cancel_reason),
        updated_at = w.updated_at
    FROM won w
    WHERE c.id = w.counseling_id AND w.counseling_status IS NOT NULL
)""",
    12,
)
_MESSAGE: _Part = (
    """
message AS (
    INSERT INTO messages (session_id, seq, id, sender_id, message_type, body, client_message_id, created_at)
    SELECT m.* FROM unnest({0}::uuid[], {1}::bigint[], {2}::uuid[], {3}::uuid[], {4}::text[], {5}::bytea[],
                           {6}::text[], {7}::timestamptz[])
        AS m (session_id, seq, id, sender_id, message_type, body, client_message_id, created_at)
    WHERE m.session_id IN (SELECT id FROM won)
)""",
    8,
)
_AUTOMATION: _Part = (
    """
automation AS (
    UPDATE automations a
    SET status = u.status, executed_at = u.executed_at, lateness_ms = u.lateness_ms, reason = u.reason
    FROM unnest({0}::uuid[], {1}::text[], {2}::int[], {3}::text[], {4}::timestamptz[], {5}::bigint[],
                {6}::text[])
        AS u (session_id, kind, schedule_version, status, executed_at, lateness_ms, reason)
    WHERE a.session_id = u.session_id AND a.kind = u.kind AND a.schedule_version = u.schedule_version
      AND a.session_id IN (SELECT id FROM won)
)""",
    7,
)
_TIMELINE: _Part = (
    """
line AS (
    INSERT INTO timeline (session_id, version, position, command_id, trigger, actor_id, from_status,
                          to_status, planned_at, at, outcome, reason)
    SELECT t.* FROM unnest({0}::uuid[], {1}::bigint[], {2}::smallint[], {3}::uuid[], {4}::text[], {5}::uuid[],
                           {6}::text[], {7}::text[], {8}::timestamptz[], {9}::timestamptz[], {10}::text[],
                           {11}::text[])
        AS t (session_id, version, position, command_id, trigger, actor_id, from_status, to_status,
              planned_at, at, outcome, reason)
    WHERE t.session_id IN (SELECT id FROM won)
)""",
    12,
)
_NOTIFICATION: _Part = (
    """
notification AS (
    INSERT INTO notifications (session_id, person_id, id, type, title, message, counseling_id, created_at)
    SELECT n.* FROM unnest({0}::uuid[], {1}::uuid[], {2}::uuid[], {3}::text[], {4}::text[], {5}::text[],
                           {6}::uuid[], {7}::timestamptz[])
        AS n (session_id, person_id, id, type, title, message, counseling_id, created_at)
    WHERE n.session_id IN (SELECT id FROM won)
)""",
    8,
)
_PARCEL: _Part = (
    """
parcel AS (
    INSERT INTO outbox (session_id, version, id, events, created_at, lease_until)
    SELECT p.*, now() + {5}::interval
    FROM unnest({0}::uuid[], {1}::bigint[], {2}::bigint[], {3}::bytea[], {4}::timestamptz[])
        AS p (session_id, version, id, events, created_at)
    WHERE p.session_id IN (SELECT id FROM won)
)""",
    5,
)
_ATTACHMENT: _Part = (
    """
attached AS (
    INSERT INTO attachments (session_id, id, message_id, person_id, file_name, content_type, size, width,
                             height, created_at)
    SELECT u.session_id, u.id, u.message_id, a.person_id, a.file_name, a.content_type, a.size, a.width,
           a.height, a.created_at
    FROM unnest({0}::uuid[], {1}::uuid[], {2}::uuid[]) AS u (session_id, id, message_id)
    JOIN won w ON w.id = u.session_id
    LEFT JOIN attachments a ON a.session_id = u.session_id AND a.id = u.id AND a.message_id IS NULL
    -- The row is there, as a rule, and gets its message. One that the cleaner has taken has no name, which
    -- the table refuses: then nothing is committed.
    ON CONFLICT (session_id, id) DO UPDATE SET message_id = excluded.message_id
)""",
    3,
)


def _statement(*parts: _Part) -> str:
    texts, parameters = [], 0
    for text, width in parts:
        texts.append(text.format(*(f"${parameters + n}" for n in range(1, width + 2))))
        parameters += width
    return ",".join(texts) + "\nSELECT id, version, last_seq, outcome FROM won\n"


#: When everybody just talks, as nearly always: less to do, and what others say meanwhile is no conflict.
_COMMIT_TALK: Final = _statement(_TALK_SESSION, _TALK_MESSAGE, _TALK_PARCEL)
_COMMIT_ALL: Final = _statement(
    _SESSION, _MESSAGE, _AUTOMATION, _TIMELINE, _NOTIFICATION, webhooks.COMMIT_PART, _PARCEL
)
#: The same with attachments among the messages. The parcels stay last: the lease follows them.
_COMMIT_TALK_ATTACHED: Final = _statement(_TALK_SESSION, _TALK_MESSAGE, _ATTACHMENT, _TALK_PARCEL)
_COMMIT_ALL_ATTACHED: Final = _statement(
    _SESSION, _MESSAGE, _AUTOMATION, _TIMELINE, _NOTIFICATION, webhooks.COMMIT_PART, _ATTACHMENT, _PARCEL
)


async def commit(
    pool: Pool,
    changes: Sequence[Change],
    *,
    sealer: Sealer,
    outbox_lease: timedelta,
    endpoints: Sequence[str] = (),
) -> dict[UUID, Numbers]:
    """Write the changes. Returns the sessions whose change is committed; the others lost a race.

    `outbox_lease`: how long this process has for publishing the parcels before another may take them over.
    `endpoints`: the webhooks that are told of notifications.
    Raises what asyncpg raises; after a lost connection the outcome is unknown (see `landed`).
    """
    async with acquire(pool) as connection:
        return await write(connection, changes, sealer=sealer, outbox_lease=outbox_lease, endpoints=endpoints)


async def write(
    connection: Connection,
    changes: Sequence[Change],
    *,
    sealer: Sealer,
    outbox_lease: timedelta,
    endpoints: Sequence[str] = (),
) -> dict[UUID, Numbers]:
    """Write the changes on a connection, as `commit` does; within a transaction if there is one."""
    parcels = [change.parcel for change in changes if change.parcel is not None]
    attached = list(_attachment_rows(changes))
    attachments = _columns(_ATTACHMENT, attached) if attached else ()
    if all(change.only_talks for change in changes):
        statement = _COMMIT_TALK_ATTACHED if attached else _COMMIT_TALK
        arguments: Sequence[Any] = (
            *_columns(_TALK_SESSION, map(_talking_row, changes)),
            *_columns(_TALK_MESSAGE, (row for one in changes for row in _said_rows(one, sealer))),
            *attachments,
            *_columns(_TALK_PARCEL, map(outbox.talk_row, parcels)),
        )
    else:
        statement = _COMMIT_ALL_ATTACHED if attached else _COMMIT_ALL
        arguments = (
            *_columns(_SESSION, (_session_row(one, sealer) for one in changes)),
            *_columns(_MESSAGE, (row for one in changes for row in _message_rows(one, sealer))),
            *_columns(_AUTOMATION, (row for one in changes for row in _automation_rows(one))),
            *_columns(_TIMELINE, (row for one in changes for row in _timeline_rows(one))),
            *_columns(
                _NOTIFICATION, (notifications.row(new) for one in changes for new in one.notifications)
            ),
            *_columns(webhooks.COMMIT_PART, _webhook_rows(changes, endpoints, sealer)),
            *attachments,
            *_columns(_PARCEL, (outbox.row(parcel, sealer) for parcel in parcels)),
        )
    rows = await connection.fetch(statement, *arguments, outbox_lease)
    return {row["id"]: Numbers(row["version"], row["last_seq"], row["outcome"]) for row in rows}


def _columns(part: _Part, rows: Iterable[tuple[Any, ...]]) -> Sequence[Sequence[Any]]:
    return tuple(zip(*rows, strict=True)) or ((),) * part[1]


#: What becomes of the counselling when its session is over; until then it stays as it is.
_COUNSELING = {Status.COMPLETED: "completed", Status.CANCELLED: "cancelled"}


def _talking_row(change: Change) -> tuple[Any, ...]:
    return change.after.id, change.before.state_version, len(change.messages), change.after.updated_at


def _session_row(change: Change, sealer: Sealer) -> tuple[Any, ...]:
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
        sealer.seal(reason.encode(), after.counseling_id.bytes) if reason is not None else None,
        change.has_spoken(after.client_id) or after.end_reason is EndReason.ENDED_BY_CLIENT,
        change.has_spoken(after.psychologist_id) or after.end_reason is EndReason.ENDED_BY_PSYCHOLOGIST,
    )


def _said_rows(change: Change, sealer: Sealer) -> Iterable[tuple[Any, ...]]:
    # The same columns, with the place among the messages of this commit for `seq`.
    for place, row in enumerate(_message_rows(change, sealer), 1):
        yield row[0], place, *row[2:]


def _message_rows(change: Change, sealer: Sealer) -> Iterable[tuple[Any, ...]]:
    for message in change.messages:
        body = sealer.seal(message.text.encode(), message.session_id.bytes)
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


def _webhook_rows(
    changes: Sequence[Change], endpoints: Sequence[str], sealer: Sealer
) -> Iterable[tuple[Any, ...]]:
    # Most services have no webhooks: nothing is put into words for nobody.
    for new in (new for change in changes for new in change.notifications if endpoints):
        for row in webhooks.rows(notifications.event(new), endpoints=endpoints, sealer=sealer):
            yield new.session_id, *row


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


async def landed(pool: Pool, session_ids: Sequence[UUID], command_ids: Sequence[UUID]) -> set[UUID]:
    """Find out which of the commands were committed after all, by the rows that each of them leaves.

    A command that stores a participant's message has the message's id.
    """
    async with acquire(pool) as connection:
        return await landed_on(connection, session_ids, command_ids)


async def landed_on(
    connection: Connection, session_ids: Sequence[UUID], command_ids: Sequence[UUID]
) -> set[UUID]:
    """Find out like `landed`, on a connection; within a transaction if there is one."""
    rows = await connection.fetch(_LANDED, list(session_ids), list(command_ids))
    return {row["id"] for row in rows}

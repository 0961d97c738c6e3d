"""The group commit: the changes of hundreds of sessions in one statement, each behind its own fence.

One statement is one round trip and one transaction. A change whose session has moved on since it was decided
(`version` differs) writes nothing at all, and its neighbours do not notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rdchat.database import outbox
from rdchat.database.pool import acquire
from statemachine import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta
    from uuid import UUID

    from rdchat.database.pool import Pool
    from rdchat.engine.change import Change
    from rdchat.sealing import Sealer

_COMMIT = """
WITH input AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::timestamptz[],
                         $6::timestamptz[], $7::text[], $8::timestamptz[], $9::text[], $10::bytea[])
        AS t (id, expected, status, last_seq, started_at, ended_at, end_reason, updated_at,
              counseling_status, cancel_reason)
),
-- Rows are locked in one order everywhere, so that two commits never wait for each other in a circle.
locked AS (
    SELECT s.id FROM chat_sessions s JOIN input i ON s.id = i.id AND s.version = i.expected
    ORDER BY s.id FOR UPDATE OF s
),
won AS (
    UPDATE chat_sessions s
    SET version = s.version + 1, status = i.status, last_seq = i.last_seq, started_at = i.started_at,
        ended_at = i.ended_at, end_reason = i.end_reason, updated_at = i.updated_at
    FROM input i JOIN locked l ON l.id = i.id
    WHERE s.id = i.id AND s.version = i.expected
    RETURNING s.id, s.counseling_id, i.counseling_status, i.cancel_reason, i.updated_at
),
counseling AS (
    UPDATE counselings c
    SET status = w.counseling_status, cancel_reason = coalesce(w.cancel_reason, c.cancel_reason),
        updated_at = w.updated_at
    FROM won w
    WHERE c.id = w.counseling_id AND w.counseling_status IS NOT NULL
),
message AS (
    INSERT INTO messages (session_id, seq, id, sender_id, message_type, body, client_message_id, created_at)
    SELECT m.* FROM unnest($11::uuid[], $12::bigint[], $13::uuid[], $14::uuid[], $15::text[], $16::bytea[],
                           $17::text[], $18::timestamptz[])
        AS m (session_id, seq, id, sender_id, message_type, body, client_message_id, created_at)
    WHERE m.session_id IN (SELECT id FROM won)
),
automation AS (
    UPDATE automations a
    SET status = u.status, executed_at = u.executed_at, lateness_ms = u.lateness_ms, reason = u.reason
    FROM unnest($19::uuid[], $20::text[], $21::int[], $22::text[], $23::timestamptz[], $24::bigint[],
                $25::text[])
        AS u (session_id, kind, schedule_version, status, executed_at, lateness_ms, reason)
    WHERE a.session_id = u.session_id AND a.kind = u.kind AND a.schedule_version = u.schedule_version
      AND a.session_id IN (SELECT id FROM won)
),
line AS (
    INSERT INTO timeline (session_id, version, position, command_id, trigger, actor_id, from_status,
                          to_status, planned_at, at)
    SELECT t.* FROM unnest($26::uuid[], $27::bigint[], $28::smallint[], $29::uuid[], $30::text[], $31::uuid[],
                           $32::text[], $33::text[], $34::timestamptz[], $35::timestamptz[])
        AS t (session_id, version, position, command_id, trigger, actor_id, from_status, to_status,
              planned_at, at)
    WHERE t.session_id IN (SELECT id FROM won)
),
parcel AS (
    INSERT INTO outbox (session_id, version, id, events, created_at, lease_until)
    SELECT p.*, now() + $41::interval
    FROM unnest($36::uuid[], $37::bigint[], $38::bigint[], $39::bytea[], $40::timestamptz[])
        AS p (session_id, version, id, events, created_at)
    WHERE p.session_id IN (SELECT id FROM won)
)
SELECT id FROM won
"""

_SESSION, _MESSAGE, _AUTOMATION, _TIMELINE, _PARCEL = 10, 8, 7, 10, 5


async def commit(
    pool: Pool, changes: Sequence[Change], *, sealer: Sealer, outbox_lease: timedelta
) -> set[UUID]:
    """Write the changes. Returns the ids of the sessions whose change is committed; the others lost a race.

    `outbox_lease`: how long this process has for publishing the parcels before another may take them over.
    Raises what asyncpg raises; after a lost connection the outcome is unknown (see `landed`).
    """
    arguments = (
        *_columns(_SESSION, (_session_row(change, sealer) for change in changes)),
        *_columns(_MESSAGE, (row for change in changes for row in _message_rows(change, sealer))),
        *_columns(_AUTOMATION, (row for change in changes for row in _automation_rows(change))),
        *_columns(_TIMELINE, (row for change in changes for row in _timeline_rows(change))),
        *_columns(_PARCEL, (outbox.row(one.parcel, sealer) for one in changes if one.parcel is not None)),
        outbox_lease,
    )
    async with acquire(pool) as connection:
        rows = await connection.fetch(_COMMIT, *arguments)
    return {row["id"] for row in rows}


def _columns(width: int, rows: Iterable[tuple[Any, ...]]) -> Sequence[Sequence[Any]]:
    return tuple(zip(*rows, strict=True)) or ((),) * width


#: What becomes of the counselling when its session is over; until then it stays as it is.
_COUNSELING = {Status.COMPLETED: "completed", Status.CANCELLED: "cancelled"}


def _session_row(change: Change, sealer: Sealer) -> tuple[Any, ...]:
    after, reason = change.after, change.cancel_reason
    return (
        after.id,
        change.before.version,
        after.status.value,
        after.last_seq,
        after.started_at,
        after.ended_at,
        after.end_reason,
        after.updated_at,
        _COUNSELING.get(after.status),
        sealer.seal(reason.encode(), after.counseling_id.bytes) if reason is not None else None,
    )


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
        rows = await connection.fetch(_LANDED, list(session_ids), list(command_ids))
    return {row["id"] for row in rows}

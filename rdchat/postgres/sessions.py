"""Reading sessions: whole ones for the engine and for people, by id or by participant."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from rdchat.domain.booking import LONGEST
from rdchat.domain.timeline import TimelineEntry
from rdchat.postgres.data_keys import KeyOwner, keys_of
from rdchat.postgres.names import names_in, shown_name
from rdchat.postgres.pool import acquire
from statemachine import (
    OPEN,
    RUN_ORDER,
    Automation,
    AutomationKind,
    AutomationStatus,
    EndReason,
    Session,
    SessionOutcome,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    import asyncpg

    from rdchat.domain.booking import Limits
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Encryptor

# By value: calling an enumeration takes four times as long as looking it up, and a list needs hundreds.
_STATUSES: Final = {one.value: one for one in Status}
_KINDS: Final = {one.value: one for one in AutomationKind}
_AUTOMATION_STATUSES: Final = {one.value: one for one in AutomationStatus}
_END_REASONS: Final = {one.value: one for one in EndReason}
_OUTCOMES: Final = {one.value: one for one in SessionOutcome}

# Automations as JSON: reading them as an array of rows takes four times as long.
_ROWS = """
SELECT s.*, client.sealed_name AS client_sealed, psychologist.sealed_name AS psychologist_sealed,
       c.client_timezone, c.psychologist_timezone,
       (SELECT json_agg(json_build_array(a.kind, a.due_at, a.status, a.executed_at, a.lateness_ms, a.reason))
          FROM automations a
         WHERE a.session_id = s.id AND a.schedule_version = s.schedule_version) AS automations
       {more}
  FROM chat_sessions s
  JOIN people client ON client.id = s.client_id
  JOIN people psychologist ON psychologist.id = s.psychologist_id
  JOIN counselings c ON c.id = s.counseling_id
"""

SESSION = _ROWS.format(more="")
_BY_IDS = SESSION + "WHERE s.id = ANY($1)"

# The earlier one has the place: the same for all who ask, so two that start together never both miss.
# Counted no further than needed.
_PLACES_TAKEN = """
SELECT count(*) FROM (
    SELECT FROM counselings c
     WHERE c.{person} = s.{person} AND c.status = 'pending' AND c.ends_at > s.starts_at
       AND c.starts_at > s.starts_at - interval '1 day'
       AND (c.starts_at, c.id) < (s.starts_at, s.counseling_id)
     LIMIT {limit}
) taken
"""
_TO_RUN = (
    _ROWS.format(
        more=f""",
       s.status = 'pending'
       AND (({_PLACES_TAKEN.format(person="client_id", limit="$2")}) >= $2
            OR ({_PLACES_TAKEN.format(person="psychologist_id", limit="$3")}) >= $3) AS is_over_limit"""
    )
    + "WHERE s.id = ANY($1)"
)

_BY_PERSON = (
    SESSION
    + """
 WHERE (s.client_id = $1 OR s.psychologist_id = $1)
   AND ($2::text[] IS NULL OR s.status = ANY($2))
   AND ($3::timestamptz IS NULL OR (s.starts_at, s.id) < ($3, $4))
 ORDER BY s.starts_at DESC, s.id DESC
 LIMIT $5
"""
)

# The end of one that is late to end is past, and it can still be heard.
_TO_HEAR = """
SELECT id, client_id, psychologist_id, ends_at, status FROM chat_sessions
 WHERE (client_id = $1 OR psychologist_id = $1) AND ended_at IS NULL
   AND starts_at <= $2 AND ends_at > $3 AND starts_at > $3 - $4::interval
 ORDER BY starts_at, id LIMIT $5
"""

_TIMELINE = """
SELECT command_id, trigger, actor_id, from_status, to_status, planned_at, at, outcome, reason
  FROM timeline WHERE session_id = $1 ORDER BY version, position
"""


async def get_sessions(pool: Pool, session_ids: Sequence[UUID]) -> dict[UUID, Session]:
    """Read sessions, each with the automations of its present plan; unknown ids are left out."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_BY_IDS, list(session_ids))
        found = await sessions_from_rows(connection, rows)
    return {session.id: session for session in found}


async def get_sessions_to_run(pool: Pool, session_ids: Sequence[UUID], limits: Limits) -> dict[UUID, Session]:
    """Read sessions for the engine: also whether there is a place for those that are to start."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_TO_RUN, list(session_ids), limits.per_client, limits.per_psychologist)
        names = await names_in(connection, keys_of(connection), rows)
    return {row["id"]: _session(row, names, is_over_limit=row["is_over_limit"]) for row in rows}


async def get_locked_session(connection: Connection, session_id: UUID) -> Session | None:
    """Read one session within a transaction that has locked it."""
    rows = await connection.fetch(_BY_IDS, [session_id])
    return next(iter(await sessions_from_rows(connection, rows)), None)


async def get_session(pool: Pool, session_id: UUID) -> Session | None:
    """Read one session, or None."""
    return (await get_sessions(pool, [session_id])).get(session_id)


async def list_sessions(
    pool: Pool,
    person_id: UUID,
    *,
    statuses: Sequence[Status] | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Session]:
    """List the sessions of a participant, latest start first.

    `before` is the (start, id) of the last one that the caller has seen.
    """
    return await list_page(pool, _BY_PERSON, person_id, statuses=statuses, before=before, limit=limit)


async def list_page(
    pool: Pool,
    query: str,
    person_id: UUID,
    *,
    statuses: Sequence[Status] | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Session]:
    """Read the sessions of a participant in the order of a query: of the person, states, place and limit."""
    at, session_id = before or (None, None)
    wanted = [status.value for status in statuses] if statuses else None
    async with acquire(pool) as connection:
        rows = await connection.fetch(query, person_id, wanted, at, session_id, limit)
        return await sessions_from_rows(connection, rows)


@dataclass(frozen=True, slots=True)
class SessionToHear:
    """A session that is not over, as far as it matters to those who listen."""

    id: UUID
    ends_at: datetime
    is_open: bool
    encryptor: Encryptor


async def list_sessions_to_hear(
    pool: Pool, person_id: UUID, *, starting_by: datetime, ending_after: datetime, limit: int, keys: DataKeys
) -> list[SessionToHear]:
    """List the sessions of a participant that are not over, earliest first; only those whose key opens."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_TO_HEAR, person_id, starting_by, ending_after, LONGEST, limit)
        owners = [KeyOwner(row["id"], (row["client_id"], row["psychologist_id"])) for row in rows]
        opened = await keys.find(connection, owners)
    return [
        SessionToHear(row["id"], row["ends_at"], Status(row["status"]) in OPEN, opened[row["id"]])
        for row in rows
        if row["id"] in opened
    ]


async def list_selected(pool: Pool, selection: str, arguments: Sequence[Any]) -> list[Session]:
    """Read the sessions that the end of a statement selects, about sessions `s` and counsellings `c`."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(SESSION + selection, *arguments)
        return await sessions_from_rows(connection, rows)


async def list_timeline(pool: Pool, session_id: UUID) -> list[TimelineEntry]:
    """Read what happened to a session, in order."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_TIMELINE, session_id)
    return [
        TimelineEntry(
            command_id=row["command_id"],
            trigger=row["trigger"],
            actor_id=row["actor_id"],
            source=row["from_status"],
            destination=row["to_status"],
            planned_at=row["planned_at"],
            at=row["at"],
            outcome=row["outcome"],
            reason=row["reason"],
        )
        for row in rows
    ]


async def sessions_from_rows(connection: Connection, rows: Sequence[asyncpg.Record]) -> list[Session]:
    """Read sessions off rows of `SESSION`, which may have more columns."""
    names = await names_in(connection, keys_of(connection), rows)
    return [_session(row, names) for row in rows]


def _session(row: asyncpg.Record, names: Mapping[UUID, str], *, is_over_limit: bool = False) -> Session:
    return Session(
        id=row["id"],
        counseling_id=row["counseling_id"],
        client_id=row["client_id"],
        client_name=shown_name(names, row["client_id"], row["language"]),
        psychologist_id=row["psychologist_id"],
        psychologist_name=shown_name(names, row["psychologist_id"], row["language"]),
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        status=_STATUSES[row["status"]],
        version=row["version"],
        state_version=row["state_version"],
        last_seq=row["last_seq"],
        schedule_version=row["schedule_version"],
        # The same few in very many sessions.
        language=sys.intern(row["language"]),
        client_timezone=sys.intern(row["client_timezone"]),
        psychologist_timezone=sys.intern(row["psychologist_timezone"]),
        organization_id=row["organization_id"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        end_reason=_END_REASONS[row["end_reason"]] if row["end_reason"] else None,
        outcome=_OUTCOMES[row["outcome"]] if row["outcome"] else None,
        is_over_limit=is_over_limit,
        automations=_automations(row["automations"]),
    )


def _automations(stored: str | None) -> dict[AutomationKind, Automation]:
    if stored is None:
        return {}
    read = {}
    for kind, due_at, status, executed_at, lateness_ms, reason in orjson.loads(stored):
        read[kind] = Automation(
            _KINDS[kind],
            datetime.fromisoformat(due_at),
            _AUTOMATION_STATUSES[status],
            None if executed_at is None else datetime.fromisoformat(executed_at),
            lateness_ms,
            reason,
        )
    # Members of the enumeration are texts, and equal to their values.
    return {kind: read[kind] for kind in RUN_ORDER if kind in read}

"""Sessions in bulk: what thousands of bookings would have written, written by PostgreSQL itself.

A million bookings through HTTP would measure booking. The rows are those that a booking leaves, limits and
constraints included: a client has one session at a time, a psychologist at most five.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from benchmarks.service import data_keys
from rdchat.postgres.data_keys import KeyOwner
from rdchat.postgres.names import seal_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from uuid import UUID


Connection = Any  # asyncpg's, from a pool or not
#: Data keys are written in statements of this size.
_KEYS_AT_ONCE: Final = 10_000

_CROWD = """
CREATE TEMPORARY TABLE crowd AS
SELECT n, gen_random_uuid() AS id, gen_random_uuid() AS counseling_id, gen_random_uuid() AS client_id,
       gen_random_uuid() AS psychologist_id, $2::timestamptz + $3::interval * n / $1 AS starts_at,
       $2::timestamptz + $3::interval * n / $1 + $4::interval AS ends_at,
       $5::interval AS initial_message_lead, $6::interval AS end_warning_lead, $7::timestamptz AS booked_at,
       $8::boolean AS checked
  FROM generate_series(0, $1::int - 1) AS n
"""

# So many sessions in a row have one person.
_SHARE = """
UPDATE crowd SET {person} = first.{person}
  FROM crowd AS first WHERE first.n = crowd.n - crowd.n % $1::int AND crowd.n % $1::int > 0
"""

_ROWS = (
    """
INSERT INTO psychologists (id, timezone, is_active, created_at, updated_at)
SELECT psychologist_id, 'Asia/Jakarta', true, min(booked_at), min(booked_at) FROM crowd
 GROUP BY psychologist_id
""",
    """
INSERT INTO counselings (id, client_id, psychologist_id, method, status, starts_at, ends_at, timezone,
                         local_date, local_start, local_end_date, local_end, client_timezone,
                         psychologist_timezone, client_exclusive, created_at, updated_at)
SELECT counseling_id, client_id, psychologist_id, 'chat', 'pending', starts_at, ends_at, 'UTC',
       starts_at::date, starts_at::time, ends_at::date, ends_at::time, 'UTC', 'UTC',
       checked, booked_at, booked_at
  FROM crowd
""",
    """
INSERT INTO chat_sessions (id, counseling_id, client_id, psychologist_id, status, version, last_seq,
                           schedule_version, language, starts_at, ends_at, created_at, updated_at)
SELECT id, counseling_id, client_id, psychologist_id, 'pending', 0, 0, 1, 'id', starts_at, ends_at,
       booked_at, booked_at
  FROM crowd
""",
    """
INSERT INTO automations (session_id, kind, schedule_version, due_at, status)
SELECT id, kind, 1, due_at, 'scheduled'
  FROM crowd, LATERAL (VALUES ('initial_message', starts_at - initial_message_lead),
                              ('enable_chat', starts_at),
                              ('end_warning', ends_at - end_warning_lead),
                              ('auto_end', ends_at)) AS plan (kind, due_at)
""",
    """
INSERT INTO timeline (session_id, version, position, command_id, trigger, actor_id, from_status,
                      to_status, at)
SELECT id, 0, 0, gen_random_uuid(), 'book', client_id, 'pending', 'pending', booked_at FROM crowd
""",
)

_PEOPLE = """
SELECT client_id, 'client', 'Client ' || min(n) FROM crowd GROUP BY client_id
UNION ALL
SELECT psychologist_id, 'psychologist', 'Psychologist ' || min(n) FROM crowd GROUP BY psychologist_id
"""

_INSERT_PEOPLE = """
WITH made AS (
    INSERT INTO data_keys (owner, kid, wrapped) SELECT t.id, $5, t.wrapped
      FROM unnest($1::uuid[], $4::bytea[]) AS t (id, wrapped)
)
INSERT INTO people (id, role, sealed_name, seen_at)
SELECT t.id, t.role, t.sealed_name, $6
  FROM unnest($1::uuid[], $2::text[], $3::bytea[]) AS t (id, role, sealed_name)
"""

_REMINDERS = """
INSERT INTO reminders (counseling_id, number, lead, due_at, status)
SELECT id, 1, $1::interval, starts_at - $1::interval, 'scheduled' FROM counselings WHERE starts_at = $2
"""


async def insert_people(
    connection: Connection, people: Sequence[tuple[UUID, str, str]], at: datetime
) -> None:
    """Write people who were not seen before: id, role, name."""
    keys = data_keys()
    rows = []
    for person_id, role, name in people:
        wrapped, encryptor = keys.propose(person_id)
        rows.append((person_id, role, seal_name(encryptor, person_id, name), wrapped))
    if rows:
        columns = zip(*rows, strict=True)
        await connection.execute(_INSERT_PEOPLE, *columns, keys.ring.current, at, timeout=600)


async def plant(
    connection: Connection,
    *,
    sessions: int,
    first: datetime,
    spread: timedelta,
    length: timedelta,
    initial_message_lead: timedelta,
    end_warning_lead: timedelta,
    at: datetime,
    checked: bool = True,
    per_client: int = 1,
    per_psychologist: int = 5,
) -> None:
    """Write `sessions` pending sessions that start evenly from `first` on, over `spread`.

    So many in a row have one client, or psychologist.
    `at` is when they were booked. The delay queue is left alone: the reconciler fills it. Unless `checked`,
    PostgreSQL neither follows foreign keys nor compares each session with all others of its client: with a
    million that takes minutes, and is not what is measured.
    """
    async with connection.transaction():
        if not checked:
            await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(
            _CROWD,
            sessions,
            first,
            spread,
            length,
            initial_message_lead,
            end_warning_lead,
            at,
            checked,
            timeout=600,
        )
        for person, share in (("client_id", per_client), ("psychologist_id", per_psychologist)):
            await connection.execute(_SHARE.format(person=person), share, timeout=600)
        people = [(row[0], row[1], row[2]) for row in await connection.fetch(_PEOPLE, timeout=600)]
        for start in range(0, len(people), _KEYS_AT_ONCE):
            await insert_people(connection, people[start : start + _KEYS_AT_ONCE], at)
        for statement in _ROWS:
            await connection.execute(statement, timeout=1800)
        rows = await connection.fetch("SELECT id, client_id, psychologist_id FROM crowd", timeout=600)
        owners = [KeyOwner(row["id"], (row["client_id"], row["psychologist_id"])) for row in rows]
        keys = data_keys()
        for start in range(0, len(owners), _KEYS_AT_ONCE):
            await keys.create(connection, owners[start : start + _KEYS_AT_ONCE])
        await connection.execute("DROP TABLE crowd")
    await connection.execute("ANALYZE", timeout=600)


_OPEN = (
    """
UPDATE chat_sessions SET status = 'active', started_at = $1, updated_at = $1, version = 1, state_version = 1
 WHERE status = 'pending'
""",
    """
UPDATE automations SET status = 'done', executed_at = $1, lateness_ms = 0
 WHERE status = 'scheduled' AND kind IN ('initial_message', 'enable_chat')
""",
)


async def open_all(connection: Connection, at: datetime) -> None:
    """Open all pending sessions, without a word: a crowd that talks at once, without waiting for timers."""
    async with connection.transaction():
        for statement in _OPEN:
            await connection.execute(statement, at, timeout=600)
    await connection.execute("VACUUM ANALYZE", timeout=600)


async def plant_reminders(connection: Connection, starts_at: datetime, lead: timedelta) -> None:
    """Plan a reminder of each counselling that starts at an instant."""
    await connection.execute(_REMINDERS, lead, starts_at)

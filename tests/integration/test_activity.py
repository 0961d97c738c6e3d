"""The list by activity stays fast among many sessions, and costs the commit of a message nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from rdchat.postgres import activity
from tests.support.database_users import planting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rdchat.postgres.pool import Pool

_PEOPLE = """
INSERT INTO people (id, role, seen_at) VALUES ($1, 'psychologist', now()), ($2, 'client', now())
"""
_PSYCHOLOGIST = """
INSERT INTO psychologists (id, timezone, is_active, created_at, updated_at)
VALUES ($1, 'UTC', true, now(), now())
"""
# One a day apart, the last three hundred still to come.
_COUNSELINGS = """
INSERT INTO counselings (id, client_id, psychologist_id, method, status, starts_at, ends_at, timezone,
                         local_date, local_start, local_end, local_end_date, client_timezone,
                         psychologist_timezone, client_exclusive, created_at, updated_at)
SELECT gen_random_uuid(), $2, $1, 'chat', CASE WHEN n > 300 THEN 'completed' ELSE 'pending' END,
       now() + (300 - n) * interval '1 day', now() + (300 - n) * interval '1 day' + interval '1 hour', 'UTC',
       current_date, '12:00', '13:00', current_date, 'UTC', 'UTC', false, now(), now()
  FROM generate_series(1, $3::int) n
"""
_SESSIONS = """
INSERT INTO chat_sessions (id, counseling_id, client_id, psychologist_id, status, version, last_seq,
                           schedule_version, language, starts_at, ends_at, ended_at, created_at, updated_at)
SELECT gen_random_uuid(), id, client_id, psychologist_id, status, 1, 0, 1, 'id', starts_at, ends_at,
       CASE WHEN status = 'completed' THEN ends_at END, starts_at,
       CASE WHEN status = 'completed' THEN ends_at ELSE now() END
  FROM counselings
"""
#: What each commit of a message writes.
_WRITTEN = {"version", "last_seq", "updated_at"}
_INDEXED = """
SELECT DISTINCT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid
 WHERE i.indrelid = 'chat_sessions'::regclass
   AND (a.attnum = ANY(i.indkey) OR pg_get_expr(i.indpred, i.indrelid) ~ ('\\m' || a.attname || '\\M'))
"""
_MANY = 20_000


async def test_no_index_has_what_a_message_writes(database: Pool) -> None:
    async with database.acquire() as connection:
        indexed = {row["attname"] for row in await connection.fetch(_INDEXED)}
    assert {"ended_at", "client_id"} <= indexed
    assert not indexed & _WRITTEN, "an update of these could not stay within its page"


async def test_a_page_reads_little_of_twenty_thousand_sessions(database: Pool) -> None:
    psychologist, client = uuid4(), uuid4()
    async with planting(database) as connection:
        await connection.execute(_PEOPLE, psychologist, client)
        await connection.execute(_PSYCHOLOGIST, psychologist)
        await connection.execute(_COUNSELINGS, psychologist, client, _MANY)
        await connection.execute(_SESSIONS)
        await connection.execute("ANALYZE")
    for person in (psychologist, client):
        before = None
        for _ in range(17):
            found = await activity.list_sessions_by_activity(
                database, person, statuses=None, before=before, limit=20
            )
            assert len(found) == 20
            places = [(activity.activity(one), one.id) for one in found]
            assert places == sorted(places, reverse=True)
            assert before is None or places[0] < before
            before = places[-1]
        assert found[-1].is_over
        for place in (None, before):
            read = await _read(database, person, place)
            assert read < 2_000, f"{read} rows are read for a page of 20"


async def _read(database: Pool, person: UUID, before: Any) -> float:
    """Return how many rows of sessions a page reads."""
    explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {activity._BY_ACTIVITY}"  # noqa: SLF001 - the statement itself
    async with database.acquire() as connection:
        [[plan]] = await connection.fetch(explain, person, None, *(before or (None, None)), 20)
    return sum(
        node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0)
        for node in _nodes(json.loads(plan)[0]["Plan"])
        if node.get("Relation Name") == "chat_sessions"
    )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)

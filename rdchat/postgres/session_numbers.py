"""Numbers of sessions for those who run the service, of all organisations in one statement each.

So what they cost does not grow with how many look. Every statement is led by an index to what it counts: the
planner, which does not know the instants, would else join whole tables. What a row needs of another table is
therefore asked for row by row.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from rdchat.domain.overview import MOST_OPENINGS, LatenessMinute, Opening
from rdchat.postgres.data_keys import keys_of
from rdchat.postgres.names import OF_BOTH, names_in, shown_name
from rdchat.postgres.pool import acquire

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from rdchat.postgres.pool import Pool

    #: A number by organisation; None: of clients of none.
    ByOrganization = Mapping[UUID | None, int]

# These two say what the partial index says, and are answered from it.
_OPEN_CHATS: Final = "c.status = 'pending' AND c.method = 'chat'"

_COUNT_AHEAD: Final = f"""
SELECT c.organization_id, count(*) AS sessions FROM counselings c
 WHERE {_OPEN_CHATS} AND c.starts_at > $1 GROUP BY c.organization_id
"""  # noqa: S608 - constant text

_COUNT_BEGUN: Final = f"""
SELECT begun.organization_id, begun.status, begun.starts_at > $2 AS is_since, count(*) AS sessions
  FROM (SELECT c.organization_id, c.starts_at,
               (SELECT s.status FROM chat_sessions s WHERE s.counseling_id = c.id) AS status
          FROM counselings c WHERE {_OPEN_CHATS} AND c.starts_at <= $1) begun
 GROUP BY 1, 2, 3
"""  # noqa: S608 - constant text

_COUNT_ENDED: Final = """
SELECT organization_id, CASE WHEN status = 'completed' THEN 'completed'
                             WHEN end_reason IN ('missed', 'over_limit') THEN 'missed'
                             ELSE 'cancelled' END AS became, count(*) AS sessions
  FROM chat_sessions WHERE ended_at >= $1 GROUP BY 1, 2
"""

_OPENINGS: Final = f"""
WITH soon AS MATERIALIZED (
    SELECT c.id, c.starts_at, c.psychologist_id, c.client_id FROM counselings c
     WHERE {_OPEN_CHATS} AND c.starts_at > $1 AND c.starts_at <= $2 {{of_organization}}
     ORDER BY c.starts_at LIMIT {MOST_OPENINGS}
)
SELECT soon.*, (SELECT s.id FROM chat_sessions s WHERE s.counseling_id = soon.id) AS session_id,
       (SELECT p.sealed_name FROM people p WHERE p.id = soon.psychologist_id) AS psychologist_sealed
  FROM soon ORDER BY soon.starts_at, soon.id
"""  # noqa: S608 - constant text
_COUNT_OPENINGS: Final = f"""
SELECT count(*) FROM counselings c
 WHERE {_OPEN_CHATS} AND c.starts_at > $1 AND c.starts_at <= $2 {{of_organization}}
"""  # noqa: S608 - constant text
_OF_ALL: Final = ""
_OF_ONE: Final = "AND c.organization_id = $3"

_LATENESS: Final = """
SELECT organization_id, grouping(organization_id) = 1 AS is_total, minute, count(*) AS automations,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY lateness_ms) AS p50,
       percentile_disc(0.99) WITHIN GROUP (ORDER BY lateness_ms) AS p99, max(lateness_ms) AS worst
  FROM (SELECT date_trunc('minute', a.executed_at) AS minute, a.lateness_ms,
               (SELECT s.organization_id FROM chat_sessions s WHERE s.id = a.session_id) AS organization_id
          FROM automations a
         WHERE a.status = 'done' AND a.executed_at > $1 AND a.lateness_ms IS NOT NULL) ran
 GROUP BY GROUPING SETS ((minute), (minute, organization_id)) ORDER BY minute
"""


async def count_ahead(pool: Pool, at: datetime) -> ByOrganization:
    """Count the sessions that start after an instant and were not called off."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_COUNT_AHEAD, at)
    return {row["organization_id"]: row["sessions"] for row in rows}


async def count_begun(pool: Pool, at: datetime, ahead_since: datetime) -> Mapping[str, ByOrganization]:
    """Count the sessions whose start is over and that are not, by their state.

    `opened_since`: those of them that start after `ahead_since` and that are not pending any more. `late`:
    those that start by then, and are pending still.
    """
    async with acquire(pool) as connection:
        rows = await connection.fetch(_COUNT_BEGUN, at, ahead_since)
    counted: dict[str, dict[UUID | None, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        organization, status, sessions = row["organization_id"], row["status"], row["sessions"]
        if status != "pending":
            counted[status][organization] += sessions
        if row["is_since"] != (status == "pending"):
            counted["opened_since" if row["is_since"] else "late"][organization] += sessions
    return counted


async def count_ended(pool: Pool, since: datetime) -> Mapping[str, ByOrganization]:
    """Count what ended from an instant on, by what became of it: `completed`, `cancelled`, `missed`."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_COUNT_ENDED, since)
    counted: dict[str, dict[UUID | None, int]] = defaultdict(dict)
    for row in rows:
        counted[row["became"]][row["organization_id"]] = row["sessions"]
    return counted


async def list_openings(
    pool: Pool, organization_id: UUID | None, at: datetime, until: datetime
) -> tuple[list[Opening], int]:
    """List the sessions that start within a span, MOST_OPENINGS at most, and count them all.

    `organization_id` None: of all clients.
    """
    arguments = (at, until) if organization_id is None else (at, until, organization_id)
    of = _OF_ALL if organization_id is None else _OF_ONE
    async with acquire(pool) as connection:
        rows = await connection.fetch(_OPENINGS.format(of_organization=of), *arguments)
        total = len(rows)
        if total == MOST_OPENINGS:
            total = await connection.fetchval(_COUNT_OPENINGS.format(of_organization=of), *arguments)
        names = await names_in(connection, keys_of(connection), rows, OF_BOTH[1:])
    found = [
        Opening(
            session_id=row["session_id"],
            starts_at=row["starts_at"],
            psychologist_id=row["psychologist_id"],
            psychologist_name=shown_name(names, row["psychologist_id"]),
            client_id=row["client_id"],
        )
        for row in rows
    ]
    return found, total


async def measure_lateness(
    pool: Pool, since: datetime
) -> tuple[list[LatenessMinute], Mapping[UUID | None, list[LatenessMinute]]]:
    """Measure how late the automations were that ran since an instant, minute by minute.

    Return that of all of them, and by organisation; a minute without any is left out.
    """
    async with acquire(pool) as connection:
        rows = await connection.fetch(_LATENESS, since)
    total: list[LatenessMinute] = []
    by_organization: dict[UUID | None, list[LatenessMinute]] = defaultdict(list)
    for row in rows:
        minute = LatenessMinute(row["minute"], row["automations"], row["p50"], row["p99"], row["worst"])
        (total if row["is_total"] else by_organization[row["organization_id"]]).append(minute)
    return total, by_organization

"""The numbers of a report, counted in one statement: in all, and by psychologist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rdchat.domain.report import OrganizationReport, PsychologistTally, Tally
from rdchat.postgres.counselings import STATUS
from rdchat.postgres.data_keys import keys_of
from rdchat.postgres.names import names_in, shown_name
from rdchat.postgres.pool import acquire

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from rdchat.postgres.pool import Pool

# Each counselling becomes exactly one thing. One without chat is held when its time is over, as far as the
# service knows; so is one whose chat was over before it was recorded who attended.
_COUNTED: Final = f"""
WITH counseling AS (
    SELECT c.psychologist_id, c.starts_at - c.created_at AS wait, c.ends_at - c.starts_at AS length,
           s.id IS NULL AS is_without_chat,
           CASE {STATUS}
           WHEN 'pending' THEN 'ahead'
           WHEN 'active' THEN 'under_way'
           WHEN 'completed' THEN coalesce(s.outcome, 'held')
           ELSE CASE coalesce(s.end_reason, c.cancelled_by)
                WHEN 'missed' THEN 'missed'
                WHEN 'over_limit' THEN 'missed'
                WHEN 'client_cancelled' THEN 'cancelled_by_client'
                WHEN 'client' THEN 'cancelled_by_client'
                WHEN 'psychologist_cancelled' THEN 'cancelled_by_psychologist'
                WHEN 'psychologist' THEN 'cancelled_by_psychologist'
                WHEN 'admin_cancelled' THEN 'cancelled_by_administrator'
                WHEN 'administrator' THEN 'cancelled_by_administrator'
                ELSE 'cancelled_by_unknown' END END AS became
      FROM counselings c LEFT JOIN chat_sessions s ON s.counseling_id = c.id
     WHERE c.starts_at >= $2 AND c.starts_at < $3 {{of_organization}}
)
SELECT c.psychologist_id, (SELECT p.sealed_name FROM people p WHERE p.id = c.psychologist_id) AS sealed_name,
       count(*) AS booked,
       count(*) FILTER (WHERE became = 'held') AS held,
       count(*) FILTER (WHERE became = 'client_absent') AS client_absent,
       count(*) FILTER (WHERE became = 'psychologist_absent') AS psychologist_absent,
       count(*) FILTER (WHERE became = 'nobody_came') AS nobody_came,
       count(*) FILTER (WHERE became = 'missed') AS missed,
       count(*) FILTER (WHERE became = 'cancelled_by_client') AS cancelled_by_client,
       count(*) FILTER (WHERE became = 'cancelled_by_psychologist') AS cancelled_by_psychologist,
       count(*) FILTER (WHERE became = 'cancelled_by_administrator') AS cancelled_by_administrator,
       count(*) FILTER (WHERE became = 'cancelled_by_unknown') AS cancelled_by_unknown,
       count(*) FILTER (WHERE became = 'ahead') AS ahead,
       count(*) FILTER (WHERE became = 'under_way') AS under_way,
       count(*) FILTER (WHERE became = 'held' AND is_without_chat) AS presumed,
       floor(coalesce(sum(extract(epoch FROM length))
             FILTER (WHERE became <> 'missed' AND became NOT LIKE 'cancelled%'), 0) / 60)::bigint AS minutes,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY wait) AS median_wait
  FROM counseling c
 GROUP BY GROUPING SETS ((), (c.psychologist_id))
 ORDER BY c.psychologist_id IS NOT NULL
"""  # noqa: S608 - constant text
_OF_ALL: Final = _COUNTED.format(of_organization="")
_OF_ONE: Final = _COUNTED.format(of_organization="AND c.organization_id = $4")


async def count_counselings(
    pool: Pool, organization_id: UUID | None, since: datetime, until: datetime, *, at: datetime
) -> OrganizationReport:
    """Count the counsellings of an organisation that start within a span, as they stand at an instant.

    `organization_id` None: those of all clients.
    """
    async with acquire(pool) as connection:
        if organization_id is None:
            rows = await connection.fetch(_OF_ALL, at, since, until)
        else:
            rows = await connection.fetch(_OF_ONE, at, since, until, organization_id)
        names = await names_in(connection, keys_of(connection), rows, [("psychologist_id", "sealed_name")])
    # The empty set of columns has its row in any case, and it comes first.
    total, *others = rows
    return OrganizationReport(
        since=since,
        until=until,
        organization_id=organization_id,
        total=_tally(total),
        psychologists=tuple(
            sorted(
                (
                    PsychologistTally(
                        row["psychologist_id"], shown_name(names, row["psychologist_id"]), _tally(row)
                    )
                    for row in others
                ),
                key=lambda one: (one.full_name, one.psychologist_id),
            )
        ),
    )


def _tally(row: asyncpg.Record) -> Tally:
    return Tally(**{name: row[name] for name in Tally.__slots__})

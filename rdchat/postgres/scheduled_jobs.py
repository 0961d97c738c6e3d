"""What is scheduled, automations and reminders alike: for the delay queue, and for those who watch it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rdchat.postgres.pool import acquire
from rdchat.redis.delay_queue import KIND_CODES, REMINDER_DELAY_MS, ReminderKind
from statemachine import AutomationKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rdchat.postgres.pool import Pool

_PAGE: Final = 4_000

# A kind without a code, of a newer release perhaps, has no place, and is left to those who know it.
_KIND_CODE: Final = " ".join(f"WHEN '{kind}' THEN {KIND_CODES[kind]}" for kind in AutomationKind)
#: Of each: where its rows are, its id, what tells it from others of that id - the last three bytes of a
#: member -, and how much later than its instant it is due in the queue.
_SOURCES: Final = (
    ("automations", "session_id", f"(CASE kind {_KIND_CODE} END << 16) + (schedule_version & 65535)", 0),
    (
        "reminders",
        "counseling_id",
        f"({KIND_CODES[ReminderKind.REMINDER]} << 16) + (number & 65535)",
        REMINDER_DELAY_MS,
    ),
)

# The member is what `Job.member` of the delay queue writes: Python takes too long for millions.
_WAITING_OF = """
    (SELECT {identity} AS id, {tail} AS tail, due_at,
            floor(extract(epoch FROM due_at) * 1000)::bigint + {delay_ms} AS due_ms
       FROM {table}
      WHERE status = 'scheduled' AND (due_at, {identity}, {tail}) > ($1, $2, $3) AND due_at <= $4
      ORDER BY due_at, {identity}, {tail} LIMIT $5)"""
_WAITING = f"""
SELECT *, uuid_send(id) || substring(int4send(tail) FROM 2) AS member
  FROM ({
    " UNION ALL ".join(
        _WAITING_OF.format(table=table, identity=identity, tail=tail, delay_ms=delay_ms)
        for table, identity, tail, delay_ms in _SOURCES
    )
}) jobs
 ORDER BY due_at, id, tail LIMIT $5
"""  # noqa: S608 - constant text

#: No one needs to know how many thousands.
OVERDUE_COUNTED: Final = 1_000

# What has failed before is waiting for its next attempt: something else is at fault then, not the timers.
_OVERDUE_OF = """
    (SELECT due_at FROM {table}
      WHERE status = 'scheduled' AND attempts = 0 AND due_at <= $1 ORDER BY due_at LIMIT $2)"""
_OVERDUE = f"""
SELECT count(*) AS jobs, min(due_at) AS oldest
  FROM (SELECT due_at FROM ({" UNION ALL ".join(_OVERDUE_OF.format(table=table) for table, *_ in _SOURCES)}
       ) late ORDER BY due_at LIMIT $2) counted
"""  # noqa: S608 - constant text

_NO_ID = "00000000-0000-0000-0000-000000000000"
#: Behind every one that has a code.
_LAST_TAIL: Final = 2**31 - 1
#: Before everything that was ever due.
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def list_scheduled(
    pool: Pool, *, after: datetime, until: datetime
) -> AsyncIterator[list[tuple[bytes, int]]]:
    """Page through what is scheduled after `after` and up to `until`, earliest first.

    Yields lists of (member of the delay queue, its due instant there in ms).
    """
    # What is due exactly then was on the page before, or is found by the next look at what is near.
    position = (after, _NO_ID, -1)
    while True:
        async with acquire(pool) as connection:
            rows = await connection.fetch(_WAITING, *position, until, _PAGE)
        if rows:
            yield [(row["member"], row["due_ms"]) for row in rows if row["member"] is not None]
        if len(rows) < _PAGE:
            return
        last = rows[-1]
        position = (last["due_at"], last["id"], last["tail"] if last["tail"] is not None else _LAST_TAIL)


async def count_overdue(pool: Pool, before: datetime) -> tuple[int, datetime | None]:
    """Count what was due before an instant and was never tried, up to OVERDUE_COUNTED.

    Return the count, and when the oldest of it was due.
    """
    async with acquire(pool) as connection:
        row = await connection.fetchrow(_OVERDUE, before, OVERDUE_COUNTED)
    return (row["jobs"], row["oldest"]) if row is not None else (0, None)

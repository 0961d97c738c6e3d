"""Lists of counsellings: of one person's, and for those who oversee them of all, or of an organisation's.

Those who oversee find sessions through their counsellings as well: an index of sessions by where they stand
would be written at every step of every session, one of counsellings is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rdchat.postgres import sessions
from rdchat.postgres.counselings import COUNSELING, STATUS, counselings_from_rows
from rdchat.postgres.pool import acquire
from statemachine import OPEN, Status

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.domain.counseling import Counseling, CounselingFilter
    from rdchat.postgres.pool import Connection, Pool
    from statemachine import Session

#: What is known of the row of each counselling that stands somewhere, so that an index leads past all others.
#: Nothing is open for so long after its start, not even where the service was away for weeks.
_NOT_LONG_AGO: Final = "c.status = 'pending' AND c.starts_at > $1::timestamptz - interval '31 days'"
_ROW_OF: Final = {
    "pending": _NOT_LONG_AGO,
    "active": f"{_NOT_LONG_AGO} AND c.starts_at <= $1",
    "completed": "c.status <> 'cancelled' AND c.starts_at <= $1",
    "cancelled": "c.status = 'cancelled'",
}


_COUNT: Final = "SELECT count(*) FROM counselings WHERE client_id = $1 OR psychologist_id = $1"


async def list_counselings(
    pool: Pool, part: CounselingFilter, *, person_id: UUID | None, at: datetime
) -> list[Counseling]:
    """List counsellings as they stand at an instant, latest start first. `person_id` None: anyone's."""
    selection = _Selection(at)
    if person_id is not None:
        selection.add("(c.client_id = {0} OR c.psychologist_id = {0})", person_id)
    if part.status is not None:
        selection.add(_ROW_OF[part.status])
        selection.add(f"{STATUS} = {{0}}", part.status)
    selection.narrow(part)
    async with acquire(pool) as connection:
        rows = await connection.fetch(
            COUNSELING + selection.text(part.limit, part.offset), *selection.arguments
        )
        return await counselings_from_rows(connection, rows)


async def count_counselings(pool: Pool, person_id: UUID) -> int:
    """Count the counsellings of a person."""
    async with acquire(pool) as connection:
        count: int = await connection.fetchval(_COUNT, person_id)
    return count


async def list_pending(connection: Connection, psychologist_id: UUID, *, at: datetime) -> list[Counseling]:
    """List all that a psychologist has ahead at an instant, earliest first, within a transaction."""
    selection = _Selection(at)
    selection.add("c.psychologist_id = {0}", psychologist_id)
    selection.add(_ROW_OF[Status.PENDING])
    selection.add(f"{STATUS} = {{0}}", Status.PENDING)
    text = COUNSELING + selection.conditions() + " ORDER BY c.starts_at, c.id"
    return await counselings_from_rows(connection, await connection.fetch(text, *selection.arguments))


async def list_sessions(pool: Pool, part: CounselingFilter, *, at: datetime) -> list[Session]:
    """List anyone's sessions, by the part of the counsellings; `part.status` is the session's."""
    selection = _Selection(at)
    if part.status is not None:
        selection.add(_ROW_OF["active" if part.status in OPEN else part.status])
        selection.add("s.status = {0}", Status(part.status).value)
    selection.narrow(part)
    return await sessions.list_selected(pool, selection.text(part.limit), selection.arguments)


class _Selection:
    """The conditions of a statement about counsellings `c`, and its parameters; `$1` is the instant."""

    def __init__(self, at: datetime) -> None:
        self.arguments: list[Any] = [at]
        # Some statements need the instant, and PostgreSQL each parameter's type.
        self._conditions = ["$1::timestamptz IS NOT NULL"]
        self._order = "c.starts_at DESC, c.id DESC"

    def add(self, condition: str, *arguments: object) -> None:
        """Add a condition; `{0}` stands for the first of the arguments."""
        places = [f"${len(self.arguments) + number}" for number in range(1, len(arguments) + 1)]
        self._conditions.append(condition.format(*places))
        self.arguments += arguments

    def narrow(self, part: CounselingFilter) -> None:
        """Add the conditions of a part of the counsellings, but for where they stand."""
        is_personal = part.client_id is not None or part.psychologist_id is not None
        if part.organization_id is not None and is_personal:
            self.add("c.organization_id = {0}", part.organization_id)
        elif part.organization_id is not None:
            self._narrow_to_organization(part.organization_id, part)
        for condition, value in (
            ("c.client_id = {0}", part.client_id),
            ("c.psychologist_id = {0}", part.psychologist_id),
            ("c.starts_at >= {0}", part.since),
            ("c.starts_at < {0}", part.until),
        ):
            if value is not None:
                self.add(condition, value)
        if part.before is not None:
            self.add("(c.starts_at, c.id) < ({0}, {1})", *part.before)

    def _narrow_to_organization(self, organization_id: UUID, part: CounselingFilter) -> None:
        """Have an organisation's counsellings read from its part of the index, from one place to another.

        Said as an equality, the plan would be that for an organisation of average size: the index of all
        counsellings by start, which for a small one among large ones leads past all that there are.
        """
        self._order = f"c.organization_id DESC, {self._order}"
        since = "coalesce({1}::timestamptz, '-infinity')"
        self.add(f"(c.organization_id, c.starts_at) >= ({{0}}, {since})", organization_id, part.since)
        if part.before is not None:
            self.add(
                "(c.organization_id, c.starts_at, c.id) < ({0}, {1}, {2})", organization_id, *part.before
            )
        else:
            until = "coalesce({1}::timestamptz, 'infinity')"
            self.add(f"(c.organization_id, c.starts_at) < ({{0}}, {until})", organization_id, part.until)

    def conditions(self) -> str:
        """Return what is selected."""
        conditions = "\n   AND ".join(self._conditions)
        return f" WHERE {conditions}\n"

    def text(self, limit: int, offset: int = 0) -> str:
        """Return the end of a statement: what is selected, in which order, how many and from where."""
        self.arguments.append(limit)
        text = f"{self.conditions()} ORDER BY {self._order}\n LIMIT ${len(self.arguments)}"
        return f"{text} OFFSET {offset:d}" if offset else text

"""Lists of a person's counsellings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rdchat.postgres.counselings import COUNSELING, STATUS, counseling_from_row
from rdchat.postgres.pool import acquire

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.domain.counseling import Counseling, CounselingFilter
    from rdchat.postgres.pool import Pool

_BY_PERSON: Final = (
    COUNSELING
    + f"""
 WHERE (c.client_id = $2 OR c.psychologist_id = $2)
   AND ($3::text IS NULL OR {STATUS} = $3)
   AND c.starts_at >= coalesce($4, '-infinity'::timestamptz)
   AND c.starts_at < coalesce($5, 'infinity'::timestamptz)
   AND ($6::timestamptz IS NULL OR (c.starts_at, c.id) < ($6, $7))
 ORDER BY c.starts_at DESC, c.id DESC
 LIMIT $8
"""
)


async def list_counselings(
    pool: Pool, person_id: UUID, part: CounselingFilter, *, at: datetime
) -> list[Counseling]:
    """List a person's counsellings as they stand at an instant, latest start first."""
    start, counseling_id = part.before or (None, None)
    async with acquire(pool) as connection:
        rows = await connection.fetch(
            _BY_PERSON,
            at,
            person_id,
            part.status,
            part.since,
            part.until,
            start,
            counseling_id,
            part.limit,
        )
    return [counseling_from_row(row) for row in rows]

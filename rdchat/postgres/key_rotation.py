"""Which keys of the ring are in use, and wrapping data keys again with the current one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rdchat.postgres.pool import acquire, transaction

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Pool

_STATUS: Final = """
SELECT coalesce(e.kid, k.kid) AS kid, e.check_value, e.created_at, coalesce(k.data_keys, 0) AS data_keys
  FROM encryption_keys e
  FULL JOIN (SELECT kid, count(*) AS data_keys FROM data_keys GROUP BY kid) k ON k.kid = e.kid
 ORDER BY e.created_at, kid
"""

# A key of the settings is noted again at the next start.
_FORGET_UNUSED: Final = """
DELETE FROM encryption_keys e
 WHERE e.kid <> ALL($1) AND NOT EXISTS (SELECT FROM data_keys k WHERE k.kid = e.kid)
"""


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A key of the ring and how many data keys it wraps.

    `state`: `current`, `held` (opens what it wraps), `retired` (wraps nothing, and is not in the settings),
    `missing` from the settings, or `wrong`: another one of this name. `since`: when a replica had it first.
    """

    kid: str
    state: str
    data_keys: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What became of data keys that another key had wrapped: now under the current one, or not opened."""

    done: int
    failed: int


async def list_key_uses(pool: Pool, keys: DataKeys) -> list[KeyUse]:
    """List the keys that the database or the settings know, the oldest first."""
    ring = keys.ring
    async with acquire(pool) as connection:
        rows = await connection.fetch(_STATUS)
    uses = []
    for row in rows:
        kid = row["kid"]
        if kid not in ring.kids:
            state = "missing" if row["data_keys"] else "retired"
        elif row["check_value"] not in (None, ring.check_value(kid)):
            state = "wrong"
        else:
            state = "current" if kid == ring.current else "held"
        uses.append(KeyUse(kid, state, row["data_keys"], row["created_at"]))
    known = {one.kid for one in uses}
    unknown = [kid for kid in ring.kids if kid not in known]
    return uses + [KeyUse(kid, "current" if kid == ring.current else "held", 0, None) for kid in unknown]


async def rewrap(pool: Pool, keys: DataKeys, *, progress: Callable[[int], None]) -> Rewrapped:
    """Wrap all data keys with the current key of the ring, while the service runs.

    In pages, each a transaction: it can be interrupted at any time, and goes on where it was. `progress` is
    told how many are done. Keys of the ring that wrap nothing any more, and that the settings no longer have,
    are forgotten.
    """
    done = failed = 0
    after = None
    while True:
        async with transaction(pool) as connection:
            page = await keys.rewrap_page(connection, after=after)
        done, failed = done + page.done, failed + page.failed
        progress(done)
        if page.last is None:
            break
        after = page.last
    async with acquire(pool) as connection:
        # The service's role may not: a key that is noted is how a replica with another one is found out.
        if await connection.fetchval("SELECT has_table_privilege('encryption_keys', 'DELETE')"):
            await connection.execute(_FORGET_UNUSED, keys.ring.kids)
    return Rewrapped(done, failed)

"""Destroying data keys for good, and telling a key that was destroyed from one that someone has taken away.

In the place of a key that was destroyed stands a row in `destroyed_keys`, with a code that only the service
can make. Whatever the key had encrypted is unreadable from then on, and that is no alarm.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from rdchat.postgres.pool import acquire
from rdchat.security.encryption import context

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from uuid import UUID

    from rdchat.postgres.pool import Connection, Pool
    from rdchat.security.encryption import Encryptor

_DELETE: Final = "DELETE FROM data_keys WHERE owner = ANY($1) RETURNING owner, kid"

# A person who has come back has a new key, which may be destroyed as well.
_MARK: Final = """
INSERT INTO destroyed_keys (owner, kind, kid, mac, erasure_id, change)
SELECT d.owner, d.kind, d.kid, d.mac, $5, $6
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[]) AS d (owner, kind, kid, mac)
ON CONFLICT (owner) DO UPDATE
   SET kid = excluded.kid, mac = excluded.mac, erasure_id = excluded.erasure_id, change = excluded.change,
       destroyed_at = excluded.destroyed_at
"""

_FIND: Final = "SELECT owner, kind, erasure_id, mac FROM destroyed_keys WHERE owner = ANY($1)"

_SINCE: Final = "SELECT owner FROM destroyed_keys WHERE change > $1 AND change <= $2"


class OwnerKind(StrEnum):
    """What a data key belonged to."""

    SESSION = "session"
    COUNSELING = "counseling"
    PERSON = "person"


async def destroy_keys(
    connection: Connection,
    owners: Mapping[UUID, OwnerKind],
    *,
    erasure_id: UUID,
    change: int,
    service_key: Encryptor,
) -> set[UUID]:
    """Destroy the data keys of owners, in the open transaction. Return those that had one.

    `change` is the number by which replicas learn of it (see `rdchat.postgres.access_rules`).
    """
    gone = {row["owner"]: row["kid"] for row in await connection.fetch(_DELETE, list(owners))}
    if gone:
        await connection.execute(
            _MARK,
            list(gone),
            [owners[owner].value for owner in gone],
            list(gone.values()),
            [service_key.mac(_context(owner, owners[owner], erasure_id)) for owner in gone],
            erasure_id,
            change,
        )
    return set(gone)


async def find_destroyed(
    connection: Connection, owners: Collection[UUID]
) -> dict[UUID, tuple[OwnerKind, UUID, bytes]]:
    """Find what stands in the place of keys: what each belonged to, its erasure, and a code to verify."""
    rows = await connection.fetch(_FIND, list(owners))
    return {row["owner"]: (OwnerKind(row["kind"]), row["erasure_id"], row["mac"]) for row in rows}


def is_genuine(owner: UUID, kind: OwnerKind, erasure_id: UUID, mac: bytes, *, service_key: Encryptor) -> bool:
    """Tell whether it was the service that has destroyed a key."""
    return service_key.has_mac(mac, _context(owner, kind, erasure_id))


async def list_destroyed_since(pool: Pool, since: int, until: int) -> list[UUID]:
    """List the owners whose keys were destroyed by the changes after `since`, up to `until`."""
    async with acquire(pool) as connection:
        return [row["owner"] for row in await connection.fetch(_SINCE, since, until)]


def _context(owner: UUID, kind: OwnerKind, erasure_id: UUID) -> bytes:
    return context("destroyed data key", owner, kind.value, erasure_id)

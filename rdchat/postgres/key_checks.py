"""Whether a replica has the keys that this database's data keys are wrapped with.

With a key that is missing or of another value it could not read what others write, nor they what it writes:
it does not start. The database holds a check value of each key, which says nothing of the key itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rdchat.common.errors import ErrorCode, RdchatError

if TYPE_CHECKING:
    from rdchat.postgres.pool import Connection
    from rdchat.security.encryption import KeyRing

_KNOWN: Final = """
SELECT e.kid, e.check_value, EXISTS (SELECT FROM data_keys k WHERE k.kid = e.kid) AS is_used
  FROM encryption_keys e ORDER BY e.created_at, e.kid
"""

_ADD: Final = """
INSERT INTO encryption_keys (kid, check_value) SELECT * FROM unnest($1::text[], $2::bytea[])
ON CONFLICT (kid) DO NOTHING
"""


class WrongKeyError(RdchatError):
    """The encryption keys of this replica are not those of its database. The text says which."""

    def __init__(self, text: str) -> None:
        super().__init__(ErrorCode.INTERNAL, text)


async def find_wrong_keys(connection: Connection, ring: KeyRing) -> list[str]:
    """Return what is wrong with the keys of a ring, a sentence each: nothing, as a rule."""
    if not await connection.fetchval("SELECT to_regclass('encryption_keys') IS NOT NULL"):
        return []  # nothing was migrated, so nothing is encrypted yet
    wrong = []
    for row in await connection.fetch(_KNOWN):
        kid = row["kid"]
        if kid not in ring.kids:
            if row["is_used"]:
                wrong.append(f"the key {kid!r} is missing: what is encrypted with it could not be read")
        elif ring.check_value(kid) != row["check_value"]:
            wrong.append(f"the key {kid!r} is not the one that this database was written with")
    return wrong


async def is_new(connection: Connection, kid: str) -> bool:
    """Tell whether a key wraps nothing yet."""
    used: bool = await connection.fetchval("SELECT EXISTS (SELECT FROM data_keys WHERE kid = $1)", kid)
    return not used


async def check_ring(connection: Connection, ring: KeyRing) -> None:
    """See that the keys are this database's, and note those that are new. Raise WrongKeyError."""
    # Added first: of two replicas that bring two keys of one name at the same time, one finds the other's.
    await connection.execute(_ADD, ring.kids, [ring.check_value(kid) for kid in ring.kids])
    wrong = await find_wrong_keys(connection, ring)
    if wrong:
        raise WrongKeyError("; ".join(["RDCHAT_ENCRYPTION_KEYS does not fit this database", *wrong]))

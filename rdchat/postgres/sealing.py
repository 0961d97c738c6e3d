"""Sealing the names of a database that was written before names were sealed, between two migrations.

It can be interrupted at any time, and goes on where it was: what is readable is what is left to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from rdchat.postgres.data_keys import person_owner
from rdchat.postgres.key_checks import check_ring
from rdchat.postgres.names import seal_email, seal_name

if TYPE_CHECKING:
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Connection

log = structlog.get_logger(__name__)

_PAGE: Final = 500
_SECONDS: Final = 60.0

_READABLE: Final = """
SELECT id, full_name, email FROM people WHERE (full_name IS NOT NULL OR email IS NOT NULL)
   AND ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2 FOR NO KEY UPDATE
"""

# What a replica of before has written beside what is sealed may be the name alone.
_SEAL: Final = """
UPDATE people p SET sealed_name = coalesce(t.name, p.sealed_name),
       sealed_email = coalesce(t.email, p.sealed_email), full_name = NULL, email = NULL
  FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS t (id, name, email) WHERE p.id = t.id
"""


async def has_readable_names(connection: Connection) -> bool:
    """Tell whether there is a name, or an address, that is not sealed."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM people WHERE full_name IS NOT NULL OR email IS NOT NULL)",
        timeout=_SECONDS,
    )
    return found


async def seal_names(connection: Connection, keys: DataKeys) -> int:
    """Seal all names, in pages of a transaction each. Return how many people have one.

    Raise WrongKeyError, and DataKeyError for a person whose key does not open.
    """
    await check_ring(connection, keys.ring)
    done, after = 0, None
    while True:
        async with connection.transaction(isolation="read_committed"):
            rows = await connection.fetch(_READABLE, after, _PAGE, timeout=_SECONDS)
            if not rows:
                return done
            encryptors = await keys.ensure(connection, [person_owner(row["id"]) for row in rows])
            sealed = [
                (
                    row["id"],
                    None if (name := row["full_name"]) is None else seal_name(encryptor, row["id"], name),
                    seal_email(encryptor, row["id"], row["email"]),
                )
                for row in rows
                for encryptor in [encryptors[row["id"]]]
            ]
            await connection.execute(_SEAL, *zip(*sealed, strict=True), timeout=_SECONDS)
        done, after = done + len(rows), rows[-1]["id"]
        log.info("names sealed", people=done)

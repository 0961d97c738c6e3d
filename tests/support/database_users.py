"""The roles that tests connect as: the service's, as it does itself, and the owner's, to plant things."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from rdchat.postgres import pool
from rdchat.postgres.database_roles import DatabaseRole, roles_script, run_script
from rdchat.postgres.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rdchat.postgres.pool import Pool

# A server that tests are pointed to may ask for passwords; the embedded one does not.
OWNER = DatabaseRole("rdchat_owner", "guards nothing but tests, of tables")
SERVICE = DatabaseRole("rdchat_service", "guards nothing but tests, of rows")


def as_owner(url: str) -> str:
    """The address of the same database for the owner of its tables."""
    return _as_role(url, OWNER)


def as_service(url: str) -> str:
    """The address of the same database for the service."""
    return _as_role(url, SERVICE)


def _as_role(url: str, role: DatabaseRole) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{role.name}:{(role.password or '').replace(' ', '%20')}@{rest.partition('@')[2]}"


async def make_tables(admin_url: str) -> None:
    """Make both roles in an empty database, and the tables as their owner."""
    await run_script(admin_url, roles_script(OWNER, SERVICE))
    # Tests plant rows that refer to nothing, and see who waits for whom.
    await run_script(
        admin_url,
        f"GRANT SET ON PARAMETER session_replication_role TO {OWNER.name};"
        f"GRANT pg_read_all_stats TO {OWNER.name}",
    )
    database = await pool.connect(as_owner(admin_url))
    await migrate(database)
    await pool.close(database)


@asynccontextmanager
async def planting(pool: Pool) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Connect to a pool's database as the owner of its tables, who may do what the service could not."""
    # A pool does not say where it leads; there is no other way from a running service to its database.
    connection = await asyncpg.connect(as_owner(pool._connect_args[0]))  # type: ignore[attr-defined]  # noqa: SLF001
    try:
        yield connection
    finally:
        await connection.close()

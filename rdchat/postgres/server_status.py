"""How PostgreSQL is, as one replica sees it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from rdchat.domain.overview import PostgresqlStatus
from rdchat.postgres.pool import acquire

if TYPE_CHECKING:
    from rdchat.postgres.pool import Pool

_CONNECTIONS: Final = """
SELECT (SELECT numbackends FROM pg_stat_database WHERE datname = current_database()) AS used,
       current_setting('max_connections')::int AS most
"""


async def measure_server(pool: Pool) -> PostgresqlStatus:
    """Ask PostgreSQL how it is. Raise UnavailableError."""
    loop = asyncio.get_running_loop()
    async with acquire(pool) as connection:
        asked = loop.time()
        await connection.execute("SELECT 1")
        latency = loop.time() - asked
        row = await connection.fetchrow(_CONNECTIONS)
    return PostgresqlStatus(
        latency_ms=latency * 1000,
        connections=row["used"] if row is not None else 0,
        most_connections=row["most"] if row is not None else 0,
        pool_open=pool.get_size(),
        pool_idle=pool.get_idle_size(),
        pool_most=pool.get_max_size(),
    )

"""What lies in the database, as one who has stolen it would search it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rdchat.postgres.pool import Pool

_COLUMNS = """
SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c
  JOIN information_schema.tables t USING (table_schema, table_name)
 WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE'
 ORDER BY c.table_name, c.column_name
"""


async def plaintext_in_database(pool: Pool, text: str) -> list[str]:
    """Find the columns, of all tables, in which a text can be read: as text, and as bytes."""
    found = []
    async with pool.acquire() as connection:
        for table, column, kind in await connection.fetch(_COLUMNS):
            if kind == "bytea":
                # Names of tables and columns come from the database itself.
                query = f'SELECT EXISTS (SELECT FROM "{table}" WHERE position($1 IN "{column}") > 0)'  # noqa: S608
                wanted: str | bytes = text.encode()
            else:
                query = f'SELECT EXISTS (SELECT FROM "{table}" WHERE position($1 IN "{column}"::text) > 0)'  # noqa: S608
                wanted = text
            if await connection.fetchval(query, wanted):
                found.append(f"{table}.{column}")
    return found

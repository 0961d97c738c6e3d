"""Copying a database into another, table by table, as a dump that is restored."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Collection

#: What is backed up apart from the data, and more often: keys, what became of them, and what must stay.
KEYS: Final = ("data_keys", "encryption_keys", "erasures", "destroyed_keys", "legal_holds")
_TABLES: Final = """
SELECT relname FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'migrations' ORDER BY relname
"""


async def copy_tables(source_url: str, target_url: str, *, only: Collection[str] | None = None) -> None:
    """Replace tables of one database by those of another with the same schema; both as their owner."""
    source, target = await asyncpg.connect(source_url), await asyncpg.connect(target_url)
    try:
        # Rows come as they are, whatever they refer to.
        await target.execute("SET session_replication_role = replica")
        for (table,) in await source.fetch(_TABLES):
            if only is not None and table not in only:
                continue
            content = io.BytesIO()
            await source.copy_from_table(table, output=content, format="binary")
            content.seek(0)
            await target.execute(f'DELETE FROM "{table}"')  # noqa: S608 - a table's name
            await target.copy_to_table(table, source=content, format="binary")
    finally:
        await source.close()
        await target.close()

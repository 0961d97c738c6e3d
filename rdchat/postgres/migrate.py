"""Migrations: numbered SQL files, each applied once, in order, in a transaction of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rdchat.postgres.pool import acquire

if TYPE_CHECKING:
    from rdchat.postgres.pool import Pool

_DIRECTORY = Path(__file__).parent / "migrations"
#: Replicas that start together take turns. The number is arbitrary and only has to be the same in all.
_LOCK = 0x72_64_63_68
#: A large table takes its time; other statements are given up after seconds.
_SECONDS = 3600.0


async def migrate(pool: Pool) -> list[str]:
    """Bring the schema up to date. Return the names of the migrations that were applied now."""
    applied_now: list[str] = []
    async with acquire(pool) as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK, timeout=_SECONDS)
        try:
            await connection.execute(
                "CREATE TABLE IF NOT EXISTS migrations "
                "(name text PRIMARY KEY, applied_at timestamptz NOT NULL)"
            )
            done = {row["name"] for row in await connection.fetch("SELECT name FROM migrations")}
            for path in sorted(_DIRECTORY.glob("*.sql")):
                if path.stem in done:
                    continue
                async with connection.transaction(isolation="read_committed"):
                    await connection.execute(path.read_text(encoding="utf-8"), timeout=_SECONDS)
                    await connection.execute("INSERT INTO migrations VALUES ($1, now())", path.stem)
                applied_now.append(path.stem)
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    return applied_now

"""Migrations: numbered SQL files, each applied once, in order, in a transaction of its own.

Where SQL is not enough, the program does its part before one of them (`_seal_names`).

The owner of the tables applies them. A service that connects as another role only looks whether they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.postgres.data_keys import keys_of
from rdchat.postgres.grants import renew_grants
from rdchat.postgres.pool import acquire
from rdchat.postgres.sealing import has_readable_names, seal_names

if TYPE_CHECKING:
    import asyncpg

    from rdchat.postgres.pool import Connection, Pool

_DIRECTORY = Path(__file__).parent / "migrations"
#: Replicas that start together take turns. The number is arbitrary and only has to be the same in all.
_LOCK = 0x72_64_63_68
#: A large table takes its time; other statements are given up after seconds.
_SECONDS = 3600.0
_FEW = 4
#: Before this one, what it drops is sealed.
_DROPS_NAMES = "0083_without_readable_names"


#: Who owns the tables (null: there are none yet); whether the one who asks may act as the owner, or may make
#: them; whether they may at least read what was applied.
_WHOSE = """
SELECT t.owner, current_user AS name,
       CASE WHEN t.owner IS NULL THEN has_schema_privilege(coalesce(current_schema(), 'public'), 'CREATE')
            ELSE pg_has_role(t.owner, 'USAGE') END AS ours,
       coalesce(has_table_privilege(to_regclass('migrations'), 'SELECT'), true) AS readable
  FROM (SELECT max(pg_get_userbyid(relowner)) AS owner
          FROM pg_class WHERE oid = to_regclass('migrations')) t
"""


class SchemaBehindError(RdchatError):
    """The schema is not what the service needs, and its role may not change it; its text says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.UNAVAILABLE, message)


async def bring_up_to_date(pool: Pool) -> list[str]:
    """Migrate as the owner; as another role, see that it was done. Return what was applied now.

    Raise SchemaBehindError.
    """
    async with acquire(pool) as connection:
        whose = await _whose(connection)
        if not whose["ours"]:
            if missing := await missing_migrations(connection):
                raise SchemaBehindError(
                    f"The schema of the database is behind: it lacks {_in_short(missing)}. The role "
                    f"{whose['name']} may not change it. Run `run.py migrate` as the schema's owner, whose "
                    "address is RDCHAT_MIGRATE_DATABASE_URL."
                )
            return []
    return await migrate(pool)


async def migrate(pool: Pool) -> list[str]:
    """Bring the schema up to date as its owner. Return the names of the migrations that were applied now.

    The service's roles, if there are any, are then given what they need, and nothing else. Raise
    SchemaBehindError for a role that may not.
    """
    applied_now: list[str] = []
    async with acquire(pool) as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK, timeout=_SECONDS)
        try:
            # All tables have one owner, also where a superuser or an administrator comes in between.
            whose = await _whose(connection)
            if not whose["ours"]:
                raise SchemaBehindError(
                    f"The role {whose['name']} may not migrate: the tables are those of "
                    f"{whose['owner'] or 'a role that may make some'}. Set RDCHAT_MIGRATE_DATABASE_URL to "
                    "the address of the schema's owner."
                )
            if whose["owner"]:
                await connection.execute("SELECT set_config('role', $1, false)", whose["owner"])
            await connection.execute(
                "CREATE TABLE IF NOT EXISTS migrations "
                "(name text PRIMARY KEY, applied_at timestamptz NOT NULL)"
            )
            was_readable = False
            for name in await missing_migrations(connection):
                if name == _DROPS_NAMES:
                    was_readable = await _seal_names(connection)
                async with connection.transaction(isolation="read_committed"):
                    if name == _DROPS_NAMES:
                        # What a replica of an older release has written since.
                        await connection.execute("LOCK TABLE people IN ACCESS EXCLUSIVE MODE")
                        was_readable |= await _seal_names(connection)
                    text = (_DIRECTORY / f"{name}.sql").read_text(encoding="utf-8")
                    await connection.execute(text, timeout=_SECONDS)
                    await connection.execute("INSERT INTO migrations VALUES ($1, now())", name)
                applied_now.append(name)
            if was_readable:
                # Rewritten, so that no page of them has a name that is gone.
                await connection.execute("VACUUM (FULL) people, notifications", timeout=_SECONDS)
            await renew_grants(connection)
        finally:
            await connection.execute("RESET ROLE")
            await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    return applied_now


async def _seal_names(connection: Connection) -> bool:
    """Seal names that are readable. Return whether there were any. Raise SchemaBehindError without keys."""
    if not await has_readable_names(connection):
        return False
    try:
        keys = keys_of(connection)
    except LookupError as error:
        raise SchemaBehindError(
            "The schema of the database is behind, and the names in it are not encrypted yet. Run `run.py "
            "migrate` with the RDCHAT_ENCRYPTION_KEYS of the service."
        ) from error
    await seal_names(connection, keys)
    return True


async def missing_migrations(connection: Connection) -> list[str]:
    """List the migrations that were not applied yet. Raise SchemaBehindError when that may not be read."""
    whose = await _whose(connection)
    if not whose["readable"]:
        raise SchemaBehindError(
            f"The role {whose['name']} was not given the tables of {whose['owner']}. Give it what the "
            "service needs by `run.py database roles`."
        )
    is_there = whose["owner"] is not None
    done = {name for (name,) in await connection.fetch("SELECT name FROM migrations")} if is_there else set()
    return sorted({path.stem for path in _DIRECTORY.glob("*.sql")} - done)


async def _whose(connection: Connection) -> asyncpg.Record:
    [whose] = await connection.fetch(_WHOSE)
    return whose


def _in_short(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= _FEW else f"{names[0]} and {len(names) - 1} others"

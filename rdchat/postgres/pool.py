"""The pool of PostgreSQL connections, and what its errors mean to the rest of the program."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import structlog

from rdchat.common.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]

log = structlog.get_logger(__name__)

#: The server cannot serve now, or is gone, as opposed to: it refuses the statement.
LOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    # A deadlock or a failed serialization: nothing is wrong with the statement, it has to come again.
    asyncpg.TransactionRollbackError,
    asyncpg.InternalClientError,
    asyncpg.ReadOnlySQLTransactionError,
)

_STATEMENT_SECONDS = 10.0
#: Every statement of ours finds its rows by an index. Tables like the outbox grow from nothing to tens of
#: thousands of rows faster than their statistics: the planner would take them for empty, and join them by
#: reading all of one for each row of the other. Planned once for good, since planning the group commit takes
#: longer than running it.
_PLANNING = {"jit": "off", "enable_seqscan": "off", "plan_cache_mode": "force_generic_plan"}
#: What correctness rests on, whatever the server, the database or the role has for a default. "Lock, then
#: count" sees what the one before has committed at READ COMMITTED alone, and what is acknowledged must be on
#: disk. Time limits are this side's affair, but for one: a replica that stops in the middle of a transaction
#: must not hold its locks for ever (milliseconds). `search_path` is the operator's: it says where tables are.
_PINNED = {
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "15000",
}
#: Of PostgreSQL 17 and later; an older one refuses a connection that names it.
_RECENT = {"transaction_timeout": "0"}
_IN_FORCE = """
SELECT lower(name) AS name, CASE WHEN name = ANY($2) THEN set_config(name, '0', false) ELSE setting END
  FROM pg_settings WHERE lower(name) = ANY($1) OR name = ANY($2)
"""
_ACQUIRE_SECONDS = 5.0


class _Connection(asyncpg.Connection):
    """A connection that knows what opens the names that are read over it."""

    data_keys: object = None


async def connect(
    url: str, *, keys: object = None, size: int = 10, kept: int = 2, patience: float = 30.0
) -> Pool:
    """Open a pool of up to `size` connections, of which `kept` are there at all times.

    `keys`, a `DataKeys`, opens people's names: without it, no one's is read or written. Try for `patience`
    seconds. Raise UnavailableError.
    """

    async def prepare(connection: asyncpg.Connection[asyncpg.Record]) -> None:
        await _check_settings(connection)
        cast("_Connection", connection).data_keys = keys

    deadline = asyncio.get_running_loop().time() + patience
    while True:
        try:
            return await asyncpg.create_pool(
                url,
                min_size=kept,
                max_size=size,
                command_timeout=_STATEMENT_SECONDS,
                timeout=_ACQUIRE_SECONDS,
                connection_class=_Connection,
                init=prepare,
                reset=_nothing_to_reset,
                server_settings=_settings_sent(),
            )
        except LOST as error:
            if asyncio.get_running_loop().time() >= deadline:
                raise UnavailableError("PostgreSQL") from error
            log.warning("PostgreSQL is not there yet", error=str(error) or type(error).__name__)
            await asyncio.sleep(0.2)


class _SettingsLostError(asyncpg.InterfaceError):
    """A connection does not have the settings that it was opened with."""


def _settings_sent() -> dict[str, str]:
    return {"application_name": "rdchat"} | _PLANNING | _PINNED


async def _check_settings(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """See that a new connection has what was asked for: a pooler between may swallow it.

    Better no connection than one on which limits can be passed, or what was acknowledged can be lost.
    """
    wrong = {
        name: value
        for name, value in await connection.fetch(_IN_FORCE, list(_PINNED), list(_RECENT))
        if value != (_PINNED | _RECENT)[name]
    }
    if wrong:
        what = ", ".join(f"{name} = {value}" for name, value in sorted(wrong.items()))
        raise _SettingsLostError(
            f"PostgreSQL, or a pooler before it, does not take this session's settings: {what}"
        )


async def _nothing_to_reset(_connection: object) -> None:
    """Spare the round trip that would clean a connection after every use: nothing of ours changes one.

    Advisory locks, the exception, are given back where they are taken (see `migrate`).
    """


@asynccontextmanager
async def available() -> AsyncIterator[None]:
    """Turn the loss of the server into UnavailableError; statements that it refused pass through."""
    try:
        yield
    except LOST as error:
        raise UnavailableError("PostgreSQL") from error


@asynccontextmanager
async def acquire(pool: Pool) -> AsyncIterator[Connection]:
    """Borrow a connection. Raise UnavailableError when there is none to be had."""
    async with available(), pool.acquire(timeout=_ACQUIRE_SECONDS) as connection:
        yield connection


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """Borrow a connection with a transaction open on it, in which each statement sees what is committed."""
    async with acquire(pool) as connection, connection.transaction(isolation="read_committed"):
        yield connection


async def probe(pool: Pool) -> None:
    """Ask PostgreSQL for a sign of life. Raise UnavailableError."""
    async with acquire(pool) as connection:
        await connection.execute("SELECT 1")


async def close(pool: Pool) -> None:
    """Close the pool; connections that do not come back within a moment are cut."""
    try:
        async with asyncio.timeout(_ACQUIRE_SECONDS):
            await pool.close()
    except TimeoutError:
        pool.terminate()


def rows_changed(tag: Any) -> int:  # noqa: ANN401 - asyncpg types its command tags loosely
    """Read the number of rows out of a command tag such as `UPDATE 3`."""
    return int(str(tag).rpartition(" ")[2])

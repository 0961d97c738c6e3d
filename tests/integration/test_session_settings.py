"""What a database has for defaults does not change what the service promises."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import asyncpg
import pytest

from rdchat.common.errors import UnavailableError
from rdchat.postgres import pool
from tests.support.database_users import as_owner
from tests.support.service import Service, service_settings
from tests.support.soon import in_days

if TYPE_CHECKING:
    from pathlib import Path

#: What an operator, or another program on the same server, may have set.
_DEFAULTS = {
    "synchronous_commit": "off",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "timezone": "Asia/Jayapura",
    "datestyle": "German, DMY",
    "intervalstyle": "iso_8601",
    "standard_conforming_strings": "off",
    "statement_timeout": "7s",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
    "idle_session_timeout": "7s",
}


@pytest.fixture(params=["repeatable read", "serializable"])
async def odd_database(database_url: str, request: pytest.FixtureRequest) -> str:
    """A database whose defaults are none of ours."""
    connection = await asyncpg.connect(as_owner(database_url))
    name = await connection.fetchval("SELECT current_database()")
    settings = _DEFAULTS | {"default_transaction_isolation": request.param}
    # In one go: from the next connection on, none of them could be changed.
    await connection.execute(
        "".join(f"ALTER DATABASE {name} SET {key} TO '{value}';" for key, value in settings.items())
    )
    await connection.close()
    return database_url


async def test_limits_hold_whatever_the_isolation_level_is(
    odd_database: str, redis_url: str, tmp_path: Path
) -> None:
    settings = service_settings(tmp_path, max_active_per_psychologist=5)
    async with Service.running(settings, database_url=odd_database, redis_url=redis_url) as service:
        psychologist = await service.psychologist()
        wish = {
            "method": "chat",
            "date": in_days(30).date().isoformat(),
            "startTime": "14:00",
            "endTime": "15:00",
            "psychologistId": str(psychologist.id),
        }
        replies = await asyncio.gather(*[service.person().post("/counselings/book", wish) for _ in range(40)])
        assert Counter(reply.status for reply in replies) == {201: 5, 409: 35}
        assert await service.runtime.pool.fetchval("SELECT count(*) FROM counselings") == 5


async def test_every_connection_has_the_settings_that_are_relied_on(odd_database: str) -> None:
    database = await pool.connect(odd_database)
    try:
        async with pool.acquire(database) as connection:
            shown = {
                name: await connection.fetchval("SELECT current_setting($1)", name)
                for name in (*_DEFAULTS, "transaction_isolation", "transaction_read_only")
            }
    finally:
        await pool.close(database)
    assert shown == {
        "synchronous_commit": "on",
        "default_transaction_read_only": "off",
        "default_transaction_deferrable": "off",
        "timezone": "UTC",
        "datestyle": "ISO, YMD",
        "intervalstyle": "postgres",
        "standard_conforming_strings": "on",
        "statement_timeout": "0",
        "lock_timeout": "0",
        "idle_in_transaction_session_timeout": "15s",
        "idle_session_timeout": "0",
        "transaction_isolation": "read committed",
        "transaction_read_only": "off",
    }


async def test_a_transaction_says_its_isolation_level_itself(odd_database: str) -> None:
    """Also on a connection that came without our settings, as from a pooler between."""
    # But for the one that would end a transaction of this test while the machine does something else.
    patient = {"idle_in_transaction_session_timeout": "0"}
    async with (
        asyncpg.create_pool(odd_database, min_size=1, server_settings=patient) as bare,
        pool.transaction(bare) as connection,
    ):
        assert await connection.fetchval("SHOW transaction_isolation") == "read committed"


async def test_a_connection_that_lost_our_settings_is_refused(
    odd_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pooler that swallows them, before a database with other defaults: no promise could be kept."""
    monkeypatch.setattr(pool, "_settings_sent", lambda: {"application_name": "rdchat"})
    with pytest.raises(UnavailableError) as caught:
        await pool.connect(odd_database, patience=0)
    assert "synchronous_commit" in str(caught.value.__cause__)

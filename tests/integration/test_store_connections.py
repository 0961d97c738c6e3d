"""Connections to the stores: those who read do not hold up those who write, and new ones cost little."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import redis.utils

from rdchat.postgres.pool import acquire
from rdchat.redis.connection import connect
from tests.support.sessions import opened

if TYPE_CHECKING:
    import pytest

    from tests.support.service import Service


async def test_a_message_is_stored_while_every_connection_is_read_on(service: Service) -> None:
    client, _, session_id = await opened(service)
    pool = service.runtime.pool
    async with AsyncExitStack() as readers:
        for _ in range(pool.get_max_size()):
            await readers.enter_async_context(acquire(pool))
        assert pool.get_idle_size() == 0
        assert (await client.say(session_id, "Halo")).status == 201


async def test_a_new_connection_to_redis_reads_no_files(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> str:
        raise AssertionError("the files of all packages are read, which takes milliseconds")

    monkeypatch.setattr(redis.utils, "get_lib_version", refuse)
    client = connect(redis_url)
    await client.probe()
    await client.aclose()

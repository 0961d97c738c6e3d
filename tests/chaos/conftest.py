"""Stores that a fault test may kill, and a world on them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from rdchat.local.stores import EmbeddedPostgres, EmbeddedRedis
from tests.conftest import _TEMPLATES
from tests.support.database_users import make_tables
from tests.support.world import World, a_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture
async def world(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[World]:
    """On the stores that all tests share: they are emptied, but never killed."""
    async with a_world(tmp_path, database_url=database_url, redis_url=redis_url) as made:
        yield made


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis that the test may kill."""
    server = EmbeddedRedis(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that the test may kill, with the tables in it."""
    server = EmbeddedPostgres(tmp_path / "pg", settings={"fsync": "off"}, template=_TEMPLATES / "postgres")
    asyncio.run(make_tables(server.start()))
    yield server
    server.stop()

"""What several parts are tried on: a migrated database, and open sessions in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rdchat.postgres import pool
from tests.support.keys import data_keys
from tests.support.seed import open_sessions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rdchat.postgres.pool import Pool
    from statemachine import Session


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Pool]:
    opened = await pool.connect(database_url, keys=data_keys())
    yield opened
    await pool.close(opened)


@pytest.fixture
async def talking(database: Pool) -> list[Session]:
    """Two open sessions, of two clients and one psychologist."""
    return await open_sessions(database, 2)

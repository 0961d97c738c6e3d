"""What several parts are tried on: a migrated database, open sessions in it, and a receiver of webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rdchat.postgres import pool
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rdchat.postgres.pool import Pool


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Pool]:
    opened = await pool.connect(database_url)
    yield opened
    await pool.close(opened)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver.running() as running:
        yield running

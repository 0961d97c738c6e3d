"""What tests of the pages share: a service that people may sign in to, and windows on it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.service import Service, service_settings
from tests.support.visitors import Visitors, visiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _packages(web_packages: None) -> None:
    """Have what the pages load."""


@pytest.fixture
async def practice(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Service]:
    """A service with its pages, as `make run` starts one."""
    settings = service_settings(
        tmp_path, jwt_secret_is_generated=True, end_warning_lead=timedelta(seconds=8), max_active_per_client=3
    )
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        yield service


@pytest.fixture
async def visitors(browser: str, practice: Service) -> AsyncIterator[Visitors]:
    async with visiting(browser, practice) as opened:
        yield opened

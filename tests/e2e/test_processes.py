"""Several processes on one port: as one service to everybody, and none of them is missed for long."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import psutil
import pytest

from tests.support.service import ENCRYPTION_KEY, SECRET
from tests.support.waiting import until

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.xdist_group("programs")

ROOT = Path(__file__).parents[2]
PATIENCE = 40.0


class Several:
    """`serve --processes 2`."""

    def __init__(self, process: Process, base: str, watched: str, http: aiohttp.ClientSession) -> None:
        self.process = process
        self.base = base
        #: Where those who run it look.
        self.watched = watched
        self._http = http

    def replicas(self) -> list[psutil.Process]:
        found = []
        for child in psutil.Process(self.process.pid).children():
            # One that has just died has no command line any more.
            with contextlib.suppress(psutil.Error):
                if child.cmdline()[-1:] == ["process"]:
                    found.append(child)
        return found

    async def status(self, path: str) -> int:
        try:
            # A new connection each time, so that both processes are asked.
            async with self._http.get(f"{self.base}{path}", headers={"Connection": "close"}) as answer:
                await answer.read()
                return answer.status
        except aiohttp.ClientError:
            return 0

    async def metric(self, pattern: str) -> float:
        async with self._http.get(f"{self.watched}/metrics", headers={"Connection": "close"}) as answer:
            found = re.search(rf"^{pattern} (\S+)$", await answer.text(), re.MULTILINE)
            return float(found[1]) if found else 0.0


@pytest.fixture
async def several(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Several]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RDCHAT_")} | {
        "RDCHAT_PORT": "0",
        "RDCHAT_OPERATIONS_PORT": "0",
        "RDCHAT_ABLY_LOCAL_PORT": "0",
        "RDCHAT_DATA_DIR": str(tmp_path),
        "RDCHAT_DATABASE_URL": database_url,
        "RDCHAT_REDIS_URL": redis_url,
        "RDCHAT_JWT_SECRET": SECRET,
        "RDCHAT_ENCRYPTION_KEYS": f"test:{base64.b64encode(ENCRYPTION_KEY).decode()}",
        "RDCHAT_DRAIN_SECONDS": "0",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "run.py", "serve", "--processes", "2"), cwd=ROOT, env=environment, stdout=PIPE
    )
    assert process.stdout is not None
    told = ""
    async with asyncio.timeout(PATIENCE):
        while "Ctrl-C" not in told:
            line = (await process.stdout.readline()).decode()
            assert line, f"it ended instead of serving:\n{told}"
            told += line
    address = re.search(r"serving on (http://\S+) with 2 processes", told)
    watched = re.search(r"API documentation\s+(http://\S+)/docs", told)
    assert address is not None, told
    assert watched is not None, told
    async with aiohttp.ClientSession() as http:
        yield Several(process, address[1], watched[1], http)
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(PATIENCE):
        await process.wait()


async def test_requests_are_spread_and_counted_together(several: Several) -> None:
    for _ in range(30):
        assert await several.status("/readyz") == 200
    counted = r'rdchat_http_request_seconds_count\{method="GET",route="/readyz",status="200"\}'
    assert await several.metric(counted) == 30
    assert await several.status("/metrics") == 404


async def test_one_that_is_killed_is_started_again_while_the_other_serves(several: Several) -> None:
    before = several.replicas()
    assert len(before) == 2
    before[0].kill()

    async def both_are_there() -> bool:
        replicas = several.replicas()
        return len(replicas) == 2 and before[0].pid not in {one.pid for one in replicas}

    await until(both_are_there, PATIENCE)
    await until(lambda: _serves(several), PATIENCE)
    assert before[1].is_running()


async def _serves(several: Several) -> bool:
    return [await several.status("/readyz") for _ in range(10)] == [200] * 10


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_them_all(several: Several, number: signal.Signals) -> None:
    replicas = several.replicas()
    several.process.send_signal(number)
    async with asyncio.timeout(PATIENCE):
        assert await several.process.wait() == 0
    assert not any(map(_lives, replicas))


async def test_without_whoever_started_them_they_end(several: Several) -> None:
    replicas = several.replicas()
    several.process.kill()
    await several.process.wait()
    await until(lambda: not any(map(_lives, replicas)), PATIENCE)


def _lives(process: Any) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE

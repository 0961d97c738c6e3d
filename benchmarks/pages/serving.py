"""A service with its pages in a process of its own, as `make run` starts one, and a browser to look at it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from typing import Any, Final

import aiohttp
import click

_ROOT: Final = Path(__file__).parents[2]
_SERVING: Final = re.compile(r"(http://127\.0\.0\.1:\d+)/app")
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str:
    """Return where Chromium is. Raise ClickException if it is not installed."""
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        raise click.ClickException("no browser is installed; `make browser` installs one")
    return found


async def rehearse(base: str) -> dict[str, Any]:
    """Book a session of two minutes that starts in a moment. Return it with both people and their tokens."""
    async with aiohttp.ClientSession() as http, http.post(f"{base}/app/rehearsal", json={}) as answer:
        answer.raise_for_status()
        rehearsal: dict[str, Any] = (await answer.json())["data"]
        return rehearsal


class PagesServing:
    """A service with its pages and stores of its own, in a directory that goes with it."""

    def __init__(self, directory: Path) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RDCHAT_")}
        own = {"RDCHAT_DATA_DIR": str(directory), "RDCHAT_PORT": "0", "RDCHAT_ABLY_LOCAL_PORT": "0"}
        self._environment = inherited | own | {"PYTHONUNBUFFERED": "1"}
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Start. Return the address, once it serves."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(_ROOT / "run.py"), "serve"),
            cwd=_ROOT,
            env=self._environment,
            stdout=PIPE,
            stderr=STDOUT,
        )
        stream = self._process.stdout
        assert stream is not None  # noqa: S101 - it was asked for
        async with asyncio.timeout(60):
            async for line in stream:
                if found := _SERVING.search(line.decode()):
                    self._reader = asyncio.create_task(_drain(stream))
                    return found[1]
        raise RuntimeError("the service ended before it served")

    async def stop(self) -> None:
        """End it, and wait."""
        if self._process is not None:
            self._process.terminate()
            await self._process.wait()
        if self._reader is not None:
            await self._reader


async def _drain(stream: asyncio.StreamReader) -> None:
    async for _ in stream:
        pass

"""A real browser, without a window: what it is started with, and how it is ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from typing import TYPE_CHECKING

import psutil

from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
_ENDING_SECONDS = 10.0
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--enable-logging=stderr",
    # Nothing but this machine is asked, whatever a browser would like to know.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE ::1",
)


def find_browser() -> str | None:
    """Return where a browser is, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.asynccontextmanager
async def browsing(browser: str, directory: Path, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start the browser; end it and whatever it started. It keeps everything in the directory."""
    with (directory / "stderr").open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            browser,
            *_OPTIONS,
            f"--user-data-dir={directory / 'profile'}",
            url,
            env=os.environ | {"HOME": str(directory), "XDG_CONFIG_HOME": str(directory / "config")},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await until(lambda: not _started(process.pid, directory), _ENDING_SECONDS)


def _started(leader: int, directory: Path) -> list[psutil.Process]:
    """What runs of a browser: its group, and the crash handlers, which leave that and end after it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            ours = os.getpgid(process.pid) == leader or str(directory) in " ".join(process.cmdline())
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found

"""The command line in a process of its own, as an operator calls it."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 60


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("RDCHAT_")}
    return own | {
        "RDCHAT_DATA_DIR": str(data_dir),
        "RDCHAT_PORT": "0",
        "RDCHAT_ABLY_LOCAL_PORT": "0",
        "RDCHAT_DRAIN_SECONDS": "0",
        **more,
    }


async def run(data_dir: Path, *arguments: str, **more: str) -> tuple[int, str]:
    """Run a command to its end. Return status and output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "run.py",
        *arguments,
        cwd=ROOT,
        env=environment(data_dir, **more),
        stdout=PIPE,
        stderr=STDOUT,
    )
    async with asyncio.timeout(PATIENCE):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()

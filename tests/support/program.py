"""The command line in a process of its own, as an operator calls it."""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.command_server import ROOT, CommandServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["PATIENCE", "ROOT", "environment", "prepared", "run"]

PATIENCE = 60

_servers: list[CommandServer] = []


@contextmanager
def prepared() -> Iterator[None]:
    """Have a process that commands are forked from."""
    with CommandServer.running() as server:
        _servers.append(server)
        yield
        _servers.remove(server)


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
    """Run a command to its end, where `prepared`. Return status and output."""
    async with asyncio.timeout(PATIENCE):
        return await _servers[-1].run(arguments, environment(data_dir, **more))

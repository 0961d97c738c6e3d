"""What a program leaves behind: processes that know a folder, and names in it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from pathlib import Path


def processes_in(directory: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            told = [*process.cmdline(), process.environ().get("RDCHAT_DATA_DIR", "")]
            if any(str(directory) in text for text in told):
                found.append(process)
    return found


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())

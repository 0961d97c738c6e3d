"""For pytest's `-p`: run under a moved clock, together with the servers and replicas that the tests start."""

from __future__ import annotations

import os
import tempfile
import time

import pytest

from rdchat.local.stores import server
from tests.support import replica

#: What `clock.c` needs. Neither the servers nor the replicas inherit anything that is not named.
_CARRIED = ("LD_PRELOAD", "CLOCK_AHEAD")

server._ENVIRONMENT += _CARRIED  # noqa: SLF001 - the product has no reason to hand these on
replica._KEPT += _CARRIED  # noqa: SLF001


def pytest_configure() -> None:
    """Refuse to show anything by a clock that is not moved. The times of files are the kernel's."""
    with tempfile.TemporaryFile() as file:
        file.write(b"now")
        file.flush()
        ahead = time.time() - os.fstat(file.fileno()).st_mtime
    if abs(ahead - int(os.environ["CLOCK_AHEAD"])) > 2:
        raise pytest.UsageError(f"The clock is {ahead:.0f} seconds ahead, not {os.environ['CLOCK_AHEAD']}.")

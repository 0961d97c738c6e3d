"""What processes that work beside others take of the processors."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def give_way(niceness: int) -> None:
    """Run only while no one else wants the processor, as far as the system lets a process ask for it.

    A lower priority alone is not enough: Linux lets what runs go on for some milliseconds, whatever its
    priority. `niceness` is what is left where there is nothing better.
    """
    os.nice(niceness)
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))

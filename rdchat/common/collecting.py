"""The garbage collector, kept from holding everything up.

Nearly everything is freed with its last reference; the collector is there for what holds itself. By default
it looks at the youngest objects often, and now and then at all of them, which takes a second where there are
a hundred thousand live sessions. So the rounds that it makes by itself are bounded here, and full ones are
left for a moment in which nothing is done.
"""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: So many objects are made until the youngest are looked at; in every second round once more those that the
#: one before has left. Together that bounds a round to some ten thousand objects: a few milliseconds.
_YOUNGEST: Final = 5_000
_ROUNDS_BEFORE: Final = 0
#: A threshold at which there is no full round.
_NEVER: Final = 1_000_000_000
#: Seconds without anything done, and between two full rounds.
_QUIET_SECONDS: Final = 1.0
_SHORTEST_WAIT: Final = 10


def spare() -> None:
    """Keep what is there out of all rounds, and look at what comes while it is young only."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNGEST, _ROUNDS_BEFORE, _NEVER)


async def collect_when_quiet(activity: Callable[[], int], *, longest_wait: float) -> None:
    """Make full rounds while nothing is done, for ever; each `longest_wait` seconds in any case.

    `activity` counts what was done. After a round nothing is worth another one until something was.
    """
    seen = collected = activity()
    waited = 0.0
    while True:
        await asyncio.sleep(_QUIET_SECONDS)
        waited += _QUIET_SECONDS
        before, seen = seen, activity()
        is_quiet = seen == before and seen != collected
        if waited >= longest_wait or (is_quiet and waited >= _SHORTEST_WAIT):
            gc.collect()
            collected, waited = seen, 0.0

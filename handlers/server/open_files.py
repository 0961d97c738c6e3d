"""How many files this process may open, and how many of these are left to connections."""

from __future__ import annotations

import resource
from typing import Final

#: More than this is never asked for: each connection takes some 20 KiB of memory as well.
_MOST: Final = 16_384 + 512
#: What the process has open besides: ways to the stores, files, programs that examine and draw.
_RESERVED: Final = 256


def raise_limit() -> None:
    """Raise the soft limit of open files, where the machine allows more than it gives at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connections_allowed() -> int:
    """Return how many connections there may be, so that files remain for everything else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _MOST if soft == resource.RLIM_INFINITY else min(soft, _MOST)
    # With few files, half of them.
    return max(1, files - min(_RESERVED, files // 2))

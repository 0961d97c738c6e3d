"""The peers' environments, one each under `.bench/`, since their pins contradict one another.

Each folder beside this file holds what one peer needs: what is asked for (`requirements.in`, `package.json`)
and what that was resolved to, with hashes (`requirements.lock`, `package-lock.json`).
"""

from benchmarks.peers.environments import (
    BENCH,
    ROOT,
    SERVERS,
    TIMERS,
    PeerUnavailable,
    install,
    versions,
)

__all__ = ["BENCH", "ROOT", "SERVERS", "TIMERS", "PeerUnavailable", "install", "versions"]

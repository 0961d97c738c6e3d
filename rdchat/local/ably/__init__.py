"""A local endpoint that speaks Ably's protocol, for work without an Ably account.

A request over HTTP or a websocket arrives in `server`; what it may do is decided by `credentials`, `tokens`
(`grants`, `capabilities`, `revocations`) of its app (`apps`, `fixtures`).

    HTTP         http -> rest (channels), administering (keys, apps), control (faults), refusing -> channels
    websocket    websocket -> connections (connection), dispatch -> attaching (options, replay), channels
    channels     channel, messages (checked), presence, publications, backlog (remembered), history, recorder
    both         protocol, encoding, numerals, errors, limits, rates, faults, unsupported

`alone` is `run.py ably`.
"""

from .limits import Limits
from .server import AblyLocal

__all__ = ["AblyLocal", "Limits"]

"""A local endpoint that speaks Ably's protocol, for development and tests without an Ably account."""

from .limits import Limits
from .server import AblyLocal

__all__ = ["AblyLocal", "Limits"]

"""The order of everything that an app accepts, and a record of it."""

from __future__ import annotations

import secrets
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .protocol import Message


class Recorder:
    """Counts positions for all the channels of an app and keeps what was accepted, for tests to look at.

    `position` is where to start counting, `kept` how many messages `published` holds.
    """

    def __init__(self, position: int, kept: int) -> None:
        self.position = position
        self.published: deque[tuple[str, Message]] = deque(maxlen=kept)
        self._site = secrets.token_hex(4)

    def next_position(self) -> int:
        """Take the position of the next publication, on whichever channel."""
        self.position += 1
        return self.position

    def serial(self, position: int) -> str:
        """Write the channelSerial of a position: comparable as text, and naming the endpoint that gave it."""
        return f"{position}@{self._site}"

    def position_of(self, serial: str) -> int | None:
        """Read the position behind a channelSerial of this endpoint, else None."""
        digits, _, site = serial.partition("@")
        return int(digits) if site == self._site and digits.isdecimal() and digits.isascii() else None

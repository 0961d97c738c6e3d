"""The order of everything that an app accepts, and a record of it."""

from __future__ import annotations

import secrets
from collections import deque
from typing import TYPE_CHECKING

from .messages import payload_size
from .numerals import whole_number

if TYPE_CHECKING:
    from .protocol import Message


class Recorder:
    """Counts positions for all the channels of an app and keeps what was accepted, for tests to look at.

    `position` is where to start counting; `published` holds the last `kept` messages, `most_bytes` of them.
    """

    def __init__(self, position: int, kept: int, most_bytes: int) -> None:
        self.position = position
        self.published: deque[tuple[str, Message]] = deque(maxlen=kept)
        self._most_bytes = most_bytes
        self._bytes = 0
        self._site = secrets.token_hex(4)

    def record(self, channel: str, message: Message) -> None:
        """Keep a message for tests to look at; the oldest are dropped, by number and by size."""
        published = self.published
        if not published:
            self._bytes = 0  # a test has cleared it
        elif len(published) == published.maxlen:
            self._bytes -= payload_size(published.popleft()[1])
        published.append((channel, message))
        self._bytes += payload_size(message)
        while self._bytes > self._most_bytes:
            self._bytes -= payload_size(published.popleft()[1])

    def next_position(self) -> int:
        """Count the next publication, on any channel, and return its position."""
        self.position += 1
        return self.position

    def serial(self, position: int) -> str:
        """Write the channelSerial of a position: comparable as text, and naming the endpoint that gave it."""
        return f"{position}@{self._site}"

    def position_of(self, serial: str) -> int | None:
        """Read the position behind a channelSerial of this endpoint, else None."""
        digits, _, site = serial.partition("@")
        return whole_number(digits) if site == self._site else None

"""The order of everything that an app accepts, and a record of it."""

from __future__ import annotations

import secrets
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from .messages import payload_size
from .numerals import whole_number

if TYPE_CHECKING:
    from .protocol import Message


class Place(NamedTuple):
    """Where a message stands: the position of its publication, and its offset there."""

    position: int
    offset: int


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

    def serial_before(self, place: Place) -> str:
        """Write the channelSerial behind which the message at `place` is the first."""
        if place.offset == 0:
            return self.serial(place.position - 1)
        return f"{place.position}:{place.offset}@{self._site}"

    def place_after(self, serial: str) -> Place | None:
        """Return where the first message behind a channelSerial stands or will stand.

        None for a serial that this endpoint did not give.
        """
        digits, _, site = serial.partition("@")
        position, cut, offset = digits.partition(":")
        numbers = whole_number(position), whole_number(offset) if cut else 0
        if site != self._site or numbers[0] is None or numbers[1] is None:
            return None
        return Place(numbers[0], numbers[1]) if cut else Place(numbers[0] + 1, 0)

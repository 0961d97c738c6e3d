"""What was accepted on a channel: encoded once for all its readers, and kept for a while."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .encoding import encode, wire_messages
from .messages import payload_size
from .protocol import Action, Format, Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .limits import Limits


@dataclass(slots=True)
class Publication:
    """Messages (or presence messages) that one call published on one channel.

    `position` grows with every publication of the endpoint; `serial` is the channelSerial made of it.
    `timestamp` is in milliseconds. `connection_id` is None for what came over REST.
    """

    action: Action
    channel: str
    position: int
    serial: str
    timestamp: int
    messages: list[Message]
    connection_id: str | None = None
    _frames: dict[Format, bytes] = field(default_factory=dict)

    def frame(self, fmt: Format) -> bytes:
        """Return the protocol message for subscribers: encoded at the first call, then shared by all."""
        frame = self._frames.get(fmt)
        if frame is None:
            frame = self._frames[fmt] = self.frame_of(self.messages, fmt)
        return frame

    def frame_of(self, messages: list[Message], fmt: Format) -> bytes:
        """Encode the protocol message with only some of the messages."""
        kind = "presence" if self.action is Action.PRESENCE else "messages"
        body = {
            "action": self.action,
            "channel": self.channel,
            "channelSerial": self.serial,
            "timestamp": self.timestamp,
            kind: wire_messages(messages, fmt),
        }
        return encode(body, fmt)


class Backlog:
    """The last publications of a channel, bounded in age, number of messages and bytes."""

    def __init__(self, floor: int, limits: Limits) -> None:
        self._kept: deque[tuple[Publication, int]] = deque()
        self._floor = floor
        self._limits = limits
        self._messages = 0
        self._bytes = 0

    def __iter__(self) -> Iterator[Publication]:
        """Iterate over what is kept, oldest first."""
        return (publication for publication, _ in self._kept)

    def __reversed__(self) -> Iterator[Publication]:
        """Iterate over what is kept, newest first."""
        return (publication for publication, _ in reversed(self._kept))

    def __len__(self) -> int:
        return len(self._kept)

    def append(self, publication: Publication) -> None:
        """Keep a publication, and drop the oldest ones beyond the bounds."""
        size = sum(map(payload_size, publication.messages))
        self._kept.append((publication, size))
        self._messages += len(publication.messages)
        self._bytes += size
        limits = self._limits
        while self._messages > limits.history_messages or self._bytes > limits.history_bytes:
            self._drop_oldest()

    def expire(self, now: float) -> None:
        """Drop what is too old at `now` (seconds)."""
        oldest = (now - self._limits.history_age) * 1000
        while self._kept and self._kept[0][0].timestamp < oldest:
            self._drop_oldest()

    def reaches_back_to(self, position: int) -> bool:
        """Tell whether everything after that position is still kept."""
        return position >= self._floor

    def since(self, position: int) -> list[Publication]:
        """Return the publications after that position, oldest first."""
        missed = []
        for publication in reversed(self):
            if publication.position <= position:
                break
            missed.append(publication)
        return missed[::-1]

    def _drop_oldest(self) -> None:
        publication, size = self._kept.popleft()
        self._messages -= len(publication.messages)
        self._bytes -= size
        self._floor = publication.position


def flattened(publications: Iterable[Publication]) -> Iterator[tuple[Publication, int, Message]]:
    """Every message with its publication and its index there."""
    return ((p, index, message) for p in publications for index, message in enumerate(p.messages))

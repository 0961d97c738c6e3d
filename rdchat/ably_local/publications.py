"""What was accepted on a channel, encoded once for all its readers."""

from __future__ import annotations

from dataclasses import dataclass, field

from .encoding import encode, wire_messages
from .protocol import Action, Format, Message


@dataclass(slots=True)
class Publication:
    """Messages (or presence messages) that one call published on one channel.

    `position` grows with every publication of the app; `serial` is the channelSerial made of it.
    `timestamp` is in milliseconds. `connection_id` is None for what came over REST. `size` is in bytes.
    """

    action: Action
    channel: str
    position: int
    serial: str
    timestamp: int
    messages: list[Message]
    connection_id: str | None = None
    size: int = 0
    _frames: dict[Format, bytes] = field(default_factory=dict)

    def frame(self, fmt: Format) -> bytes:
        """Return the protocol message for subscribers: encoded at the first call, then shared by all."""
        frame = self._frames.get(fmt)
        if frame is None:
            frame = self._frames[fmt] = self.frame_of(self.messages, fmt)
        return frame

    def delivered(self) -> None:
        """Forget the encoded form: whoever comes later is served from the messages."""
        self._frames.clear()

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

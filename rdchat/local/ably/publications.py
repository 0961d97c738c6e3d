"""What was accepted on a channel, and the frames that carry it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from .encoding import decode, encode, wire_messages
from .protocol import Action, Format, Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


_OVERHEAD = 400  # bytes that a publication takes beside its messages


class Publication:
    """Messages (or presence messages) that one call published on one channel.

    `position` grows with every publication of the app; `serial` is the channelSerial made of it.
    `timestamp` is in milliseconds, `size` is what it takes in bytes, about. `origin` is the id of the
    connection, None for what came over REST. What is remembered is packed: tens of thousands of dictionaries
    would make the collector stop everything for tenths of a second.
    """

    __slots__ = (
        "_packed",
        "action",
        "channel",
        "count",
        "origin",
        "position",
        "repeatable_ids",
        "serial",
        "size",
        "timestamp",
    )

    def __init__(
        self, action: Action, channel: str, *, position: int, serial: str, timestamp: int, origin: str | None
    ) -> None:
        self.action = action
        self.channel = channel
        self.position = position
        self.serial = serial
        self.timestamp = timestamp
        self.origin = origin
        self.count = self.size = 0
        self.repeatable_ids: tuple[str, ...] = ()
        self._packed = b""

    def keep(self, messages: Sequence[Message], repeatable_ids: Iterable[str] = ()) -> None:
        """Set what is to be remembered; `repeatable_ids` are those that a client may send again."""
        self.count = len(messages)
        self.repeatable_ids = tuple(repeatable_ids)
        self._packed = encode(messages, Format.MSGPACK)
        self.size = len(self._packed) + _OVERHEAD

    def forget(self) -> None:
        """Release the messages."""
        self._packed = b""
        self.repeatable_ids = ()

    @property
    def messages(self) -> list[Message]:
        """The messages that are remembered, unpacked at each call."""
        return cast("list[Message]", decode(self._packed, Format.MSGPACK))

    def frame(self, messages: Sequence[Message], fmt: Format) -> bytes:
        """Encode the protocol message that takes these messages to subscribers."""
        return encode(
            {
                "action": self.action,
                "channel": self.channel,
                "channelSerial": self.serial,
                "timestamp": self.timestamp,
                "presence" if self.action is Action.PRESENCE else "messages": wire_messages(messages, fmt),
            },
            fmt,
        )

"""Channels: accepting publications and handing them to the connections attached."""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Protocol, cast

from .errors import AblyError, ErrorCode
from .messages import series_base
from .presence import PresenceSet
from .protocol import Action, Flag, Format, Message, PresenceAction
from .publications import Backlog, Publication

if TYPE_CHECKING:
    from collections.abc import Callable

    from .limits import Limits


class Reader(Protocol):
    """What a channel needs of an attached connection."""

    id: str
    format: Format
    echo: bool

    def send_frame(self, frame: bytes) -> None:
        """Queue one encoded protocol message; never blocks."""


@dataclass(slots=True)
class Attachment:
    """A connection attached to a channel, in the modes granted."""

    reader: Reader
    modes: Flag


@dataclass(slots=True)
class Recorder:
    """Counts positions for all channels and keeps what was accepted, for tests to look at."""

    site: str
    position: int
    published: deque[tuple[str, Message]]

    def next_position(self) -> int:
        """Take the position of the next publication, on whichever channel."""
        self.position += 1
        return self.position

    def serial(self, position: int) -> str:
        """Write the channelSerial of a position: comparable as text, and naming the endpoint that gave it."""
        return f"{position}@{self.site}"

    def position_of(self, serial: str) -> int | None:
        """Read the position behind a channelSerial of this endpoint, else None."""
        digits, _, site = serial.partition("@")
        return int(digits) if site == self.site and digits.isdecimal() and digits.isascii() else None


@dataclass(slots=True)
class Channel:
    """One channel: who is attached, who is present, and what was said in the last minutes."""

    name: str
    recorder: Recorder
    limits: Limits
    clock: Callable[[], float]
    idle_since: float
    attachments: dict[str, Attachment] = field(default_factory=dict)
    presence: PresenceSet = field(default_factory=PresenceSet)
    messages: Backlog = field(init=False)
    presence_events: Backlog = field(init=False)
    _accepted_ids: dict[str, tuple[float, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.messages = Backlog(self.recorder.position, self.limits)
        self.presence_events = Backlog(self.recorder.position, self.limits)

    def publish(
        self, messages: list[Message], *, id_base: str | None = None, connection_id: str | None = None
    ) -> dict[str, object]:
        """Accept messages that `read_messages` has checked; answers `{channel, messageId, serials}`.

        Messages without an id get `<id_base>:<index>`. One whose id was accepted within the last two minutes
        is dropped, and answered with the serial that it got then.
        """
        now = self.clock()
        self._forget_ids(now)
        base = id_base or secrets.token_urlsafe(9)
        publication = self._publication(Action.MESSAGE, now, connection_id)
        serials = []
        for index, message in enumerate(messages):
            message_id = message.get("id") or f"{base}:{index}"
            accepted_before = self._accepted_ids.get(message_id)
            if accepted_before is not None:
                serials.append(accepted_before[1])
                continue
            serial = f"{publication.serial}:{index:03d}"
            self._accepted_ids[message_id] = (now, serial)
            serials.append(serial)
            accepted = cast("Message", {**message, "id": message_id, "serial": serial, "action": 0})
            accepted["timestamp"] = publication.timestamp
            if connection_id is not None:
                accepted["connectionId"] = connection_id
            publication.messages.append(accepted)
            self.recorder.published.append((self.name, accepted))
        if publication.messages:
            self.messages.append(publication)
            self._deliver(publication, Flag.SUBSCRIBE)
        first_id = messages[0].get("id")
        return {
            "channel": self.name,
            "messageId": series_base(first_id) if first_id else base,
            "serials": serials,
        }

    def update_presence(self, messages: list[Message], *, id_base: str, connection_id: str) -> None:
        """Apply enters, updates and leaves that `read_presence` has checked, and tell the subscribers.

        A message keeps an id of its own only if it begins with the connection's id; the others get
        `<id_base>:<index>`.
        """
        publication = self._publication(Action.PRESENCE, self.clock(), connection_id)
        for index, message in enumerate(messages):
            told = cast("Message", {**message, "connectionId": connection_id})
            told["timestamp"] = publication.timestamp
            if not message.get("id", "").startswith(f"{connection_id}:"):
                told["id"] = f"{id_base}:{index}"
            if self.presence.apply(told):
                publication.messages.append(told)
        if publication.messages:
            self.presence_events.append(publication)
            self._deliver(publication, Flag.PRESENCE_SUBSCRIBE)

    def leave(self, connection_id: str) -> None:
        """Let all the members of a connection leave.

        The ids do not begin with the connection's: receivers then judge the LEAVE by its timestamp, since the
        connection itself did not send it.
        """
        leaves = [
            cast("Message", {**member, "action": int(PresenceAction.LEAVE), "id": ""})
            for member in self.presence.of_connection(connection_id)
        ]
        if leaves:
            base = f"left-{secrets.token_urlsafe(9)}:0"
            self.update_presence(leaves, id_base=base, connection_id=connection_id)

    def detach(self, connection_id: str) -> None:
        """Forget an attachment; unknown ones are ignored."""
        if self.attachments.pop(connection_id, None) is not None:
            self.idle_since = self.clock()

    def sweep(self, now: float) -> bool:
        """Drop what is too old; True when nothing is left that anybody could ask for."""
        self.messages.expire(now)
        self.presence_events.expire(now)
        self._forget_ids(now)
        unused = not (self.attachments or self.presence or self.messages or self.presence_events)
        # Who was attached until lately may still resume: then it must be known that nothing was missed.
        return unused and now - self.idle_since > self.limits.connection_state_ttl

    def occupancy(self) -> dict[str, int]:
        """Ably's channel metrics."""
        modes = [attachment.modes for attachment in self.attachments.values()]
        return {
            "connections": len(modes),
            "publishers": sum(Flag.PUBLISH in mode for mode in modes),
            "subscribers": sum(Flag.SUBSCRIBE in mode for mode in modes),
            "presenceConnections": sum(Flag.PRESENCE in mode for mode in modes),
            "presenceSubscribers": sum(Flag.PRESENCE_SUBSCRIBE in mode for mode in modes),
            "presenceMembers": len(self.presence),
        }

    def _publication(self, action: Action, now: float, connection_id: str | None) -> Publication:
        position = self.recorder.next_position()
        serial = self.recorder.serial(position)
        return Publication(action, self.name, position, serial, int(now * 1000), [], connection_id)

    def _deliver(self, publication: Publication, mode: Flag) -> None:
        origin = publication.connection_id
        # A presence event reaches its own connection whatever `echo` says: SDKs learn of themselves from it.
        echoed = publication.action is Action.PRESENCE
        for attachment in self.attachments.values():
            reader = attachment.reader
            if mode in attachment.modes and (echoed or reader.echo or reader.id != origin):
                reader.send_frame(publication.frame(reader.format))

    def _forget_ids(self, now: float) -> None:
        oldest = now - self.limits.duplicate_window
        excess = len(self._accepted_ids) - self.limits.duplicate_ids
        stale = 0
        for accepted_at, _ in self._accepted_ids.values():
            if accepted_at >= oldest and stale >= excess:
                break
            stale += 1
        for message_id in list(islice(self._accepted_ids, stale)):
            del self._accepted_ids[message_id]


class Channels:
    """All the channels of the endpoint, made on demand."""

    def __init__(self, *, clock: Callable[[], float], limits: Limits) -> None:
        # Positions start from the clock, so that serials go on growing when the endpoint is started anew.
        position = int(clock() * 1000) * 1000
        self.recorder = Recorder(secrets.token_hex(4), position, deque(maxlen=limits.recorded))
        self._clock = clock
        self._limits = limits
        self._channels: dict[str, Channel] = {}

    def get(self, name: str) -> Channel:
        """Return the channel of that name. Raises AblyError 40010 for a name that Ably does not allow."""
        channel = self._channels.get(name)
        if channel is None:
            if not name or name[0] in "[:" or "\n" in name:
                raise AblyError(ErrorCode.INVALID_CHANNEL_NAME, "invalid channel name")
            channel = Channel(name, self.recorder, self._limits, self._clock, self._clock())
            self._channels[name] = channel
        return channel

    def sweep(self) -> None:
        """Drop old history everywhere, and the channels that nobody uses any more."""
        now = self._clock()
        for name in [name for name, channel in self._channels.items() if channel.sweep(now)]:
            del self._channels[name]

    def forget_members(self) -> None:
        """Empty all attachments and presence sets, as when every connection is gone for good."""
        for channel in self._channels.values():
            channel.attachments.clear()
            channel.presence = PresenceSet()

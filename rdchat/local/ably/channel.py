"""One channel: accepting publications and handing them to the connections attached."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from .backlog import Backlog, Memory
from .errors import AblyError, ErrorCode
from .faults import FaultKind, Faults, Operation
from .messages import payload_size
from .presence import PresenceSet
from .protocol import Action, Flag, Format, Message, PresenceAction
from .publications import Publication
from .rates import Rate, rate_exceeded

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from .limits import Limits
    from .recorder import Recorder


class Reader(Protocol):
    """What a channel needs of an attached connection."""

    id: str
    format: Format

    def send_frame(self, frame: bytes, *, delay: float = 0.0) -> None:
        """Queue one encoded protocol message, to be sent after `delay` seconds; never blocks."""


@dataclass(slots=True)
class Attachment:
    """A connection attached to a channel: what it asked for, and in `modes` what its capability grants of it.

    `echo`: whether it hears itself.
    """

    reader: Reader
    requested: Flag
    params: Mapping[str, str]
    modes: Flag
    echo: bool


@dataclass(frozen=True, slots=True)
class Shared:
    """What all the channels of an app have in common."""

    recorder: Recorder
    memory: Memory
    faults: Faults
    limits: Limits
    clock: Callable[[], float]


class Channel:
    """One channel: who is attached, who is present, and what was said in the last minutes."""

    def __init__(self, name: str, shared: Shared, *, persisted: bool) -> None:
        self.name = name
        self.attachments: dict[str, Attachment] = {}
        self.presence = PresenceSet()
        self.clock = shared.clock
        self._shared = shared
        # When each id was accepted, and the serial that its message got.
        self._accepted: dict[str, tuple[int, str]] = {}
        limits, now, position = shared.limits, shared.clock(), shared.recorder.position
        age = limits.persisted_age if persisted else limits.history_age
        self.messages = Backlog(position, age, shared.memory, limits, self._forget)
        self.presence_events = Backlog(position, age, shared.memory, limits)
        self._publishes = Rate(limits.channel_publishes, now)
        self._bytes = Rate(limits.channel_bytes, now)
        self._idle_since = now

    def publish(
        self, messages: list[Message], *, id_base: str | None = None, connection_id: str | None = None
    ) -> dict[str, object]:
        """Accept messages that `read_messages` has checked.

        Answers `{channel, messageId, serials}`: the id of the first, the serials of all.

        Messages without an id get `<id_base>:<index>`. One whose id was accepted within the last two minutes
        is dropped, and answered with the serial that it got then. Raise AblyError 42913 when the channel has
        had as many publishes, or bytes, as are allowed in a second.
        """
        now = self.clock()
        size = sum(map(payload_size, messages))
        self._require_room(size, now)
        base = id_base or secrets.token_urlsafe(9)
        # Ids made here for REST are unknown to clients, so no client can repeat them.
        repeatable = id_base is not None or "id" in messages[0]
        publication = self._publication(Action.MESSAGE, now, connection_id)
        serials: list[str] = []
        accepted: list[Message] = []
        for index, message in enumerate(messages):
            message_id = message.get("id") or f"{base}:{index}"
            known = self._accepted_lately(message_id, publication.timestamp) if repeatable else None
            serials.append(known or f"{publication.serial}:{index:03d}")
            if known is not None:
                continue
            one = cast("Message", {**message, "id": message_id, "serial": serials[-1], "action": 0})
            one["timestamp"] = publication.timestamp
            if connection_id is not None:
                one["connectionId"] = connection_id
            accepted.append(one)
            self._shared.recorder.record(self.name, one)
        self._deliver(publication, accepted)
        lasting = [one for one in accepted if not one.get("extras", {}).get("ephemeral")]
        if lasting:
            known_ids = {one["id"]: (publication.timestamp, one["serial"]) for one in lasting if repeatable}
            self._accepted.update(known_ids)
            publication.keep(lasting, known_ids)
            self.messages.append(publication)
        return {
            "channel": self.name,
            "messageId": messages[0].get("id") or f"{base}:0",
            "serials": serials,
        }

    def update_presence(self, messages: list[Message], *, id_base: str, connection_id: str) -> None:
        """Apply enters, updates and leaves that `read_presence` has checked, and notify the subscribers.

        A message keeps an id of its own only if it begins with the connection's id; the others get
        `<id_base>:<index>`. Raise AblyError 91003 when more would be present than are allowed.
        """
        newcomers = {
            message["clientId"]
            for message in messages
            if message["action"] != PresenceAction.LEAVE
            and not self.presence.holds(connection_id, message["clientId"])
        }
        most = self._shared.limits.members_per_channel
        if newcomers and len(self.presence) + len(newcomers) > most:
            raise AblyError(
                ErrorCode.TOO_MANY_MEMBERS,
                f"unable to enter presence channel: maximum number of {most} members exceeded",
            )
        publication = self._publication(Action.PRESENCE, self.clock(), connection_id)
        news: list[Message] = []
        for index, message in enumerate(messages):
            event = cast("Message", {**message, "connectionId": connection_id})
            event["timestamp"] = publication.timestamp
            if not message.get("id", "").startswith(f"{connection_id}:"):
                event["id"] = f"{id_base}:{index}"
            if self.presence.apply(event):
                news.append(event)
        if news:
            self._deliver(publication, news)
            publication.keep(news)
            self.presence_events.append(publication)

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

    def attach(self, attachment: Attachment) -> None:
        """Note that a connection reads this channel, or how it does so from now on."""
        self.attachments[attachment.reader.id] = attachment

    def detach(self, connection_id: str) -> None:
        """Forget an attachment; unknown ones are ignored."""
        if self.attachments.pop(connection_id, None) is not None:
            self._idle_since = self.clock()

    def forget_members(self, lasting: Container[str]) -> None:
        """Empty attachments and presence, but for the members of lasting connections."""
        self.attachments.clear()
        self.presence.retain(lasting)
        self._idle_since = self.clock()

    def sweep(self, now: float) -> bool:
        """Drop what is too old; return True when nothing is left that a client could ask for."""
        self.expire(now)
        unused = not (self.attachments or self.presence or self.messages or self.presence_events)
        # Connections attached until lately may still resume: then it must be known that nothing was missed.
        return unused and now - self._idle_since > self._shared.limits.connection_state_ttl

    def expire(self, now: float) -> None:
        """Drop what is too old at `now` (seconds)."""
        self.messages.expire(now)
        self.presence_events.expire(now)

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

    def _require_room(self, size: int, now: float) -> None:
        for rate, amount, metric in ((self._publishes, 1, "maxRate"), (self._bytes, size, "maxBandwidth")):
            if not rate.take(amount, now):
                raise rate_exceeded(ErrorCode.CHANNEL_RATE, f"channel.{metric}; channel = {self.name}")

    def _accepted_lately(self, message_id: str, timestamp: int) -> str | None:
        """Return the serial of a message with this id, if it was accepted within the last two minutes."""
        known = self._accepted.get(message_id)
        if known is None or timestamp - known[0] > self._shared.limits.duplicate_window * 1000:
            return None
        return known[1]

    def _publication(self, action: Action, now: float, origin: str | None) -> Publication:
        recorder = self._shared.recorder
        position = recorder.next_position()
        return Publication(
            action,
            self.name,
            position=position,
            serial=recorder.serial(position),
            timestamp=int(now * 1000),
            origin=origin,
        )

    def _deliver(self, publication: Publication, messages: list[Message]) -> None:
        if not messages:
            return
        # A presence event reaches its own connection regardless of `echo`: SDKs learn of themselves from it.
        told_to_all = publication.action is Action.PRESENCE
        mode = Flag.PRESENCE_SUBSCRIBE if told_to_all else Flag.SUBSCRIBE
        frames: dict[Format, bytes] = {}
        for attachment in self.attachments.values():
            reader = attachment.reader
            heard = told_to_all or attachment.echo or reader.id != publication.origin
            if mode not in attachment.modes or not heard:
                continue
            # Encoded once for all who read the same format.
            frame = frames.get(reader.format)
            if frame is None:
                frame = frames[reader.format] = publication.frame(messages, reader.format)
            self._hand(frame, reader)

    def _hand(self, frame: bytes, reader: Reader) -> None:
        fault = self._shared.faults.take(Operation.DELIVER, self.name)
        if fault is None:
            reader.send_frame(frame)
        elif fault.kind is FaultKind.DELAY:
            reader.send_frame(frame, delay=fault.seconds)
        elif fault.kind is FaultKind.DUPLICATE:
            reader.send_frame(frame)
            reader.send_frame(frame)

    def _forget(self, publication: Publication) -> None:
        for message_id in publication.repeatable_ids:
            if self._accepted.get(message_id, (0, ""))[0] == publication.timestamp:
                del self._accepted[message_id]

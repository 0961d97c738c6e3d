"""Attaching to channels: what is granted, what was missed, and who is there."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .channels import Attachment, Channel, Channels
from .encoding import wire_messages
from .errors import AblyError, ErrorCode
from .protocol import MODES, NO_FLAGS, Action, Flag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .connections import Connection
    from .limits import Limits
    from .publications import Publication

_REWIND = re.compile(r"(\d{1,6})([sm]?)")
_SECONDS = {"s": 1, "m": 60}


@dataclass(slots=True)
class _Start:
    """From where a subscriber reads: the serial to begin at, and what to send before anything new."""

    serial: str
    flags: Flag = NO_FLAGS
    frames: list[bytes] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    error: AblyError | None = None


class Attaching:
    """Attaches connections to channels and detaches them."""

    def __init__(self, channels: Channels, limits: Limits) -> None:
        self._channels = channels
        self._limits = limits

    def attach(self, connection: Connection, name: str, frame: Mapping[str, object]) -> None:
        """Answer ATTACH: ATTACHED with the granted modes, then what was missed, then SYNC.

        Attaching again to an attached channel starts over from the channelSerial given. Raises AblyError
        40160 when the capability grants none of the modes, 90021 beyond the number of channels allowed.
        """
        requested = _flags(frame)
        granted = connection.grant.capability.modes(name) & ((requested & MODES) or MODES)
        if not granted:
            raise _not_permitted(name)
        channel = self._channels.get(name)
        if len(connection.attached | {name}) > self._limits.channels_per_connection:
            raise AblyError(ErrorCode.TOO_MANY_CHANNELS, "too many channels for one connection")
        connection.attached.add(name)
        channel.attachments[connection.id] = Attachment(connection, granted)
        start = self._start(connection, channel, frame)
        if Flag.SUBSCRIBE not in granted:
            start.frames.clear()
        syncs = Flag.PRESENCE_SUBSCRIBE in granted and len(channel.presence) > 0
        _send_attached(
            connection, name, granted | start.flags | (Flag.HAS_PRESENCE if syncs else NO_FLAGS), start
        )
        for missed in start.frames:
            connection.send_frame(missed)
        if syncs:
            self._send_sync(connection, channel)

    def detach(self, connection: Connection, name: str, _frame: Mapping[str, object]) -> None:
        """Answer DETACH; the connection's members leave the channel."""
        self._let_go(connection, name)
        connection.send(action=Action.DETACHED, channel=name)

    def sync(self, connection: Connection, name: str, _frame: Mapping[str, object]) -> None:
        """Send the presence set once more."""
        channel = self._channels.get(name)
        attachment = channel.attachments.get(connection.id)
        if attachment is None or Flag.PRESENCE_SUBSCRIBE not in attachment.modes:
            raise AblyError(ErrorCode.CHANNEL_STATE, "SYNC needs a channel attached to subscribe to presence")
        self._send_sync(connection, channel)

    def fail(self, connection: Connection, name: str, error: AblyError) -> None:
        """Tell a client that its channel has failed, and detach it."""
        if name in connection.attached:
            self._let_go(connection, name)
        connection.send(action=Action.ERROR, channel=name, error=error.wire())

    def check(self, connection: Connection) -> None:
        """Hold every attachment against the connection's new capability; those that it denies fail."""
        for name in sorted(connection.attached):
            attachment = self._channels.get(name).attachments.get(connection.id)
            if attachment is None:
                continue
            still_granted = attachment.modes & connection.grant.capability.modes(name)
            if not still_granted:
                self.fail(connection, name, _not_permitted(name))
            elif still_granted != attachment.modes:
                attachment.modes = still_granted
                serial = self._channels.recorder.serial(self._channels.recorder.position)
                _send_attached(connection, name, still_granted | Flag.RESUMED, _Start(serial))

    def _let_go(self, connection: Connection, name: str) -> None:
        channel = self._channels.get(name)
        channel.detach(connection.id)
        channel.leave(connection.id)
        connection.attached.discard(name)

    def _start(self, connection: Connection, channel: Channel, frame: Mapping[str, object]) -> _Start:
        recorder = self._channels.recorder
        now = recorder.serial(recorder.position)
        given = frame.get("channelSerial")
        if isinstance(given, str) and given:
            position = recorder.position_of(given)
            if position is not None and channel.messages.reaches_back_to(position):
                missed = channel.messages.since(position)
                return _Start(
                    given, Flag.RESUMED, [p.frame(connection.format) for p in _meant_for(connection, missed)]
                )
            lost = AblyError(
                ErrorCode.CONTINUITY_LOST, "unable to recover channel: messages expired", status=404
            )
            return _Start(now, error=lost)
        params = frame.get("params")
        rewind = params.get("rewind") if isinstance(params, dict) else None
        if not isinstance(rewind, str) or Flag.ATTACH_RESUME in _flags(frame):
            return _Start(now)
        frames = self._rewound(connection, channel, rewind)
        return _Start(now, Flag.HAS_BACKLOG if frames else NO_FLAGS, frames, {"rewind": rewind})

    def _rewound(self, connection: Connection, channel: Channel, rewind: str) -> list[bytes]:
        """Return the frames of the last so many messages ("10") or of a time before now ("30s", "2m")."""
        match = _REWIND.fullmatch(rewind)
        if match is None:
            raise AblyError(ErrorCode.INVALID_PARAMETER, "invalid rewind")
        amount, unit = int(match[1]), match[2]
        frames: list[bytes] = []
        for publication in reversed(channel.messages):
            messages = publication.messages
            if unit:
                if publication.timestamp < (channel.clock() - amount * _SECONDS[unit]) * 1000:
                    break
            else:
                if amount <= 0:
                    break
                messages = messages[-amount:]
                amount -= len(messages)
            frames.append(publication.frame_of(messages, connection.format))
        return frames[::-1]

    def _send_sync(self, connection: Connection, channel: Channel) -> None:
        members = list(channel.presence)
        sync_id, page = secrets.token_hex(4), self._limits.sync_page
        for first in range(0, max(len(members), 1), page):
            # An empty cursor marks the last page.
            cursor = first + page if first + page < len(members) else ""
            connection.send(
                action=Action.SYNC,
                channel=channel.name,
                channelSerial=f"{sync_id}:{cursor}",
                presence=wire_messages(members[first : first + page], connection.format),
            )


def _send_attached(connection: Connection, name: str, flags: Flag, start: _Start) -> None:
    message: dict[str, object] = {
        "action": Action.ATTACHED,
        "channel": name,
        "channelSerial": start.serial,
        "flags": int(flags),
    }
    if start.params:
        message["params"] = start.params
    if start.error is not None:
        message["error"] = start.error.wire()
    connection.send(**message)


def _meant_for(connection: Connection, publications: list[Publication]) -> list[Publication]:
    if connection.echo:
        return publications
    return [p for p in publications if p.connection_id != connection.id]


def _flags(frame: Mapping[str, object]) -> Flag:
    flags = frame.get("flags") or 0
    if type(flags) is not int or flags < 0:
        raise AblyError(ErrorCode.BAD_REQUEST, "flags must be a number")
    return Flag(flags)


def _not_permitted(name: str) -> AblyError:
    return AblyError(ErrorCode.NOT_PERMITTED, f"channel denied access based on given capability: {name}")

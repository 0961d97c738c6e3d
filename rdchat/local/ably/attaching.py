"""Attaching to channels: what is granted, what was missed, and who is there."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .encoding import wire_messages
from .errors import AblyError, ErrorCode
from .protocol import MODES, NO_FLAGS, Action, Flag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .channel import Channel
    from .channels import Channels
    from .connection import Connection
    from .limits import Limits
    from .publications import Publication

_REWIND = re.compile(r"(\d{1,6})([sm]?)", re.ASCII)
_REWIND_LIMIT = re.compile(r"\d{1,6}", re.ASCII)
_PARAMS = frozenset({"rewind", "rewindLimit", "modes", "echo"})
_SECONDS = {"s": 1, "m": 60}


@dataclass(slots=True)
class _Start:
    """From where a subscriber reads: the serial to begin at, and what to send before anything new."""

    serial: str
    flags: Flag = NO_FLAGS
    frames: list[bytes] = field(default_factory=list)
    error: AblyError | None = None


@dataclass(frozen=True, slots=True)
class _Options:
    """What an ATTACH asks for. `params` are those that are understood, as they are echoed."""

    modes: Flag
    resumes: bool
    channel_serial: str
    params: dict[str, str]

    @classmethod
    def read(cls, frame: Mapping[str, object]) -> _Options:
        """Read a frame's flags, channelSerial and params. Raise AblyError 40000 for flags that are none."""
        flags = frame.get("flags") or 0
        if type(flags) is not int or flags < 0:
            raise AblyError(ErrorCode.BAD_REQUEST, "flags must be a number")
        given = frame.get("params")
        params = {
            name: str(value)
            for name, value in (given.items() if isinstance(given, dict) else ())
            if name in _PARAMS and isinstance(value, str | int)
        }
        # Only the bits that mean something: `Flag` remembers every other number for good.
        flags &= int(MODES | Flag.ATTACH_RESUME)
        modes = Flag(flags) & MODES
        if "modes" in params:
            # They win over the flags: https://ably.com/docs/channels/options#modes
            names = [name.strip().upper() for name in params["modes"].split(",")]
            modes = NO_FLAGS
            for name in names:
                modes |= Flag.__members__.get(name, NO_FLAGS) & MODES
        serial = frame.get("channelSerial")
        return cls(
            modes or MODES,
            Flag.ATTACH_RESUME in Flag(flags),
            serial if isinstance(serial, str) else "",
            params,
        )

    @property
    def echo(self) -> bool:
        """Whether the connection receives its own messages on this channel."""
        return self.params.get("echo", "true").lower() != "false"

    @property
    def rewind(self) -> str | None:
        """From where to start, if it is not from now on."""
        return self.params.get("rewind")

    @property
    def rewind_limit(self) -> str | None:
        """How many messages to start with at most."""
        return self.params.get("rewindLimit")


class Attaching:
    """Attaches connections to channels and detaches them."""

    def __init__(self, channels: Channels, limits: Limits) -> None:
        self._channels = channels
        self._limits = limits

    def attach(self, connection: Connection, name: str, frame: Mapping[str, object]) -> None:
        """Answer ATTACH: ATTACHED with the granted modes, then what was missed, then SYNC.

        Attaching again to an attached channel goes on where it is, in the new modes. Raise AblyError 40160
        when the capability grants none of the modes, 90010 beyond the number of channels allowed.
        """
        options = _Options.read(frame)
        granted = connection.grant.capability.modes(name) & options.modes
        if not granted:
            raise _not_permitted(name)
        channel = self._channels.get(name)
        most = self._limits.channels_per_connection
        if len(connection.attached | {name}) > most:
            raise AblyError(
                ErrorCode.TOO_MANY_CHANNELS, f"maximum number of channels per connection ({most}) exceeded"
            )
        if connection.id in channel.attachments:
            # What it was sent on this websocket it has, or is about to have: nothing is missed.
            start = _Start(self._now(), Flag.RESUMED)
        else:
            start = self._start(connection, channel, options)
        connection.attached.add(name)
        channel.attach(connection, granted, echo=connection.echo and options.echo)
        if Flag.SUBSCRIBE not in granted:
            start.frames.clear()
        syncs = Flag.PRESENCE_SUBSCRIBE in granted and len(channel.presence) > 0
        flags = granted | start.flags | (Flag.HAS_PRESENCE if syncs else NO_FLAGS)
        _send_attached(connection, name, flags, start, options.params)
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
        """Notify a client that its channel has failed, and detach it."""
        if name in connection.attached:
            self._let_go(connection, name)
        connection.send(action=Action.ERROR, channel=name, error=error.wire())

    def check(self, connection: Connection) -> None:
        """Check every attachment by the connection's new capability; those that it denies fail."""
        for name in sorted(connection.attached):
            attachment = self._channels.get(name).attachments.get(connection.id)
            if attachment is None:
                continue
            still_granted = attachment.modes & connection.grant.capability.modes(name)
            if not still_granted:
                self.fail(connection, name, _not_permitted(name))
            elif still_granted != attachment.modes:
                attachment.modes = still_granted
                _send_attached(connection, name, still_granted | Flag.RESUMED, _Start(self._now()), {})

    def _let_go(self, connection: Connection, name: str) -> None:
        channel = self._channels.get(name)
        channel.detach(connection.id)
        channel.leave(connection.id)
        connection.attached.discard(name)

    def _now(self) -> str:
        return self._channels.recorder.serial(self._channels.recorder.position)

    def _start(self, connection: Connection, channel: Channel, options: _Options) -> _Start:
        channel.expire(channel.clock())
        if options.channel_serial:
            return self._resumed(connection, channel, options)
        if options.rewind is None or options.resumes:
            return _Start(self._now())
        return self._rewound(connection, channel, options.rewind, options.rewind_limit)

    def _resumed(self, connection: Connection, channel: Channel, options: _Options) -> _Start:
        position = self._channels.recorder.position_of(options.channel_serial)
        if position is None:
            return _Start(self._now(), error=_continuity_lost())
        continuous = channel.messages.reaches_back_to(position)
        missed = channel.messages.since(position)
        if not (connection.echo and options.echo):
            missed = [publication for publication in missed if publication.origin != connection.id]
        frames, complete = self._newest(connection, missed, self._limits.replayed_messages)
        if continuous and complete:
            return _Start(options.channel_serial, Flag.RESUMED, frames)
        return _Start(
            self._now(), frames=frames, error=_backlog_too_large() if continuous else _continuity_lost()
        )

    def _rewound(self, connection: Connection, channel: Channel, rewind: str, limit: str | None) -> _Start:
        """Start with the last so many messages ("10") or a time before now ("30s", "2m"), at most `limit`."""
        match = _REWIND.fullmatch(rewind)
        if match is None or (limit is not None and _REWIND_LIMIT.fullmatch(limit) is None):
            raise AblyError(ErrorCode.INVALID_PARAMETER, "invalid rewind")
        amount, unit = int(match[1]), match[2]
        chosen = list(channel.messages)
        if unit:
            since = (channel.clock() - amount * _SECONDS[unit]) * 1000
            chosen = [publication for publication in chosen if publication.timestamp >= since]
        available = sum(publication.count for publication in chosen)
        wanted = available if unit else min(amount, available)
        if limit is not None:
            wanted = min(wanted, int(limit))
        most = self._limits.rewound_messages
        frames, _ = self._newest(connection, chosen, min(wanted, most))
        error = _backlog_too_large() if wanted > most else None
        return _Start(self._now(), Flag.HAS_BACKLOG if frames else NO_FLAGS, frames, error)

    def _newest(
        self, connection: Connection, publications: list[Publication], most: int
    ) -> tuple[list[bytes], bool]:
        """Encode the newest `most` messages, oldest first; beside them False when others were left out."""
        frames: list[bytes] = []
        room = self._limits.replayed_bytes
        for publication in reversed(publications):
            messages = publication.messages[-most:] if most > 0 else []
            room -= publication.size
            if not messages or room < 0:
                return frames[::-1], False
            frames.append(publication.frame(messages, connection.format))
            most -= len(messages)
            if len(messages) < publication.count:
                return frames[::-1], False
        return frames[::-1], True

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


def _send_attached(
    connection: Connection, name: str, flags: Flag, start: _Start, params: dict[str, str]
) -> None:
    message: dict[str, object] = {
        "action": Action.ATTACHED,
        "channel": name,
        "channelSerial": start.serial,
        "flags": int(flags),
    }
    if params:
        message["params"] = params
    if start.error is not None:
        message["error"] = start.error.wire()
    connection.send(**message)


def _continuity_lost() -> AblyError:
    return AblyError(ErrorCode.CONTINUITY_LOST, "unable to recover channel (messages expired)", status=404)


def _backlog_too_large() -> AblyError:
    return AblyError(
        ErrorCode.BACKLOG_TOO_LARGE, "unable to recover channel (message limit exceeded)", status=404
    )


def _not_permitted(name: str) -> AblyError:
    return AblyError(ErrorCode.NOT_PERMITTED, f"channel denied access based on given capability: {name}")

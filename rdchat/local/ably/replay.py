"""Where a subscriber begins to read a channel, and what it is sent again before anything new."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import AblyError, ErrorCode
from .protocol import NO_FLAGS, Flag
from .recorder import Place

if TYPE_CHECKING:
    from .channel import Channel
    from .connection import Connection
    from .limits import Limits
    from .options import AttachOptions
    from .publications import Publication
    from .recorder import Recorder

_REWIND = re.compile(r"(\d{1,6})([sm]?)", re.ASCII)
_REWIND_LIMIT = re.compile(r"\d{1,6}", re.ASCII)
_SECONDS = {"s": 1, "m": 60}


@dataclass(frozen=True, slots=True)
class Start:
    """Where a subscriber begins: behind the channelSerial `serial`, with `frames` from before now.

    A client that loses its connection before it has got the frames comes back with that serial. So it stands
    before the first of them. It also is where history `untilAttach` ends, which they follow without a gap.
    """

    serial: str
    flags: Flag = NO_FLAGS
    frames: list[bytes] = field(default_factory=list)
    error: AblyError | None = None


@dataclass(slots=True)
class _Newest:
    """The newest of some messages: their frames, oldest first; `first` is where the oldest stands.

    `complete`: whether none of them had to be left out.
    """

    frames: list[bytes]
    first: Place | None
    complete: bool


class Replay:
    """Finds out where subscribers of an app's channels begin."""

    def __init__(self, recorder: Recorder, limits: Limits) -> None:
        self._recorder = recorder
        self._limits = limits

    def now(self) -> str:
        """Return the channelSerial behind which everything new comes."""
        return self._recorder.serial(self._recorder.position)

    def start(self, connection: Connection, channel: Channel, options: AttachOptions) -> Start:
        """Begin behind the serial that the client has, at the rewind that it asks for, or now.

        What is no longer known is told by the error 90003, what is too much by 90004; what can be sent is
        sent all the same. Raise AblyError 40003 for a rewind that is none.
        """
        channel.expire(channel.clock())
        if options.channel_serial:
            return self._resumed(connection, channel, options)
        if options.rewind is None or options.resumes:
            return Start(self.now())
        return self._rewound(connection, channel, options.rewind, options.rewind_limit)

    def _resumed(self, connection: Connection, channel: Channel, options: AttachOptions) -> Start:
        place = self._recorder.place_after(options.channel_serial)
        if place is None:
            return Start(self.now(), error=_continuity_lost())
        continuous = channel.messages.reaches_back_to(place)
        missed = channel.messages.since(place)
        if not (connection.echo and options.echo):
            missed = [publication for publication in missed if publication.origin != connection.id]
        newest = self._newest(connection, missed, self._limits.replayed_messages, place)
        if continuous and newest.complete:
            flags = Flag.RESUMED | (Flag.HAS_BACKLOG if newest.frames else NO_FLAGS)
            return Start(options.channel_serial, flags, newest.frames)
        return self._begin(newest, _backlog_too_large() if continuous else _continuity_lost())

    def _rewound(self, connection: Connection, channel: Channel, rewind: str, limit: str | None) -> Start:
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
        newest = self._newest(connection, chosen, min(wanted, most))
        return self._begin(newest, _backlog_too_large() if wanted > most else None)

    def _begin(self, newest: _Newest, error: AblyError | None) -> Start:
        if newest.first is None:
            return Start(self.now(), error=error)
        serial = self._recorder.serial_before(newest.first)
        return Start(serial, Flag.HAS_BACKLOG, newest.frames, error)

    def _newest(
        self, connection: Connection, publications: list[Publication], most: int, start: Place | None = None
    ) -> _Newest:
        """Encode the newest `most` messages, none of them from before `start`."""
        found = _Newest([], None, complete=True)
        room = self._limits.replayed_bytes
        for publication in reversed(publications):
            known = start.offset if start is not None and publication.position == start.position else 0
            messages = publication.messages[known:]
            chosen = messages[-most:] if most > 0 else []
            room -= publication.size
            if not chosen or room < 0:
                found.complete = not messages
                break
            found.frames.append(publication.frame(chosen, connection.format))
            found.first = Place(publication.position, publication.count - len(chosen))
            most -= len(chosen)
            if len(chosen) < len(messages):
                found.complete = False
                break
        found.frames.reverse()
        return found


def _continuity_lost() -> AblyError:
    return AblyError(ErrorCode.CONTINUITY_LOST, "unable to recover channel (messages expired)", status=404)


def _backlog_too_large() -> AblyError:
    return AblyError(
        ErrorCode.BACKLOG_TOO_LARGE, "unable to recover channel (message limit exceeded)", status=404
    )

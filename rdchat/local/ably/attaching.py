"""Attaching to channels: what is granted, what was missed, and who is there."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from .channel import Attachment
from .encoding import wire_messages
from .errors import AblyError, ErrorCode
from .options import AttachOptions
from .protocol import MODES, NO_FLAGS, Action, Flag
from .replay import Replay, Start
from .unsupported import modes_refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .channel import Channel
    from .channels import Channels
    from .connection import Connection
    from .limits import Limits


class Attaching:
    """Attaches connections to channels and detaches them."""

    def __init__(self, channels: Channels, limits: Limits) -> None:
        self._channels = channels
        self._limits = limits
        self._replay = Replay(channels.recorder, limits)

    def attach(self, connection: Connection, name: str, frame: Mapping[str, object]) -> None:
        """Answer ATTACH: ATTACHED with the granted modes, then what was missed, then SYNC.

        Attaching again to an attached channel goes on where it is, in the new modes. Raise AblyError 40160
        when the capability grants none of the modes, 90010 beyond the number of channels allowed, and what
        `modes_refusal` says when this endpoint has none of them.
        """
        options = AttachOptions.read(frame)
        if not options.modes & MODES:
            raise modes_refusal(options.modes)
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
            start = Start(self._replay.now(), Flag.RESUMED)
        else:
            start = self._replay.start(connection, channel, options)
            if Flag.SUBSCRIBE not in granted:
                start = Start(self._replay.now(), start.flags & ~Flag.HAS_BACKLOG, error=start.error)
        connection.attached.add(name)
        echo = connection.echo and options.echo
        channel.attach(Attachment(connection, options.modes, options.params, granted, echo))
        if Flag.PRESENCE not in granted:
            # Who was present, on another websocket or in other modes, could not even leave any more.
            channel.leave(connection.id)
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
        """Hold every attachment to the connection's new capability, within the modes once asked for.

        Those of which nothing is left fail (40160). The others gain and lose modes at once.
        """
        for name in sorted(connection.attached):
            channel = self._channels.get(name)
            attachment = channel.attachments.get(connection.id)
            if attachment is None:
                continue
            granted = attachment.requested & connection.grant.capability.modes(name)
            if not granted:
                self.fail(connection, name, _not_permitted(name))
            elif granted != attachment.modes:
                self._change_modes(connection, channel, attachment, granted)

    def _change_modes(
        self, connection: Connection, channel: Channel, attachment: Attachment, granted: Flag
    ) -> None:
        lost, gained = attachment.modes & ~granted, granted & ~attachment.modes
        attachment.modes = granted
        syncs = Flag.PRESENCE_SUBSCRIBE in gained and len(channel.presence) > 0
        # Not in question is what was received so far, so the channel is RESUMED.
        flags = Flag.RESUMED | (Flag.HAS_PRESENCE if syncs else NO_FLAGS)
        start = Start(self._replay.now(), error=_not_permitted(channel.name) if lost else None)
        _send_attached(connection, channel.name, granted | flags, start, attachment.params)
        if syncs:
            self._send_sync(connection, channel)
        if Flag.PRESENCE in lost:
            channel.leave(connection.id)

    def _let_go(self, connection: Connection, name: str) -> None:
        channel = self._channels.get(name)
        channel.detach(connection.id)
        channel.leave(connection.id)
        connection.attached.discard(name)

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
    connection: Connection, name: str, flags: Flag, start: Start, params: Mapping[str, str]
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


def _not_permitted(name: str) -> AblyError:
    return AblyError(ErrorCode.NOT_PERMITTED, f"channel denied access based on given capability: {name}")

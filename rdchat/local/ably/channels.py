"""All the channels of an app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .backlog import Memory
from .channel import Channel, Shared
from .errors import AblyError, ErrorCode
from .recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .faults import Faults
    from .limits import Limits


class Channels:
    """All the channels of an app, made on demand.

    `persisted` names the namespaces (what stands before a channel's first colon) that keep their history.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        limits: Limits,
        faults: Faults,
        persisted: Collection[str] = (),
    ) -> None:
        # Positions start from the clock, so that serials go on growing when the endpoint is started again.
        self.recorder = Recorder(int(clock() * 1000) * 1000, limits.recorded, limits.recorded_bytes)
        self.memory = Memory(limits)
        self._shared = Shared(self.recorder, self.memory, faults, limits, clock)
        self._persisted = frozenset(persisted)
        self._channels: dict[str, Channel] = {}
        self.lasting_connections: set[str] = set()

    def get(self, name: str) -> Channel:
        """Return the channel of that name. Raise AblyError 40010 for a name that Ably does not allow."""
        channel = self._channels.get(name)
        if channel is None:
            if not name or name[0] in "[:" or "\n" in name:
                raise AblyError(ErrorCode.INVALID_CHANNEL_NAME, "invalid channel name")
            persisted = name.partition(":")[0] in self._persisted
            channel = self._channels[name] = Channel(name, self._shared, persisted=persisted)
        return channel

    def sweep(self) -> None:
        """Drop old history everywhere, and the channels that are no longer used."""
        now = self._shared.clock()
        for name in [name for name, channel in self._channels.items() if channel.sweep(now)]:
            del self._channels[name]

    def forget_members(self) -> None:
        """Empty attachments and presence sets, as when every connection is gone; fixtures stay."""
        for channel in self._channels.values():
            channel.forget_members(self.lasting_connections)

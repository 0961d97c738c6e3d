"""What channels remember for a while: bounded in age and size, by channel and for an app as a whole."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .limits import Limits
    from .publications import Publication
    from .recorder import Place


_FORGOTTEN = 1_000  # publications that may be in the queue although their channels have forgotten them


class Memory:
    """All that the channels of one app remember, oldest first. What is over its bounds is forgotten first."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._kept: deque[tuple[Backlog, Publication]] = deque()
        self.messages = 0
        self.bytes = 0
        self._publications = 0

    def added(self, backlog: Backlog, publication: Publication) -> None:
        """Count what a channel has begun to remember, and let the oldest go if that was too much."""
        self._kept.append((backlog, publication))
        self._publications += 1
        self.messages += publication.count
        self.bytes += publication.size
        while self.messages > self._limits.memory_messages or self.bytes > self._limits.memory_bytes:
            oldest, publication = self._kept.popleft()
            if oldest.keeps(publication):
                oldest.drop_oldest()
        if len(self._kept) > 2 * self._publications + _FORGOTTEN:
            # Most of them their channels have forgotten, for their age or for the channel's own bounds.
            self._kept = deque(one for one in self._kept if one[0].keeps(one[1]))

    def removed(self, publication: Publication) -> None:
        """Count what a channel has forgotten."""
        self._publications -= 1
        self.messages -= publication.count
        self.bytes -= publication.size


class Backlog:
    """The last publications of a channel: those of the last `age` seconds, within the bounds of its size.

    `forget` is called with each publication that is dropped.
    """

    def __init__(
        self,
        position: int,
        age: float,
        memory: Memory,
        limits: Limits,
        forget: Callable[[Publication], None] | None = None,
    ) -> None:
        self._kept: deque[Publication] = deque()
        # What stood at this position or before is not kept (any more).
        self._floor = position
        self._age = age
        self._memory = memory
        self._limits = limits
        self._forget = forget
        self._messages = 0
        self._bytes = 0

    def __iter__(self) -> Iterator[Publication]:
        """Iterate over what is kept, oldest first."""
        return iter(self._kept)

    def __reversed__(self) -> Iterator[Publication]:
        """Iterate over what is kept, newest first."""
        return reversed(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def append(self, publication: Publication) -> None:
        """Keep a publication, and drop the oldest ones beyond the bounds."""
        self._kept.append(publication)
        self._messages += publication.count
        self._bytes += publication.size
        self._memory.added(self, publication)
        limits = self._limits
        while self._messages > limits.history_messages or self._bytes > limits.history_bytes:
            self.drop_oldest()

    def expire(self, now: float) -> None:
        """Drop what is too old at `now` (seconds)."""
        oldest = (now - self._age) * 1000
        while self._kept and self._kept[0].timestamp < oldest:
            self.drop_oldest()

    def clear(self) -> None:
        """Drop everything."""
        while self._kept:
            self.drop_oldest()

    def keeps(self, publication: Publication) -> bool:
        """Return whether a publication of this channel has not been dropped yet."""
        return publication.position > self._floor

    def reaches_back_to(self, place: Place) -> bool:
        """Return whether everything from that place on is still kept."""
        return place.position > self._floor

    def since(self, place: Place) -> list[Publication]:
        """Return the publications from that place on, oldest first; it may lie in the middle of the first."""
        missed = []
        for publication in reversed(self._kept):
            if publication.position < place.position:
                break
            missed.append(publication)
        return missed[::-1]

    def drop_oldest(self) -> None:
        """Drop the oldest publication."""
        publication = self._kept.popleft()
        self._messages -= publication.count
        self._bytes -= publication.size
        self._floor = publication.position
        self._memory.removed(publication)
        if self._forget is not None:
            self._forget(publication)
        publication.forget()

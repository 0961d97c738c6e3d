"""What is published beside the service's own events, for readers of another contract.

A supplement is no second outbox: it adds to what an entry has, each time it is published. Ids follow from the
entry alone, so that a retry, also by another replica, repeats the very same ones.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from rdchat.postgres import conversations, sessions

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from config import Settings
    from rdchat.common.clock import Clock
    from rdchat.events.outbox_entry import Event
    from rdchat.postgres.pool import Pool
    from rdchat.redis.announcements import Announcements
    from statemachine import Session

#: Sessions whose client is remembered, who never changes.
_REMEMBERED: Final = 20_000


class Supplement(Protocol):
    """Adds to what is published."""

    def regroup(self, events: list[Event]) -> list[Event]:
        """Divide groups that would be too large with what is added; from the events alone."""
        ...

    async def supplement(self, groups: list[list[Event]]) -> list[list[Event]]:
        """Return the groups as they are to be published: the same ones, with more in them or behind.

        Raise UnavailableError: they are tried again later.
        """
        ...

    def published(self, group: list[Event]) -> None:
        """Take note that Ably has accepted a group."""
        ...


@dataclass(frozen=True, slots=True)
class EventFacts:
    """What a supplement may ask, and whom it may tell."""

    settings: Settings
    clock: Clock
    pool: Pool
    announcements: Announcements
    _clients: OrderedDict[UUID, UUID] = field(default_factory=OrderedDict)

    async def get_clients(self, session_ids: Iterable[UUID]) -> dict[UUID, UUID]:
        """Return the client of each session; unknown ones are left out. Raise UnavailableError."""
        wanted = set(session_ids)
        known = {one: self._clients[one] for one in wanted if one in self._clients}
        unknown = wanted - known.keys()
        if unknown:
            found = await conversations.get_clients(self.pool, list(unknown))
            known |= found
            self._clients.update(found)
            while len(self._clients) > _REMEMBERED:
                self._clients.popitem(last=False)
        return known

    async def get_sessions(self, session_ids: Iterable[UUID]) -> dict[UUID, Session]:
        """Return sessions as they are now; unknown ones are left out. Raise UnavailableError."""
        wanted = list(session_ids)
        return await sessions.get_sessions(self.pool, wanted) if wanted else {}

    async def list_read_messages(
        self, session_id: UUID, person_id: UUID, up_to_seq: int, *, limit: int
    ) -> list[UUID]:
        """List the ids of what a person has read by one step, latest first. Raise UnavailableError."""
        return await conversations.list_read_messages(
            self.pool, session_id, person_id, up_to_seq, limit=limit
        )


class MakeSupplement(Protocol):
    """Makes the supplement of a replica."""

    def __call__(self, facts: EventFacts) -> Supplement:
        """Make it."""
        ...

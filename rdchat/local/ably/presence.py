"""Who is present on a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from .numerals import whole_number
from .protocol import Message, PresenceAction

if TYPE_CHECKING:
    from collections.abc import Container, Iterator


class PresenceSet:
    """The members of one channel, each a connection and a clientId, with the last message about it."""

    def __init__(self) -> None:
        self._members: dict[tuple[str, str], Message] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Message]:
        """Iterate over the members as `present` messages, in the order in which they entered."""
        return iter(self._members.values())

    def holds(self, connection_id: str, client_id: str) -> bool:
        """Return whether this member is present."""
        return (connection_id, client_id) in self._members

    def apply(self, message: Message) -> bool:
        """Note an enter, update or leave; return False when it is no news and need not be passed on.

        Entering a second time is an update: the message is changed accordingly.
        """
        key = (message["connectionId"], message["clientId"])
        known = self._members.get(key)
        if message["action"] == PresenceAction.LEAVE:
            self._members.pop(key, None)
            return known is not None
        if known is not None:
            # The SDKs enter their members again after each attach, under the id that they had.
            if not _is_newer(message["id"], known["id"]):
                return False
            message["action"] = int(PresenceAction.UPDATE)
        member = cast("Message", dict(message))
        member["action"] = PresenceAction.PRESENT
        self._members[key] = member
        return True

    def retain(self, connection_ids: Container[str]) -> None:
        """Forget all members but those of these connections."""
        self._members = {key: member for key, member in self._members.items() if key[0] in connection_ids}

    def of_connection(self, connection_id: str) -> list[Message]:
        """Return the members that entered over that connection."""
        return [member for (owner, _), member in self._members.items() if owner == connection_id]


def _is_newer(presence_id: str, known_id: str) -> bool:
    """Compare ids of one connection (`connectionId:msgSerial:index`); any other id that differs is newer."""
    mine, other = presence_id.split(":"), known_id.split(":")
    parts = 3
    if len(mine) == len(other) == parts and mine[0] == other[0]:
        numbers = [number for text in (*mine[1:], *other[1:]) if (number := whole_number(text)) is not None]
        if len(numbers) == 2 * (parts - 1):
            return numbers[:2] > numbers[2:]
    return presence_id != known_id

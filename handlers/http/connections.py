"""How many connections there are, in all and by address, and which of them are closed when more come.

Each is an open file of this process, and so are its ways to PostgreSQL, Redis and files: connections are
refused before the last of those are gone. Those that say nothing are closed first: what never sent a request,
then what has been idle for the longest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

#: So many connections of one address, or half of what there may be: thousands of people behind one NAT lose
#: connections that they do not use at the moment, and nothing else.
PER_ADDRESS: Final = 1_024
#: Looking for idle ones means looking at all of them: then a sixteenth is closed at once.
_CLOSED_SHARE: Final = 16


class Connection(Protocol):
    """What is known of a connection. `idle_until` is when it would be closed anyway, if nothing comes."""

    address: str | None

    @property
    def is_idle(self) -> bool:
        """Whether nothing on it is under way."""
        ...

    @property
    def idle_until(self) -> float:
        """When it would be closed, by the clock of the event loop."""
        ...

    def give_up(self) -> None:
        """Close it."""
        ...


class Connections:
    """The connections of a server, `limit` at the most; `on_refusal` is called for each that is closed."""

    def __init__(self, limit: int, on_refusal: Callable[[], None], *, per_address: int | None = None) -> None:
        self._limit = limit
        self._per_address = per_address or min(PER_ADDRESS, max(1, limit // 2))
        self._on_refusal = on_refusal
        self._open: set[Connection] = set()
        self._by_address: dict[str, int] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._open)

    def enter(self, one: Connection) -> bool:
        """Take a connection in, closing idle ones if there are too many; False if there is no room."""
        address = one.address
        if len(self._open) >= self._limit and not self._make_room(None):
            self._on_refusal()
            return False
        if address is not None:
            if self._by_address.get(address, 0) >= self._per_address and not self._make_room(address):
                self._on_refusal()
                return False
            self._by_address[address] = self._by_address.get(address, 0) + 1
        self._open.add(one)
        return True

    def leave(self, one: Connection) -> None:
        """Forget a connection; one that was never taken in is no error."""
        if one not in self._open:
            return
        self._open.remove(one)
        if one.address is not None:
            left = self._by_address[one.address] - 1
            if left:
                self._by_address[one.address] = left
            else:
                del self._by_address[one.address]

    def _make_room(self, address: str | None) -> bool:
        idle = [one for one in self._open if one.is_idle and (address is None or one.address == address)]
        idle.sort(key=lambda one: one.idle_until)
        allowed = self._limit if address is None else self._per_address
        closed = idle[: max(1, allowed // _CLOSED_SHARE)]
        for one in closed:
            self._on_refusal()
            self.leave(one)
            one.give_up()
        return bool(closed)

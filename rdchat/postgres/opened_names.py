"""Names that a process has opened, so that one that stays the same is decrypted once."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uuid import UUID

#: About 300 bytes each.
_HELD: Final = 50_000


class OpenedNames:
    """The latest name of each person that was opened, with the bytes that it was sealed in."""

    def __init__(self) -> None:
        self._held: OrderedDict[UUID, tuple[bytes, str]] = OrderedDict()

    def get(self, person_id: UUID, sealed: bytes) -> str | None:
        """Return the name in what is stored of a person, None where it was not opened yet."""
        held = self._held.get(person_id)
        return held[1] if held is not None and held[0] == sealed else None

    def find_sealed(self, person_id: UUID, name: str) -> bytes | None:
        """Return what is stored of a person under a name; None where another was opened last, or none."""
        held = self._held.get(person_id)
        return held[0] if held is not None and held[1] == name else None

    def hold(self, person_id: UUID, sealed: bytes, name: str) -> None:
        """Keep a name that was opened, or sealed."""
        self._held[person_id] = (sealed, name)
        if len(self._held) > _HELD:
            self._held.popitem(last=False)

    def forget(self, person_id: UUID) -> None:
        """Forget a person's name."""
        self._held.pop(person_id, None)

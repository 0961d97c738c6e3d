"""Quick replies: texts that a psychologist sends again and again, and keeps for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

LONGEST_TITLE: Final = 60
LONGEST_TEXT: Final = 2000
#: How many one person may keep.
MOST_QUICK_REPLIES: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickReply:
    """One of them. `position` is its place in its owner's list, from 1, without gaps."""

    id: UUID
    title: str
    text: str
    position: int
    created_at: datetime
    updated_at: datetime


def moved(order: list[UUID], one: UUID, position: int) -> list[UUID]:
    """Return an order in which one has another place, from 1; beyond the end is the last place."""
    others = [other for other in order if other != one]
    return [*others[: position - 1], one, *others[position - 1 :]]

"""What a psychologist notes about a client, for themselves alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

LONGEST_NOTES: Final = 20_000


@dataclass(frozen=True, slots=True)
class ClientNotes:
    """One psychologist's notes about one client. Of what was never noted, `updated_at` is None."""

    text: str = ""
    updated_at: datetime | None = None

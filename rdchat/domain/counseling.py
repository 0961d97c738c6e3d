"""A counselling as it was booked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from rdchat.domain.booking import Slot
    from statemachine import Status


@dataclass(frozen=True, slots=True)
class Counseling:
    """One booked counselling. `session_id` is None unless its method is chat."""

    id: UUID
    client_id: UUID
    client_name: str
    psychologist_id: UUID
    psychologist_name: str
    method: str
    status: str
    slot: Slot
    session_id: UUID | None
    session_status: Status | None

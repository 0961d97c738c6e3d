"""A notification to one person, wherever they are in the product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from statemachine.effects import NotificationType


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification to one person, wherever they are in the product.

    `session_id` is None for a counselling without chat, `read_at` until it is read. `starts_at` and `ends_at`
    are the counselling's at that moment, `timezone` the zone in which this person reads them. `reason` is
    why, in the words of the one who cancelled. `message` is `template` with the names of the client and of
    the psychologist, who is `psychologist_id`.
    """

    id: UUID
    person_id: UUID
    type: NotificationType
    title: str
    message: str
    template: str
    session_id: UUID | None
    counseling_id: UUID
    psychologist_id: UUID
    starts_at: datetime
    ends_at: datetime
    timezone: str
    reason: str | None
    created_at: datetime
    read_at: datetime | None = None

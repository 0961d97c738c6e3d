"""What was given up after so many attempts: automations, reminders, webhooks. Never what they were to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An automation of a session, or a reminder of a counselling, that was given up.

    `subject_id`: that session, or that counselling. `error`: the class of what failed last, without its text,
    which may quote what it failed with.
    """

    id: UUID
    subject_id: UUID
    session_id: UUID | None
    counseling_id: UUID
    kind: str
    due_at: datetime
    attempts: int
    failed_at: datetime
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadDelivery:
    """A webhook that was given up. `last_status`: what the receiver answered last; None without an answer."""

    id: UUID
    endpoint: str
    type: str
    created_at: datetime
    attempts: int
    last_status: int | None

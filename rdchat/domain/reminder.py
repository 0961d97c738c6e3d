"""Reminders of a counselling: when they are due, and what becomes of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from statemachine import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta
    from uuid import UUID

    from rdchat.domain.appointment import Appointment


@dataclass(frozen=True, slots=True)
class Reminder:
    """A reminder that is planned. `number` tells it from all others that its counselling has or had."""

    counseling_id: UUID
    number: int
    lead: timedelta
    due_at: datetime


@dataclass(frozen=True, slots=True)
class DueReminder:
    """A reminder that is due, with its counselling as it stands.

    `is_pending`: the counselling is neither cancelled nor over. `has_nearer`: a later reminder of it is due
    as well, or was sent.
    """

    counseling_id: UUID
    number: int
    due_at: datetime
    appointment: Appointment
    is_pending: bool
    has_nearer: bool

    def outcome(self, now: datetime) -> tuple[AutomationStatus, str | None]:
        """Decide what becomes of it, and why it is not sent if it is not."""
        if not self.is_pending:
            return AutomationStatus.CANCELLED, "not_pending"
        if self.appointment.starts_at <= now:
            return AutomationStatus.SKIPPED, "start_was_due"
        if self.has_nearer:
            return AutomationStatus.SKIPPED, "nearer_was_due"
        return AutomationStatus.DONE, None


def plan_reminders(
    counseling_id: UUID, starts_at: datetime, leads: Iterable[timedelta], now: datetime, *, first: int = 1
) -> list[Reminder]:
    """Plan the reminders that still lie ahead, earliest first, numbered from `first` on."""
    ahead = [lead for lead in sorted(leads, reverse=True) if starts_at - lead > now]
    return [
        Reminder(counseling_id, number, lead, starts_at - lead) for number, lead in enumerate(ahead, first)
    ]

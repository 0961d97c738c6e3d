"""Lines of a session's timeline: what was done, by whom or by which timer, and what will never be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from statemachine import TERMINAL, AutomationStatus, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from uuid import UUID

    from statemachine import Decision, Session


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of a session's timeline. `planned_at` and `outcome` are set for timers; `actor_id` for people.

    `outcome` says what became of the automation (done, skipped, cancelled), `reason` why it was not run.
    """

    command_id: UUID
    trigger: str
    actor_id: UUID | None
    source: str
    destination: str
    planned_at: datetime | None
    at: datetime
    outcome: str | None = None
    reason: str | None = None

    @property
    def called_off(self) -> bool:
        """Whether the line says that an automation will not run: no step in the session's life."""
        return self.source in TERMINAL or self.outcome == AutomationStatus.CANCELLED


def path_taken(entries: Iterable[TimelineEntry]) -> tuple[tuple[Status, str, Status], ...]:
    """Read the way through the state machine off a timeline."""
    return tuple(
        (Status(entry.source), entry.trigger, Status(entry.destination))
        for entry in entries
        if is_step(entry)
    )


def is_step(entry: TimelineEntry) -> bool:
    """Tell whether a line of a timeline is a step in the session's life."""
    return entry.trigger != "book" and not entry.called_off


def called_off(before: Session, decision: Decision, command_id: UUID) -> Iterator[TimelineEntry]:
    """Yield a line for each other automation that the decision settled and that will not run."""
    session = decision.session
    for kind, automation in session.automations.items():
        if automation is before.automations.get(kind) or kind.value == decision.trigger:
            continue
        if automation.status in (AutomationStatus.SKIPPED, AutomationStatus.CANCELLED):
            yield TimelineEntry(
                command_id=command_id,
                trigger=kind.value,
                actor_id=None,
                source=session.status.value,
                destination=session.status.value,
                planned_at=automation.due_at,
                at=decision.at,
                outcome=automation.status.value,
                reason=automation.reason,
            )

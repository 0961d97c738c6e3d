"""When the automations of a session fall due, and what to do with one that is late (the misfire policy)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from statemachine.session import RUN_ORDER, Automation, AutomationKind, AutomationStatus

if TYPE_CHECKING:
    from datetime import datetime

    from statemachine.session import Session

#: An end warning with less than this share of its lead left would only startle: it is skipped.
_WORTH_WARNING: Final = 1 / 5


@dataclass(frozen=True, slots=True)
class Leads:
    """How long before the start the first message comes, and before the end the warning."""

    initial_message: timedelta = timedelta(minutes=10)
    end_warning: timedelta = timedelta(minutes=5)


def plan(
    starts_at: datetime, ends_at: datetime, leads: Leads, now: datetime
) -> dict[AutomationKind, Automation]:
    """Plan the automations of a session booked at `now`.

    A booking later than the first message's instant gets that message at once. A session shorter than twice
    the warning's lead gets its warning at half time, so that the warning always falls inside the chat.
    """
    due = {
        AutomationKind.INITIAL_MESSAGE: max(starts_at - leads.initial_message, now),
        AutomationKind.ENABLE_CHAT: starts_at,
        AutomationKind.END_WARNING: warning_of(starts_at, ends_at, leads),
        AutomationKind.AUTO_END: ends_at,
    }
    return {kind: Automation(kind, due[kind]) for kind in RUN_ORDER if kind in due}


def due_in_words(leads: Leads) -> dict[AutomationKind, str]:
    """Say for the documentation when each automation of the plan is due."""
    return {
        AutomationKind.INITIAL_MESSAGE: f"{_minutes(leads.initial_message)} before the start, "
        "or at once when it is booked later than that",
        AutomationKind.ENABLE_CHAT: "at the start",
        AutomationKind.END_WARNING: f"{_minutes(leads.end_warning)} before the end, "
        f"or at half time in a session shorter than {_minutes(2 * leads.end_warning)}",
        AutomationKind.AUTO_END: "at the end",
    }


def _minutes(lead: timedelta) -> str:
    return f"{lead.total_seconds() / 60:g} minutes"


def warning_of(starts_at: datetime, ends_at: datetime, leads: Leads) -> datetime:
    """Return when the end warning of a session is due."""
    return ends_at - min(leads.end_warning, (ends_at - starts_at) / 2)


def extended(
    session: Session, ends_at: datetime, leads: Leads, now: datetime
) -> dict[AutomationKind, Automation]:
    """Plan the automations of an open session again for a later end; past ones stay as they were.

    A warning that was given is given again if it lies ahead again.
    """
    automations = dict(session.automations)
    automations[AutomationKind.AUTO_END] = Automation(AutomationKind.AUTO_END, ends_at)
    warning = Automation(AutomationKind.END_WARNING, warning_of(session.starts_at, ends_at, leads))
    given = automations[AutomationKind.END_WARNING].status is not AutomationStatus.SCHEDULED
    if warning.due_at > now or not given:
        automations[AutomationKind.END_WARNING] = warning
    return automations


def start_is_due(session: Session, now: datetime) -> bool:
    """Whether the announcement of the start would come after the start itself."""
    return now >= session.starts_at


def time_to_talk(session: Session, now: datetime) -> bool:
    """Whether a chat opened at `now` still has its end warning before it; otherwise it was missed."""
    return now <= session.automations[AutomationKind.END_WARNING].due_at


def worth_warning(session: Session, now: datetime) -> bool:
    """Whether enough of the lead is left for the warning to help."""
    lead = session.ends_at - session.automations[AutomationKind.END_WARNING].due_at
    return session.ends_at - now >= lead * _WORTH_WARNING


def minutes_left(session: Session, now: datetime) -> int:
    """Count the minutes until the end, rounded up: 0 only when nothing is left."""
    return max(0, math.ceil((session.ends_at - now).total_seconds() / 60))

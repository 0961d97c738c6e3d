"""What the table's rows do: they change the draft and list effects. None of them performs anything."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from statemachine import schedule
from statemachine.commands import Cancel, EndSession, Extend, Reschedule, RunAutomation, SendMessage
from statemachine.effects import (
    BroadcastStatus,
    DisarmTimers,
    NotificationType,
    Notify,
    RearmTimers,
    StatusEvent,
    StoreAutomatedMessage,
    StoreMessage,
)
from statemachine.session import AutomationKind, AutomationStatus
from statemachine.states import EndReason

if TYPE_CHECKING:
    from uuid import UUID

    from statemachine.context import Case

_MILLISECOND = timedelta(milliseconds=1)


# ---- automations ------------------------------------------------------------------------------------------


def _settle(case: Case, status: AutomationStatus, reason: str | None = None) -> None:
    kind = cast("RunAutomation", case.command).kind
    automation = case.session.automations[kind]
    case.session.automations[kind] = replace(
        automation,
        status=status,
        executed_at=case.now,
        lateness_ms=max(0, (case.now - automation.due_at) // _MILLISECOND),
        reason=reason,
    )


def finish(case: Case) -> None:
    """Record the automation as done, with its lateness."""
    _settle(case, AutomationStatus.DONE)


def skip_start_was_due(case: Case) -> None:
    """Record that the announcement came too late to announce anything."""
    _settle(case, AutomationStatus.SKIPPED, "start_was_due")


def skip_too_late_to_warn(case: Case) -> None:
    """Record that too little of the warning's lead was left."""
    _settle(case, AutomationStatus.SKIPPED, "too_late_to_warn")


def skip_never_opened(case: Case) -> None:
    """Record that there was no open chat to warn in."""
    _settle(case, AutomationStatus.SKIPPED, "never_opened")


def _end_what_is_left(case: Case, status: AutomationStatus, reason: str) -> None:
    for kind, automation in case.session.automations.items():
        if automation.status is AutomationStatus.SCHEDULED:
            case.session.automations[kind] = replace(automation, status=status, reason=reason)
    case.effects.append(DisarmTimers())


# ---- messages ---------------------------------------------------------------------------------------------


def _say(case: Case, kind: AutomationKind) -> None:
    case.session.last_seq += 1
    case.effects.append(StoreAutomatedMessage(kind, case.session.last_seq, case.now))


def say(case: Case) -> None:
    """Say the automated text of the automation that runs."""
    _say(case, cast("RunAutomation", case.command).kind)


def say_goodbye(case: Case) -> None:
    """Say the closing text, also when somebody ended the chat by hand."""
    _say(case, AutomationKind.AUTO_END)


def store_message(case: Case) -> None:
    """Take what a participant said."""
    command = cast("SendMessage", case.command)
    case.session.last_seq += 1
    case.effects.append(
        StoreMessage(
            message_id=command.message_id,
            seq=case.session.last_seq,
            sender_id=command.sender_id,
            text=command.text,
            client_message_id=command.client_message_id,
            at=case.now,
            attachment=command.attachment,
        )
    )


# ---- the session ------------------------------------------------------------------------------------------


def open_chat(case: Case) -> None:
    """Open the chat for both, and call the psychologist."""
    case.session.started_at = case.now
    case.effects.append(BroadcastStatus(StatusEvent.CHAT_ENABLED, case.now))
    case.effects.append(Notify(case.session.psychologist_id, NotificationType.CHAT_ENABLED, case.now))


def warn(case: Case) -> None:
    """Show both the end button, with the time left."""
    left = schedule.minutes_left(case.session, case.now)
    case.effects.append(BroadcastStatus(StatusEvent.ENDING_SOON, case.now, minutes_left=left))


def reschedule(case: Case) -> None:
    """Move the session, and tell whoever did not do it. Its former plan of automations counts no longer."""
    command = cast("Reschedule", case.command)
    session = case.session
    session.starts_at, session.ends_at = command.starts_at, command.ends_at
    session.timezone = command.timezone
    session.automations = schedule.plan(command.starts_at, command.ends_at, command.leads, case.now)
    _replan(case, NotificationType.SESSION_RESCHEDULED, command.by)


def extend(case: Case) -> None:
    """Move the end of the open chat, its warning with it, and tell the client."""
    command = cast("Extend", case.command)
    session = case.session
    session.automations = schedule.extended(session, command.ends_at, command.leads, case.now)
    session.ends_at = command.ends_at
    _replan(case, NotificationType.SESSION_EXTENDED, command.by)


def _replan(case: Case, told: NotificationType, by: UUID | None) -> None:
    case.session.schedule_version += 1
    case.effects.append(BroadcastStatus(StatusEvent.RESCHEDULED, case.now))
    for person in case.session.participants:
        if person != by:
            case.effects.append(Notify(person, told, case.now))
    case.effects.append(RearmTimers())


def _close(case: Case, reason: EndReason, event: StatusEvent) -> None:
    case.session.ended_at = case.now
    case.session.end_reason = reason
    case.effects.append(BroadcastStatus(event, case.now))


def complete(case: Case) -> None:
    """Close the chat at its end, or because somebody ended it."""
    if isinstance(case.command, EndSession):
        by_client = case.command.by == case.session.client_id
        reason = EndReason.ENDED_BY_CLIENT if by_client else EndReason.ENDED_BY_PSYCHOLOGIST
    else:
        reason = EndReason.AUTO_ENDED
    _close(case, reason, StatusEvent.COMPLETED)
    _end_what_is_left(case, AutomationStatus.CANCELLED, reason)


def cancel(case: Case) -> None:
    """Call the session off, and tell whoever did not do it."""
    by = cast("Cancel", case.command).by
    if by is None:
        reason = EndReason.ADMIN_CANCELLED
    else:
        by_client = by == case.session.client_id
        reason = EndReason.CLIENT_CANCELLED if by_client else EndReason.PSYCHOLOGIST_CANCELLED
    _close(case, reason, StatusEvent.CANCELLED)
    for person in case.session.participants:
        if person != by:
            case.effects.append(Notify(person, NotificationType.SESSION_CANCELLED, case.now))
    _end_what_is_left(case, AutomationStatus.CANCELLED, reason)


def miss(case: Case) -> None:
    """Give up a session that could not be opened in time, and tell both."""
    _give_up(case, EndReason.MISSED)


def turn_away(case: Case) -> None:
    """Give up a session for which there is no place at its start, and tell both."""
    _give_up(case, EndReason.OVER_LIMIT)


def _give_up(case: Case, reason: EndReason) -> None:
    _settle(case, AutomationStatus.SKIPPED, reason)
    _close(case, reason, StatusEvent.CANCELLED)
    for person in case.session.participants:
        case.effects.append(Notify(person, NotificationType.SESSION_MISSED, case.now))
    _end_what_is_left(case, AutomationStatus.SKIPPED, reason)

"""What the table's rows do: they change the draft and list effects. None of them performs anything."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from statemachine import schedule
from statemachine.commands import Cancel, EndSession, Extend, Reassign, Reschedule, RunAutomation, SendMessage
from statemachine.effects import (
    BroadcastStatus,
    CancelTimers,
    ExcludeListener,
    NotificationType,
    Notify,
    RescheduleTimers,
    StatusEvent,
    StoreAutomatedMessage,
    StoreMessage,
)
from statemachine.session import AutomationKind, AutomationStatus
from statemachine.states import EndReason

if TYPE_CHECKING:
    from uuid import UUID

    from statemachine.context import TransitionContext

_MILLISECOND = timedelta(milliseconds=1)


# ---- automations ------------------------------------------------------------------------------------------


def _settle(context: TransitionContext, status: AutomationStatus, reason: str | None = None) -> None:
    kind = cast("RunAutomation", context.command).kind
    automation = context.session.automations[kind]
    context.session.automations[kind] = replace(
        automation,
        status=status,
        executed_at=context.now,
        lateness_ms=max(0, (context.now - automation.due_at) // _MILLISECOND),
        reason=reason,
    )


def finish(context: TransitionContext) -> None:
    """Record the automation as done, with its lateness."""
    _settle(context, AutomationStatus.DONE)


def skip_start_was_due(context: TransitionContext) -> None:
    """Record that the announcement came too late."""
    _settle(context, AutomationStatus.SKIPPED, "start_was_due")


def skip_too_late_to_warn(context: TransitionContext) -> None:
    """Record that too little of the warning's lead was left."""
    _settle(context, AutomationStatus.SKIPPED, "too_late_to_warn")


def skip_never_opened(context: TransitionContext) -> None:
    """Record that there was no open chat to warn in."""
    _settle(context, AutomationStatus.SKIPPED, "never_opened")


def _end_what_is_left(context: TransitionContext, status: AutomationStatus, reason: str) -> None:
    for kind, automation in context.session.automations.items():
        if automation.status is AutomationStatus.SCHEDULED:
            context.session.automations[kind] = replace(automation, status=status, reason=reason)
    context.effects.append(CancelTimers())


def _notify(
    context: TransitionContext, told: NotificationType, by: UUID | None = None, reason: str | None = None
) -> None:
    """Notify both, but not the one who did it."""
    context.effects += [
        Notify(person, told, context.now, reason) for person in context.session.participants if person != by
    ]


# ---- messages ---------------------------------------------------------------------------------------------


def _say(context: TransitionContext, kind: AutomationKind) -> None:
    context.session.last_seq += 1
    context.effects.append(StoreAutomatedMessage(kind, context.session.last_seq, context.now))


def say(context: TransitionContext) -> None:
    """Send the automated text of the automation that runs."""
    _say(context, cast("RunAutomation", context.command).kind)


def say_goodbye(context: TransitionContext) -> None:
    """Send the closing text, also when a participant ended the chat."""
    _say(context, AutomationKind.AUTO_END)


def store_message(context: TransitionContext) -> None:
    """Accept a participant's message."""
    command = cast("SendMessage", context.command)
    context.session.last_seq += 1
    context.effects.append(
        StoreMessage(
            message_id=command.message_id,
            seq=context.session.last_seq,
            sender_id=command.sender_id,
            text=command.text,
            client_message_id=command.client_message_id,
            at=context.now,
            attachment=command.attachment,
        )
    )


# ---- the session ------------------------------------------------------------------------------------------


def open_chat(context: TransitionContext) -> None:
    """Open the chat for both, and notify them."""
    context.session.started_at = context.now
    context.effects.append(BroadcastStatus(StatusEvent.CHAT_ENABLED, context.now))
    _notify(context, NotificationType.CHAT_ENABLED)


def warn(context: TransitionContext) -> None:
    """Show both the end button, with the time left."""
    left = schedule.minutes_left(context.session, context.now)
    context.effects.append(BroadcastStatus(StatusEvent.ENDING_SOON, context.now, minutes_left=left))


def reschedule(context: TransitionContext) -> None:
    """Move the session, and notify those who did not do it. Its former plan of automations is replaced."""
    command = cast("Reschedule", context.command)
    session = context.session
    session.starts_at, session.ends_at = command.starts_at, command.ends_at
    session.automations = schedule.plan(command.starts_at, command.ends_at, command.leads, context.now)
    _replan(context, NotificationType.SESSION_RESCHEDULED, command.by)


def reassign(context: TransitionContext) -> None:
    """Give the session to another psychologist, and notify all three but the one who did it.

    The one who had it stops listening. What was sent stays theirs, what is still to be sent comes from the
    new one.
    """
    command = cast("Reassign", context.command)
    session = context.session
    former = session.psychologist_id
    session.psychologist_id = command.psychologist_id
    session.psychologist_name = command.psychologist_name
    session.psychologist_timezone = command.psychologist_timezone
    _notify(context, NotificationType.COUNSELING_REASSIGNED, command.by)
    if former != command.by:
        context.effects.append(Notify(former, NotificationType.COUNSELING_REASSIGNED, context.now))
    context.effects.append(ExcludeListener(former))


def extend(context: TransitionContext) -> None:
    """Move the end of the open chat, its warning with it, and notify the client."""
    command = cast("Extend", context.command)
    session = context.session
    session.automations = schedule.extended(session, command.ends_at, command.leads, context.now)
    session.ends_at = command.ends_at
    _replan(context, NotificationType.SESSION_EXTENDED, command.by)


def _replan(context: TransitionContext, told: NotificationType, by: UUID | None) -> None:
    context.session.schedule_version += 1
    context.effects.append(BroadcastStatus(StatusEvent.RESCHEDULED, context.now))
    _notify(context, told, by)
    context.effects.append(RescheduleTimers())


def _close(context: TransitionContext, reason: EndReason, event: StatusEvent) -> None:
    context.session.ended_at = context.now
    context.session.end_reason = reason
    context.effects.append(BroadcastStatus(event, context.now))


def complete(context: TransitionContext) -> None:
    """Close the chat at its end, or because a participant ended it, and notify those who did not."""
    by = context.command.by if isinstance(context.command, EndSession) else None
    if by is None:
        reason = EndReason.AUTO_ENDED
    else:
        by_client = by == context.session.client_id
        reason = EndReason.ENDED_BY_CLIENT if by_client else EndReason.ENDED_BY_PSYCHOLOGIST
    _close(context, reason, StatusEvent.COMPLETED)
    _notify(context, NotificationType.SESSION_COMPLETED, by)
    _end_what_is_left(context, AutomationStatus.CANCELLED, reason)


def cancel(context: TransitionContext) -> None:
    """Cancel the session, and notify those who did not do it, with the reason that was given."""
    command = cast("Cancel", context.command)
    by = command.by
    if by is None:
        reason = EndReason.ADMIN_CANCELLED
    else:
        by_client = by == context.session.client_id
        reason = EndReason.CLIENT_CANCELLED if by_client else EndReason.PSYCHOLOGIST_CANCELLED
    _close(context, reason, StatusEvent.CANCELLED)
    _notify(context, NotificationType.SESSION_CANCELLED, by, command.reason)
    _end_what_is_left(context, AutomationStatus.CANCELLED, reason)


def miss(context: TransitionContext) -> None:
    """Give up a session that could not be opened in time, and notify both."""
    _give_up(context, EndReason.MISSED)


def cancel_over_limit(context: TransitionContext) -> None:
    """Give up a session that is over a limit at its start, and notify both."""
    _give_up(context, EndReason.OVER_LIMIT)


def _give_up(context: TransitionContext, reason: EndReason) -> None:
    _settle(context, AutomationStatus.SKIPPED, reason)
    _close(context, reason, StatusEvent.CANCELLED)
    _notify(context, NotificationType.SESSION_MISSED)
    _end_what_is_left(context, AutomationStatus.SKIPPED, reason)

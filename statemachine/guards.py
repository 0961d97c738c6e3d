"""Conditions of the table's rows. One that fails may set the code of the refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from statemachine import schedule
from statemachine.commands import Cancel, EndSession, Extend, Reassign, Reschedule, SendMessage
from statemachine.decision import RefusalCode

if TYPE_CHECKING:
    from statemachine.context import TransitionContext


def participant(context: TransitionContext) -> bool:
    """Return whether the caller is the client or the psychologist; an administrator may cancel as well."""
    match context.command:
        case SendMessage(sender_id=person) | EndSession(by=person):
            allowed = person in context.session.participants
        case Cancel(by=person) | Reschedule(by=person):
            allowed = person is None or person in context.session.participants
        case _:
            allowed = False
    if not allowed:
        context.refusal = RefusalCode.NOT_PARTICIPANT
    return allowed


def psychologist(context: TransitionContext) -> bool:
    """Return whether the caller is the psychologist; those who oversee the session may hand it over."""
    person = cast("Extend | Reassign", context.command).by
    if person is None:
        return True
    if person not in context.session.participants:
        context.refusal = RefusalCode.NOT_PARTICIPANT
    elif person != context.session.psychologist_id:
        context.refusal = RefusalCode.FORBIDDEN
    return context.refusal is None


def another_psychologist(context: TransitionContext) -> bool:
    """Return whether the new psychologist is neither the present one nor the client."""
    return cast("Reassign", context.command).psychologist_id not in context.session.participants


def before_end(context: TransitionContext) -> bool:
    """Return whether the end instant is still ahead, even if the end itself would run late."""
    if context.now < context.session.ends_at:
        return True
    context.refusal = RefusalCode.SESSION_ENDED
    return False


def start_not_due(context: TransitionContext) -> bool:
    """Return whether the announcement still comes before the start that it announces."""
    return not schedule.start_is_due(context.session, context.now)


def over_limit(context: TransitionContext) -> bool:
    """Return whether one of the two has as many other sessions at this time as they may have."""
    return context.session.is_over_limit


def warning_ahead(context: TransitionContext) -> bool:
    """Return whether the new end puts the warning ahead again."""
    command = cast("Extend", context.command)
    return context.now < schedule.warning_of(context.session.starts_at, command.ends_at, command.leads)


def time_to_talk(context: TransitionContext) -> bool:
    """Return whether at least the end-warning lead is left before the end."""
    return schedule.time_to_talk(context.session, context.now)


def worth_warning(context: TransitionContext) -> bool:
    """Return whether at least a fifth of the warning's lead is left."""
    return schedule.worth_warning(context.session, context.now)

"""Conditions of the table's rows. One that fails may leave the code to refuse with."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from statemachine import schedule
from statemachine.commands import Cancel, EndSession, Extend, Reschedule, SendMessage
from statemachine.decision import RefusalCode

if TYPE_CHECKING:
    from statemachine.context import Case


def participant(case: Case) -> bool:
    """Ask whether it is the client or the psychologist; an administrator may cancel as well."""
    match case.command:
        case SendMessage(sender_id=person) | EndSession(by=person):
            allowed = person in case.session.participants
        case Cancel(by=person) | Reschedule(by=person):
            allowed = person is None or person in case.session.participants
        case _:
            allowed = False
    if not allowed:
        case.refusal = RefusalCode.NOT_PARTICIPANT
    return allowed


def psychologist(case: Case) -> bool:
    """Ask whether it is the psychologist; the client has no say in this, and a stranger none in anything."""
    person = cast("Extend", case.command).by
    if person not in case.session.participants:
        case.refusal = RefusalCode.NOT_PARTICIPANT
    elif person != case.session.psychologist_id:
        case.refusal = RefusalCode.FORBIDDEN
    return case.refusal is None


def before_end(case: Case) -> bool:
    """Hold what arrives at the end instant or later to be too late, even when the end itself runs late."""
    if case.now < case.session.ends_at:
        return True
    case.refusal = RefusalCode.SESSION_ENDED
    return False


def start_not_due(case: Case) -> bool:
    """Ask whether the announcement still comes before what it announces."""
    return not schedule.start_is_due(case.session, case.now)


def over_limit(case: Case) -> bool:
    """Ask whether one of the two has as many sessions at this time as they may have, without this one."""
    return case.session.is_over_limit


def warning_ahead(case: Case) -> bool:
    """Ask whether, with the new end, the warning lies ahead again."""
    command = cast("Extend", case.command)
    return case.now < schedule.warning_of(case.session.starts_at, command.ends_at, command.leads)


def time_to_talk(case: Case) -> bool:
    """Ask whether at least the end-warning lead is left before the end."""
    return schedule.time_to_talk(case.session, case.now)


def worth_warning(case: Case) -> bool:
    """Ask whether at least a fifth of the warning's lead is left."""
    return schedule.worth_warning(case.session, case.now)

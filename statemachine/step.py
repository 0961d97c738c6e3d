"""`step`: apply one command to one session. The machine of `transitions` decides; this module asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from transitions import EventData, Machine, MachineError

from statemachine.commands import Cancel, EndSession, Extend, Reassign, Reschedule, RunAutomation, SendMessage
from statemachine.context import TransitionContext
from statemachine.decision import Decision, Refusal, RefusalCode
from statemachine.session import AutomationStatus
from statemachine.states import Status
from statemachine.table import TABLE

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from statemachine.commands import Command
    from statemachine.session import Session


def build_machine() -> Machine:
    """Build the machine from the table. One serves every session: models are never registered with it.

    It is the synchronous `Machine`, used as a decision table. `AsyncMachine` (0.9.3) swallows the
    cancellation of tasks, and a second trigger aborts callbacks that are running.
    """
    machine = Machine(
        model=None,
        model_attribute="status",
        states=Status,
        initial=Status.PENDING,
        auto_transitions=False,
        send_event=True,
    )
    for row in TABLE:
        for source in row.sources:
            machine.add_transition(
                row.trigger,
                source,
                row.destination,
                conditions=[_asked(guard) for guard in row.guards],
                after=[_asked(action) for action in row.actions],
            )
    return machine


T = TypeVar("T")


def _asked(function: Callable[[TransitionContext], T]) -> Callable[[EventData], T]:
    def ask(event: EventData) -> T:
        return function(event.kwargs["context"])

    ask.__name__ = function.__name__
    ask.__doc__ = function.__doc__
    return ask


MACHINE = build_machine()


def step(session: Session, command: Command, now: datetime) -> Decision | Refusal:
    """Decide what `command` does to `session` at the instant `now` (aware, UTC).

    The session itself is never changed: the decision holds a changed copy. An automation that is not due
    yet is refused with NOT_DUE; one that is settled, of an older plan or of a session that is over, with
    SETTLED, so that its timer knows that nothing is left to do.
    """
    if isinstance(command, RunAutomation):
        code = _cannot_run(session, command, now)
        if code is not None:
            return Refusal(code, session.status)
    draft = session.draft()
    context = TransitionContext(draft, command, now)
    try:
        taken = MACHINE.events[command.trigger].trigger(draft, context=context)
    except MachineError:
        return _refusal(_no_row(session, command), session)
    if not taken:
        return _refusal(context.refusal or RefusalCode.ILLEGAL_TRANSITION, session)
    draft.updated_at = now
    return Decision(draft, command.trigger, session.status, now, tuple(context.effects))


def _refusal(code: RefusalCode, session: Session) -> Refusal:
    """Refuse; strangers learn nothing about the state."""
    return Refusal(code, None if code is RefusalCode.NOT_PARTICIPANT else session.status)


def _cannot_run(session: Session, command: RunAutomation, now: datetime) -> RefusalCode | None:
    automation = session.automations.get(command.kind)
    if (
        session.is_over
        or automation is None
        or command.schedule_version != session.schedule_version
        or automation.status is not AutomationStatus.SCHEDULED
    ):
        return RefusalCode.SETTLED
    return RefusalCode.NOT_DUE if now < automation.due_at else None


def _no_row(session: Session, command: Command) -> RefusalCode:
    """Return the refusal code when no row starts here; for strangers it is always NOT_PARTICIPANT."""
    match command:
        case SendMessage(sender_id=person) | EndSession(by=person) | Extend(by=person) if (
            person not in session.participants
        ):
            return RefusalCode.NOT_PARTICIPANT
        case Cancel(by=person) | Reschedule(by=person) | Reassign(by=person) if (
            person is not None and person not in session.participants
        ):
            return RefusalCode.NOT_PARTICIPANT
        case Extend(by=person) | Reassign(by=person) if person not in (None, session.psychologist_id):
            return RefusalCode.FORBIDDEN
        case SendMessage() | Extend() if session.is_over:
            return RefusalCode.SESSION_ENDED
        case SendMessage():
            return RefusalCode.CHAT_NOT_ENABLED
    return RefusalCode.ILLEGAL_TRANSITION

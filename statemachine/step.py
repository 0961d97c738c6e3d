"""`step`: apply one command to one session, by the rows that the machine of `transitions` holds."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from transitions import EventData, Machine

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
    @wraps(function)
    def ask(event: EventData) -> T:
        return function(event.kwargs["context"])

    return ask


def _behind(asked: Any) -> Any:  # noqa: ANN401 - the guard or the action that `_asked` has wrapped
    return asked.__wrapped__


MACHINE = build_machine()


class Transition(NamedTuple):
    """One way in which a trigger can go from one state, as the machine holds it."""

    guards: tuple[Callable[[TransitionContext], bool], ...]
    actions: tuple[Callable[[TransitionContext], None], ...]
    destination: Status | None


Transitions = dict[tuple[str, Status], tuple[Transition, ...]]


def read_transitions(machine: Machine) -> Transitions:
    """Read what a machine does at each trigger in each state.

    `trigger()` looks all of it up again for each command, which takes several times as long as the guards and
    actions themselves. `step` does what it would; a test compares the two for every row, state and refusal.
    """
    return {
        (name, Status[source]): tuple(
            Transition(
                guards=tuple(_behind(condition.func) for condition in one.conditions),
                actions=tuple(_behind(action) for action in one.after),
                destination=Status[one.dest] if one.dest is not None else None,
            )
            for one in transitions
        )
        for name, event in machine.events.items()
        for source, transitions in event.transitions.items()
    }


TRANSITIONS: Final = read_transitions(MACHINE)


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
    transitions = TRANSITIONS.get((command.trigger, session.status))
    if transitions is None:
        return _refusal(_no_row(session, command), session)
    context = TransitionContext(session, command, now)
    for transition in transitions:
        for guard in transition.guards:
            if not guard(context):
                break
        else:
            return _take(transition, context)
    return _refusal(context.refusal or RefusalCode.ILLEGAL_TRANSITION, session)


def _take(transition: Transition, context: TransitionContext) -> Decision:
    session = context.session
    # From here on it is changed, so it is a copy.
    context.session = draft = session.draft()
    if transition.destination is not None:
        draft.status = transition.destination
    for act in transition.actions:
        act(context)
    draft.updated_at = context.now
    return Decision(draft, context.command.trigger, session.status, context.now, tuple(context.effects))


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

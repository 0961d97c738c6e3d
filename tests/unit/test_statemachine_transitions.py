"""What `step` reads from the machine's structures is what `trigger()` does: every row, state and refusal."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from transitions import MachineError

from statemachine import (
    AutomationKind,
    Cancel,
    Command,
    Decision,
    EndReason,
    EndSession,
    Extend,
    Reassign,
    Refusal,
    RefusalCode,
    Reschedule,
    RunAutomation,
    SendMessage,
    Session,
    SessionOutcome,
    Status,
    step,
)
from statemachine.context import TransitionContext
from statemachine.schedule import Leads, plan
from statemachine.step import MACHINE, TRANSITIONS, build_machine
from statemachine.table import TABLE, Row

if TYPE_CHECKING:
    from transitions import Machine

    from statemachine.effects import Effect

CLIENT, PSYCHOLOGIST, STRANGER, OTHER = (UUID(int=number) for number in range(1, 5))
START = datetime(2026, 12, 1, 7, tzinfo=UTC)
END = START + timedelta(hours=1)
BOOKED = START - timedelta(days=2)
WARNING = END - timedelta(minutes=5)
PEOPLE = (CLIENT, PSYCHOLOGIST, STRANGER)

INSTANTS = (
    BOOKED,
    START - timedelta(minutes=10),
    START,
    END - timedelta(minutes=5, microseconds=1),
    WARNING,
    END - timedelta(seconds=1),
    END,
    END + timedelta(minutes=1),
)
WAYS: dict[Status, tuple[tuple[Command, datetime], ...]] = {
    Status.PENDING: (),
    Status.ACTIVE: ((RunAutomation(AutomationKind.ENABLE_CHAT, 1), START),),
    Status.ENDING_SOON: (
        (RunAutomation(AutomationKind.ENABLE_CHAT, 1), START),
        (RunAutomation(AutomationKind.END_WARNING, 1), WARNING),
    ),
    Status.COMPLETED: ((RunAutomation(AutomationKind.ENABLE_CHAT, 1), START), (EndSession(CLIENT), START)),
    Status.CANCELLED: ((Cancel(None), BOOKED),),
}
COMMANDS: tuple[Command, ...] = (
    *(SendMessage(UUID(int=9), person, "Halo", "c-1") for person in PEOPLE),
    *(EndSession(person) for person in PEOPLE),
    *(Cancel(person, "sakit") for person in (None, *PEOPLE)),
    *(Reschedule(person, START + timedelta(1), END + timedelta(1), Leads()) for person in (None, *PEOPLE)),
    *(Reassign(by, to, "Dewi", "UTC") for by, to in product((None, *PEOPLE), (OTHER, PSYCHOLOGIST, CLIENT))),
    *(
        Extend(person, END + timedelta(minutes=minutes), Leads())
        for person, minutes in product(PEOPLE, (1, 30))
    ),
    *(RunAutomation(kind, version) for kind, version in product(AutomationKind, (1, 2))),
)


def a_session(status: Status) -> Session:
    session = Session(
        UUID(int=10), UUID(int=11), CLIENT, "Budi", PSYCHOLOGIST, "Sari", START, END, BOOKED, BOOKED,
        automations=plan(START, END, Leads(), BOOKED),
    )  # fmt: skip
    for command, now in WAYS[status]:
        decision = step(session, command, now)
        assert isinstance(decision, Decision)
        session = decision.session
    assert session.status is status
    return session


def triggered(
    machine: Machine, session: Session, command: Command, now: datetime
) -> tuple[Session, list[Effect]] | RefusalCode | None:
    """What the machine does when it is triggered: the session after it and the effects, or the refusal.

    None: no transition of this trigger leads out of the state.
    """
    draft = session.draft()
    context = TransitionContext(draft, command, now)
    try:
        is_taken = machine.events[command.trigger].trigger(draft, context=context)
    except MachineError:
        return None
    if not is_taken:
        return context.refusal or RefusalCode.ILLEGAL_TRANSITION
    draft.updated_at = now
    return draft, context.effects


def row_of(session: Session, command: Command, now: datetime) -> Row | None:
    """The first row of the table whose guards all hold."""
    for row in TABLE:
        context = TransitionContext(session, command, now)
        if (row.trigger, session.status in row.sources) == (command.trigger, True) and all(
            guard(context) for guard in row.guards
        ):
            return row
    return None


def test_a_step_does_what_a_trigger_does() -> None:
    machine = build_machine()
    taken: set[tuple[Row, Status]] = set()
    refused: set[RefusalCode] = set()
    sessions = [a_session(status) for status in Status]
    sessions += [replace(session, is_over_limit=True) for session in sessions]
    for session, command, now in product(sessions, COMMANDS, INSTANTS):
        status = session.status
        case = (status, session.is_over_limit, command, now)
        stepped, expected = step(session, command, now), triggered(machine, session, command, now)
        row = row_of(session, command, now)
        if isinstance(stepped, Refusal):
            refused.add(stepped.code)
            if stepped.code in (RefusalCode.SETTLED, RefusalCode.NOT_DUE):
                # Of a timer this is found out before any row is looked at.
                assert isinstance(command, RunAutomation), case
                continue
            assert row is None, case
            if expected is None:
                assert (command.trigger, status) not in TRANSITIONS, case
            else:
                assert stepped.code is expected, case
        else:
            assert (stepped.session, list(stepped.effects)) == expected, case
            assert (stepped.trigger, stepped.source, stepped.at) == (command.trigger, status, now), case
            assert row is not None, case
            taken.add((row, status))
    assert taken == {(row, source) for row in TABLE for source in row.sources}
    assert refused == set(RefusalCode) - {RefusalCode.SESSION_NOT_FOUND}


def test_the_machine_has_nothing_beside_guards_actions_and_destinations() -> None:
    """As `step` reads nothing else of it: no hook that `trigger()` would call goes unheeded."""
    hooks = ("before_state_change", "after_state_change", "prepare_event", "finalize_event", "on_exception")
    assert [name for name in (*hooks, "on_final") if getattr(MACHINE, name, None)] == []
    assert [state.name for state in MACHINE.states.values() if state.on_enter or state.on_exit] == []
    transitions = [
        one for event in MACHINE.events.values() for several in event.transitions.values() for one in several
    ]
    assert transitions
    assert all(one.prepare == one.before == [] for one in transitions)
    assert all(condition.target is True for one in transitions for condition in one.conditions)
    assert {
        (name, Status[source]) for name, event in MACHINE.events.items() for source in event.transitions
    } == (TRANSITIONS.keys())


@pytest.mark.parametrize("name", [one.name for one in fields(Session)])
def test_a_draft_has_every_field(name: str) -> None:
    session = a_session(Status.COMPLETED)
    session.organization_id, session.outcome, session.is_over_limit = OTHER, SessionOutcome.HELD, True
    session.version, session.state_version, session.last_seq, session.schedule_version = 4, 3, 7, 2
    session.language, session.client_timezone, session.psychologist_timezone = (
        "en",
        "Asia/Jakarta",
        "Asia/Makassar",
    )
    session.end_reason = EndReason.ENDED_BY_CLIENT
    draft = session.draft()
    assert getattr(draft, name) == getattr(session, name)
    # What is not copied would be missed: none of the values is a default.
    assert getattr(session, name) not in (None, 0)


def test_a_draft_has_a_plan_of_its_own() -> None:
    session = a_session(Status.PENDING)
    draft = session.draft()
    draft.automations.clear()
    assert len(session.automations) == 4

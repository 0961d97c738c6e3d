"""The table by example: every row, every refusal, and the misfire policy at its exact borders."""

from __future__ import annotations

import copy
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from statemachine import (
    RUN_ORDER,
    TERMINAL,
    AutomationKind,
    AutomationStatus,
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
    Status,
    guards,
    step,
)
from statemachine.attachment import Attachment
from statemachine.context import TransitionContext
from statemachine.effects import (
    BroadcastStatus,
    CancelTimers,
    Effect,
    ExcludeListener,
    NotificationType,
    Notify,
    RescheduleTimers,
    StatusEvent,
    StoreAutomatedMessage,
    StoreMessage,
)
from statemachine.schedule import Leads, minutes_left, plan
from statemachine.session import Automation
from statemachine.step import MACHINE, build_machine, read_transitions
from statemachine.table import TABLE

CLIENT, PSYCHOLOGIST, STRANGER = UUID(int=1), UUID(int=2), UUID(int=3)
START = datetime(2026, 12, 1, 7, tzinfo=UTC)
END = START + timedelta(hours=1)
BOOKED = START - timedelta(days=2)
INITIAL_DUE = START - timedelta(minutes=10)
WARNING_DUE = END - timedelta(minutes=5)
LAST_USEFUL_WARNING = END - timedelta(minutes=1)
TICK = timedelta(microseconds=1)

INITIAL, ENABLE = AutomationKind.INITIAL_MESSAGE, AutomationKind.ENABLE_CHAT
WARNING, AUTO_END = AutomationKind.END_WARNING, AutomationKind.AUTO_END
PENDING, ACTIVE, ENDING_SOON, COMPLETED, CANCELLED = Status


def timer(kind: AutomationKind, version: int = 1) -> RunAutomation:
    return RunAutomation(kind, version)


def message(sender: UUID = CLIENT) -> SendMessage:
    return SendMessage(UUID(int=77), sender, "Halo", "c-1")


def decide(session: Session, command: Command, now: datetime) -> Decision:
    answer = step(session, command, now)
    assert isinstance(answer, Decision), answer
    return answer


def refuse(session: Session, command: Command, now: datetime) -> Refusal:
    answer = step(session, command, now)
    assert isinstance(answer, Refusal), answer
    return answer


def a_session(status: Status = PENDING, leads: Leads | None = None) -> Session:
    """A session brought to `status` by the shortest way, everything on time."""
    session = Session(
        id=UUID(int=10),
        counseling_id=UUID(int=11),
        client_id=CLIENT,
        client_name="Budi",
        psychologist_id=PSYCHOLOGIST,
        psychologist_name="Sari",
        starts_at=START,
        ends_at=END,
        created_at=BOOKED,
        updated_at=BOOKED,
        automations=plan(START, END, leads or Leads(), BOOKED),
    )
    ways: dict[Status, list[tuple[Command, datetime]]] = {
        PENDING: [],
        ACTIVE: [(timer(ENABLE), START)],
        ENDING_SOON: [(timer(ENABLE), START), (timer(WARNING), WARNING_DUE)],
        COMPLETED: [(timer(ENABLE), START), (timer(AUTO_END), END)],
        CANCELLED: [(Cancel(CLIENT), BOOKED)],
    }
    for command, now in ways[status]:
        session = decide(session, command, now).session
    assert session.status is status
    return session


def statuses(session: Session) -> dict[AutomationKind, AutomationStatus]:
    return {kind: automation.status for kind, automation in session.automations.items()}


# ---- every row --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    """A row at work. `guarded` tells it from the row of the same trigger that is taken otherwise."""

    source: Status
    command: Command
    now: datetime
    destination: Status
    guarded: bool
    effects: tuple[Effect, ...]
    became: AutomationStatus | None = None
    because: str | None = None
    over_limit: bool = False

    def __str__(self) -> str:
        how = "when" if self.guarded else "else"
        return f"{self.source}-{self.command.trigger}-{self.destination}-{how}"


def missed_at(now: datetime) -> tuple[Effect, ...]:
    return (
        BroadcastStatus(StatusEvent.CANCELLED, now),
        Notify(CLIENT, NotificationType.SESSION_MISSED, now),
        Notify(PSYCHOLOGIST, NotificationType.SESSION_MISSED, now),
        CancelTimers(),
    )


def said_and_closed(
    seq: int, now: datetime, told: tuple[UUID, ...] = (CLIENT, PSYCHOLOGIST)
) -> tuple[Effect, ...]:
    return (
        StoreAutomatedMessage(AUTO_END, seq, now),
        BroadcastStatus(StatusEvent.COMPLETED, now),
        *(Notify(person, NotificationType.SESSION_COMPLETED, now) for person in told),
        CancelTimers(),
    )


def called_off_by_client(now: datetime) -> tuple[Effect, ...]:
    return (
        BroadcastStatus(StatusEvent.CANCELLED, now),
        Notify(PSYCHOLOGIST, NotificationType.SESSION_CANCELLED, now),
        CancelTimers(),
    )


DONE, SKIPPED = AutomationStatus.DONE, AutomationStatus.SKIPPED
LATE = WARNING_DUE + TICK
TOO_LATE = LAST_USEFUL_WARNING + TICK
DURING = START + timedelta(minutes=20)
TEXT = (StoreMessage(UUID(int=77), 2, CLIENT, "Halo", "c-1", DURING),)
OPENED = (
    StoreAutomatedMessage(ENABLE, 1, START),
    BroadcastStatus(StatusEvent.CHAT_ENABLED, START),
    Notify(CLIENT, NotificationType.CHAT_ENABLED, START),
    Notify(PSYCHOLOGIST, NotificationType.CHAT_ENABLED, START),
)
ANNOUNCED = (StoreAutomatedMessage(INITIAL, 1, INITIAL_DUE),)
WARNED = (BroadcastStatus(StatusEvent.ENDING_SOON, WARNING_DUE, minutes_left=5),)

LATER, NEXT_DAY = END + timedelta(minutes=15), timedelta(days=1)
MOVED = Reschedule(CLIENT, START + NEXT_DAY, END + NEXT_DAY, Leads())
OTHER = UUID(int=44)
HANDED_OVER = Reassign(PSYCHOLOGIST, OTHER, "Rina", "Asia/Makassar")
LONGER = Extend(PSYCHOLOGIST, LATER, Leads())
A_LITTLE_LONGER = Extend(PSYCHOLOGIST, END + timedelta(minutes=1), Leads())


def moved(told: NotificationType, person: UUID, now: datetime) -> tuple[Effect, ...]:
    return (BroadcastStatus(StatusEvent.RESCHEDULED, now), Notify(person, told, now), RescheduleTimers())


EXTENDED = moved(NotificationType.SESSION_EXTENDED, CLIENT, DURING)
EXTENDED_LATE = moved(NotificationType.SESSION_EXTENDED, CLIENT, END - timedelta(minutes=2))

ENDED_BY_CLIENT = said_and_closed(2, DURING, told=(PSYCHOLOGIST,))

EXAMPLES = [
    Example(
        PENDING,
        MOVED,
        BOOKED,
        PENDING,
        True,
        moved(NotificationType.SESSION_RESCHEDULED, PSYCHOLOGIST, BOOKED),
    ),
    Example(
        PENDING,
        HANDED_OVER,
        BOOKED,
        PENDING,
        True,
        (
            Notify(CLIENT, NotificationType.COUNSELING_REASSIGNED, BOOKED),
            Notify(OTHER, NotificationType.COUNSELING_REASSIGNED, BOOKED),
            ExcludeListener(PSYCHOLOGIST),
        ),
    ),
    Example(ACTIVE, LONGER, DURING, ACTIVE, True, EXTENDED),
    Example(ENDING_SOON, LONGER, END - timedelta(minutes=2), ACTIVE, True, EXTENDED_LATE),
    Example(ENDING_SOON, A_LITTLE_LONGER, END - timedelta(minutes=2), ENDING_SOON, True, EXTENDED_LATE),
    Example(PENDING, timer(INITIAL), INITIAL_DUE, PENDING, True, ANNOUNCED, DONE),
    Example(PENDING, timer(INITIAL), START, PENDING, False, (), SKIPPED, "start_was_due"),
    Example(ACTIVE, timer(INITIAL), DURING, ACTIVE, False, (), SKIPPED, "start_was_due"),
    Example(ENDING_SOON, timer(INITIAL), LATE, ENDING_SOON, False, (), SKIPPED, "start_was_due"),
    Example(PENDING, timer(ENABLE), START, ACTIVE, True, OPENED, DONE),
    Example(PENDING, timer(ENABLE), START, CANCELLED, True, missed_at(START), SKIPPED, "over_limit", True),
    Example(PENDING, timer(ENABLE), LATE, CANCELLED, False, missed_at(LATE), SKIPPED, "missed"),
    Example(ACTIVE, timer(WARNING), WARNING_DUE, ENDING_SOON, True, WARNED, DONE),
    Example(ACTIVE, timer(WARNING), TOO_LATE, ACTIVE, False, (), SKIPPED, "too_late_to_warn"),
    Example(PENDING, timer(WARNING), WARNING_DUE, PENDING, False, (), SKIPPED, "never_opened"),
    Example(ACTIVE, timer(AUTO_END), END, COMPLETED, False, said_and_closed(2, END), DONE),
    Example(ENDING_SOON, timer(AUTO_END), END, COMPLETED, False, said_and_closed(2, END), DONE),
    Example(PENDING, timer(AUTO_END), END, CANCELLED, False, missed_at(END), SKIPPED, "missed"),
    Example(ACTIVE, message(), DURING, ACTIVE, True, TEXT),
    Example(ENDING_SOON, message(), DURING, ENDING_SOON, True, TEXT),
    Example(ACTIVE, EndSession(CLIENT), DURING, COMPLETED, True, ENDED_BY_CLIENT),
    Example(ENDING_SOON, EndSession(CLIENT), DURING, COMPLETED, True, ENDED_BY_CLIENT),
    Example(PENDING, Cancel(CLIENT), BOOKED, CANCELLED, True, called_off_by_client(BOOKED)),
    Example(ACTIVE, Cancel(CLIENT), DURING, CANCELLED, True, called_off_by_client(DURING)),
    Example(ENDING_SOON, Cancel(CLIENT), DURING, CANCELLED, True, called_off_by_client(DURING)),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_row(example: Example) -> None:
    before = a_session(example.source)
    before.is_over_limit = example.over_limit
    decision = decide(before, example.command, example.now)
    assert decision.session.status is example.destination
    assert decision.effects == example.effects
    assert (decision.trigger, decision.source) == (example.command.trigger, example.source)
    assert decision.changes_state is (example.source is not example.destination)
    assert decision.at == decision.session.updated_at == example.now
    if isinstance(example.command, RunAutomation):
        automation = decision.session.automations[example.command.kind]
        assert (automation.status, automation.reason) == (example.became, example.because)
        assert automation.executed_at == example.now


def test_every_row_has_an_example() -> None:
    rows = {
        (row.trigger, source, row.destination or source, bool(row.guards))
        for row in TABLE
        for source in row.sources
    }
    shown = {(e.command.trigger, e.source, e.destination, e.guarded) for e in EXAMPLES}
    assert rows <= shown


# ---- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "command", "now", "code"),
    [
        (PENDING, message(), START, RefusalCode.CHAT_NOT_ENABLED),
        (COMPLETED, message(), END, RefusalCode.SESSION_ENDED),
        (CANCELLED, message(), START, RefusalCode.SESSION_ENDED),
        (ACTIVE, message(), END, RefusalCode.SESSION_ENDED),
        (ACTIVE, message(STRANGER), DURING, RefusalCode.NOT_PARTICIPANT),
        (ACTIVE, message(STRANGER), END, RefusalCode.NOT_PARTICIPANT),
        (PENDING, LONGER, START, RefusalCode.ILLEGAL_TRANSITION),
        (COMPLETED, LONGER, END, RefusalCode.SESSION_ENDED),
        (ACTIVE, LONGER, END, RefusalCode.SESSION_ENDED),
        (ACTIVE, Extend(CLIENT, LATER, Leads()), DURING, RefusalCode.FORBIDDEN),
        (PENDING, Extend(CLIENT, LATER, Leads()), DURING, RefusalCode.FORBIDDEN),
        (ACTIVE, HANDED_OVER, DURING, RefusalCode.ILLEGAL_TRANSITION),
        (CANCELLED, replace(HANDED_OVER, by=None), BOOKED, RefusalCode.ILLEGAL_TRANSITION),
        (PENDING, replace(HANDED_OVER, by=CLIENT), BOOKED, RefusalCode.FORBIDDEN),
        (ENDING_SOON, replace(HANDED_OVER, by=CLIENT), DURING, RefusalCode.FORBIDDEN),
        (PENDING, replace(HANDED_OVER, psychologist_id=CLIENT), BOOKED, RefusalCode.ILLEGAL_TRANSITION),
        (PENDING, replace(HANDED_OVER, psychologist_id=PSYCHOLOGIST), BOOKED, RefusalCode.ILLEGAL_TRANSITION),
        (ACTIVE, MOVED, DURING, RefusalCode.ILLEGAL_TRANSITION),
        (CANCELLED, MOVED, BOOKED, RefusalCode.ILLEGAL_TRANSITION),
        (PENDING, EndSession(CLIENT), START, RefusalCode.ILLEGAL_TRANSITION),
        (COMPLETED, EndSession(PSYCHOLOGIST), END, RefusalCode.ILLEGAL_TRANSITION),
        (CANCELLED, EndSession(CLIENT), END, RefusalCode.ILLEGAL_TRANSITION),
        (COMPLETED, Cancel(CLIENT), END, RefusalCode.ILLEGAL_TRANSITION),
        (CANCELLED, Cancel(None), END, RefusalCode.ILLEGAL_TRANSITION),
        (PENDING, timer(ENABLE), START - TICK, RefusalCode.NOT_DUE),
        (ACTIVE, timer(ENABLE), START, RefusalCode.SETTLED),
        (COMPLETED, timer(AUTO_END), END, RefusalCode.SETTLED),
        (CANCELLED, timer(INITIAL), INITIAL_DUE, RefusalCode.SETTLED),
        (PENDING, timer(ENABLE, version=0), START, RefusalCode.SETTLED),
    ],
)
def test_refusal(status: Status, command: Command, now: datetime, code: RefusalCode) -> None:
    refusal = refuse(a_session(status), command, now)
    assert refusal.code is code
    if code is not RefusalCode.NOT_PARTICIPANT:
        assert refusal.status is status


STRANGERS_COMMANDS = [
    message(STRANGER),
    EndSession(STRANGER),
    Cancel(STRANGER),
    Reschedule(STRANGER, START + NEXT_DAY, END + NEXT_DAY, Leads()),
    Extend(STRANGER, LATER, Leads()),
    replace(HANDED_OVER, by=STRANGER),
]


@pytest.mark.parametrize("command", STRANGERS_COMMANDS, ids=lambda command: command.trigger)
@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("now", [BOOKED, DURING, END])
def test_strangers_are_told_the_same_in_every_state(status: Status, command: Command, now: datetime) -> None:
    assert refuse(a_session(status), command, now).code is RefusalCode.NOT_PARTICIPANT


@pytest.mark.parametrize("command", STRANGERS_COMMANDS, ids=lambda command: command.trigger)
def test_a_strangers_refusal_carries_no_state(command: Command) -> None:
    told = {refuse(a_session(status), command, DURING).status for status in Status}
    assert told == {None}


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_nothing_leads_out_of_the_end(status: Status) -> None:
    session = a_session(status)
    commands: list[Command] = [message(), EndSession(CLIENT), Cancel(None), MOVED, LONGER, HANDED_OVER]
    commands += map(timer, AutomationKind)
    for command in commands:
        refuse(session, command, END + timedelta(days=1))


def test_an_older_plan_never_fires() -> None:
    session = a_session()
    session.schedule_version = 3
    for kind in AutomationKind:
        for old in (1, 2):
            assert refuse(session, timer(kind, old), END).code is RefusalCode.SETTLED
    assert decide(session, timer(ENABLE, 3), START).session.status is ACTIVE


def test_an_unknown_automation_is_settled() -> None:
    session = a_session()
    del session.automations[INITIAL]
    assert refuse(session, timer(INITIAL), START).code is RefusalCode.SETTLED


# ---- the misfire policy, to the instant -------------------------------------------------------------------


def test_the_announcement_is_made_until_the_start_is_due() -> None:
    in_time = decide(a_session(), timer(INITIAL), START - TICK)
    assert in_time.session.automations[INITIAL].status is DONE
    too_late = decide(a_session(), timer(INITIAL), START)
    assert too_late.session.automations[INITIAL].reason == "start_was_due"
    assert too_late.effects == ()


def test_a_late_start_opens_while_the_warnings_lead_is_left() -> None:
    opened = decide(a_session(), timer(ENABLE), WARNING_DUE)
    assert opened.session.status is ACTIVE
    assert opened.session.started_at == WARNING_DUE
    assert opened.session.automations[ENABLE].lateness_ms == 55 * 60 * 1000


def test_a_start_later_than_that_is_missed() -> None:
    missed = decide(a_session(), timer(ENABLE), WARNING_DUE + TICK)
    assert missed.session.status is CANCELLED
    assert missed.session.end_reason is EndReason.MISSED
    assert missed.session.started_at is None
    told = [effect.person_id for effect in missed.effects if isinstance(effect, Notify)]
    assert told == [CLIENT, PSYCHOLOGIST]
    assert set(statuses(missed.session).values()) == {SKIPPED}


def test_a_warning_is_given_while_a_fifth_of_its_lead_is_left() -> None:
    warned = decide(a_session(ACTIVE), timer(WARNING), LAST_USEFUL_WARNING)
    assert warned.session.status is ENDING_SOON
    assert warned.effects == (BroadcastStatus(StatusEvent.ENDING_SOON, LAST_USEFUL_WARNING, minutes_left=1),)
    skipped = decide(a_session(ACTIVE), timer(WARNING), LAST_USEFUL_WARNING + TICK)
    assert skipped.session.status is ACTIVE
    assert skipped.session.automations[WARNING].reason == "too_late_to_warn"


@pytest.mark.parametrize(
    ("late", "minutes"),
    [
        (timedelta(milliseconds=3), 5),
        (timedelta(seconds=59, milliseconds=999), 5),
        (timedelta(minutes=1), 4),
        (timedelta(minutes=3, milliseconds=1), 2),
    ],
)
def test_a_late_warning_rounds_the_minutes_that_are_left_up(late: timedelta, minutes: int) -> None:
    now = WARNING_DUE + late
    warned = decide(a_session(ACTIVE), timer(WARNING), now)
    assert warned.effects == (BroadcastStatus(StatusEvent.ENDING_SOON, now, minutes_left=minutes),)


def test_the_borders_follow_the_leads() -> None:
    session = a_session(ACTIVE, Leads(end_warning=timedelta(minutes=20)))
    assert decide(session, timer(WARNING), END - timedelta(minutes=4)).session.status is ENDING_SOON
    assert decide(session, timer(WARNING), END - timedelta(minutes=4) + TICK).session.status is ACTIVE


@pytest.mark.parametrize("late", [timedelta(0), timedelta(hours=1), timedelta(days=400)])
@pytest.mark.parametrize("status", [ACTIVE, ENDING_SOON])
def test_the_end_always_runs(status: Status, late: timedelta) -> None:
    ended = decide(a_session(status), timer(AUTO_END), END + late)
    assert ended.session.status is COMPLETED
    assert ended.session.end_reason is EndReason.AUTO_ENDED
    assert ended.session.ended_at == END + late
    assert ended.session.automations[AUTO_END].lateness_ms == late // timedelta(milliseconds=1)


def test_the_last_instant_for_a_message_is_before_the_end() -> None:
    session = a_session(ENDING_SOON)
    assert decide(session, message(), END - TICK).session.last_seq == 2
    assert refuse(session, message(), END).code is RefusalCode.SESSION_ENDED


# ---- who ends it, and what is left ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "reason"),
    [
        (CLIENT, EndReason.ENDED_BY_CLIENT),
        (PSYCHOLOGIST, EndReason.ENDED_BY_PSYCHOLOGIST),
    ],
)
def test_an_end_by_hand_says_goodbye_and_cancels_what_was_scheduled(by: UUID, reason: EndReason) -> None:
    ended = decide(a_session(ACTIVE), EndSession(by), DURING)
    other = PSYCHOLOGIST if by == CLIENT else CLIENT
    assert ended.effects == said_and_closed(2, DURING, told=(other,))
    assert ended.session.end_reason is reason
    assert ended.session.ended_at == DURING
    assert statuses(ended.session) == {
        INITIAL: AutomationStatus.CANCELLED,
        ENABLE: DONE,
        WARNING: AutomationStatus.CANCELLED,
        AUTO_END: AutomationStatus.CANCELLED,
    }
    assert ended.session.automations[AUTO_END].reason == reason


@pytest.mark.parametrize(
    ("by", "reason", "told"),
    [
        (CLIENT, EndReason.CLIENT_CANCELLED, [PSYCHOLOGIST]),
        (PSYCHOLOGIST, EndReason.PSYCHOLOGIST_CANCELLED, [CLIENT]),
        (None, EndReason.ADMIN_CANCELLED, [CLIENT, PSYCHOLOGIST]),
    ],
)
@pytest.mark.parametrize("status", [PENDING, ACTIVE, ENDING_SOON])
def test_whoever_did_not_cancel_is_told(
    status: Status, by: UUID | None, reason: EndReason, told: list[UUID]
) -> None:
    off = decide(a_session(status), Cancel(by, "sakit"), DURING)
    assert off.session.end_reason is reason
    notified = [effect for effect in off.effects if isinstance(effect, Notify)]
    assert [effect.person_id for effect in notified] == told
    assert {effect.reason for effect in notified} == {"sakit"}
    assert AutomationStatus.SCHEDULED not in statuses(off.session).values()
    assert not any(isinstance(effect, StoreAutomatedMessage) for effect in off.effects)


# ---- the plan ---------------------------------------------------------------------------------------------


def test_the_plan_of_a_session() -> None:
    due = {kind: automation.due_at for kind, automation in plan(START, END, Leads(), BOOKED).items()}
    assert due == {INITIAL: INITIAL_DUE, ENABLE: START, WARNING: WARNING_DUE, AUTO_END: END}


def test_a_late_booking_is_announced_at_once() -> None:
    booked = START - timedelta(minutes=3)
    assert plan(START, END, Leads(), booked)[INITIAL].due_at == booked


def test_a_short_session_is_warned_at_half_time() -> None:
    end = START + timedelta(minutes=8)
    assert plan(START, end, Leads(), BOOKED)[WARNING].due_at == START + timedelta(minutes=4)


def test_due_lists_what_must_run_in_order() -> None:
    session = a_session()
    assert [automation.kind for automation in session.due(START)] == [INITIAL, ENABLE]
    assert session.due(INITIAL_DUE - TICK) == []
    assert session.due(END) == list(session.automations.values())
    assert a_session(CANCELLED).due(END) == []


# ---- purity -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_the_given_session_is_never_changed(example: Example) -> None:
    given = a_session(example.source)
    before = copy.deepcopy(given)
    answer = step(given, example.command, example.now)
    assert given == before
    if isinstance(answer, Decision):
        assert answer.session is not given
        assert answer.session.automations is not given.automations


def test_no_model_is_registered_with_the_machine() -> None:
    for example in EXAMPLES:
        step(a_session(example.source), example.command, example.now)
    assert MACHINE.models == []


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_the_machine_is_made_of_the_table_alone(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the program starts: what the running one was built of, it was built of then."""
    machine = build_machine()
    assert machine.events.keys() == {row.trigger for row in TABLE}
    assert (machine.models, machine.initial) == ([], PENDING.name)
    monkeypatch.setattr(sys.modules["statemachine.step"], "TRANSITIONS", read_transitions(machine))
    before = a_session(example.source)
    before.is_over_limit = example.over_limit
    decision = decide(before, example.command, example.now)
    assert (decision.session.status, decision.effects) == (example.destination, example.effects)
    assert machine.models == []


def test_guards_and_actions_keep_their_names_in_the_machine() -> None:
    machine = build_machine()
    for trigger in {row.trigger for row in TABLE}:
        # transitions would take names as well; the table has functions.
        built: list[Any] = [
            moved for moves in machine.events[trigger].transitions.values() for moved in moves
        ]
        rows = [row for row in TABLE if row.trigger == trigger]
        assert {asked.func.__name__ for moved in built for asked in moved.conditions} == {
            guard.__name__ for row in rows for guard in row.guards
        }
        assert {(asked.__name__, asked.__doc__) for moved in built for asked in moved.after} == {
            (action.__name__, action.__doc__) for row in rows for action in row.actions
        }


# ---- moving -----------------------------------------------------------------------------------------------


def test_a_moved_session_has_a_new_plan_and_the_old_one_never_fires() -> None:
    announced = decide(a_session(), timer(INITIAL), INITIAL_DUE).session
    session = decide(announced, MOVED, INITIAL_DUE + TICK).session
    assert (session.starts_at, session.ends_at) == (START + NEXT_DAY, END + NEXT_DAY)
    assert session.client_timezone == announced.client_timezone, "a move changes no zone"
    assert set(statuses(session).values()) == {AutomationStatus.SCHEDULED}
    for kind in AutomationKind:
        assert refuse(session, timer(kind), END + NEXT_DAY).code is RefusalCode.SETTLED
    assert decide(session, timer(ENABLE, 2), START + NEXT_DAY).session.status is ACTIVE


def test_what_is_sent_after_a_hand_over_comes_from_the_new_psychologist() -> None:
    announced = decide(a_session(), timer(INITIAL), INITIAL_DUE).session
    handed_over = decide(announced, replace(HANDED_OVER, by=None), INITIAL_DUE)
    told = [one for one in handed_over.effects if isinstance(one, Notify)]
    reassigned = NotificationType.COUNSELING_REASSIGNED
    assert told == [Notify(one, reassigned, INITIAL_DUE) for one in (CLIENT, OTHER, PSYCHOLOGIST)]
    session = handed_over.session
    assert session.participants == (CLIENT, OTHER)
    assert (session.psychologist_name, session.psychologist_timezone) == ("Rina", "Asia/Makassar")
    assert (session.automations, session.schedule_version) == (
        announced.automations,
        announced.schedule_version,
    )
    opened = decide(session, timer(ENABLE), START)
    assert [one.person_id for one in opened.effects if isinstance(one, Notify)] == [CLIENT, OTHER]
    assert refuse(opened.session, message(PSYCHOLOGIST), DURING).code is RefusalCode.NOT_PARTICIPANT
    assert decide(opened.session, message(OTHER), DURING).effects


def test_the_psychologist_reads_times_in_their_zone_and_all_others_in_the_clients() -> None:
    session = a_session()
    session.client_timezone, session.psychologist_timezone = "Asia/Jakarta", "Asia/Jayapura"
    assert session.timezone_of(PSYCHOLOGIST) == "Asia/Jayapura"
    assert {session.timezone_of(one) for one in (CLIENT, STRANGER)} == {"Asia/Jakarta"}


def test_an_extended_session_is_warned_again_and_ends_later() -> None:
    warned = a_session(ENDING_SOON)
    session = decide(warned, LONGER, WARNING_DUE + TICK).session
    assert statuses(session)[INITIAL] is AutomationStatus.SCHEDULED
    assert session.automations[ENABLE] == warned.automations[ENABLE]
    assert session.automations[WARNING].due_at == LATER - timedelta(minutes=5)
    assert refuse(session, timer(AUTO_END), END).code is RefusalCode.SETTLED
    again = decide(session, timer(WARNING, 2), LATER - timedelta(minutes=5)).session
    assert again.status is ENDING_SOON
    assert decide(again, timer(AUTO_END, 2), LATER).session.status is COMPLETED


def test_an_extension_whose_warning_is_due_right_now_does_not_go_back() -> None:
    now = END - timedelta(minutes=1)
    later = Extend(PSYCHOLOGIST, now + timedelta(minutes=5), Leads())
    assert decide(a_session(ENDING_SOON), later, now).session.status is ENDING_SOON
    assert decide(a_session(ENDING_SOON), later, now - TICK).session.status is ACTIVE


def test_an_extension_lays_out_end_and_warning_anew_and_leaves_what_is_behind() -> None:
    extended = decide(a_session(ENDING_SOON), LONGER, WARNING_DUE + TICK).session.automations
    assert [extended[kind].kind for kind in AutomationKind] == list(AutomationKind)
    assert extended[AUTO_END].due_at == LATER
    given = decide(a_session(ENDING_SOON), A_LITTLE_LONGER, END - timedelta(minutes=2)).session
    assert (given.automations[WARNING].due_at, given.automations[WARNING].status) == (WARNING_DUE, DONE)
    # Its warning would be due at this very instant: it was given, and is not given again.
    now = END - timedelta(minutes=1)
    at_once = decide(a_session(ENDING_SOON), Extend(PSYCHOLOGIST, now + timedelta(minutes=5), Leads()), now)
    assert at_once.session.automations[WARNING].status is DONE
    # Here it was never given, for timers run late; it belongs to the new end although it is due already.
    late = decide(a_session(ACTIVE), A_LITTLE_LONGER, END - timedelta(minutes=2)).session
    assert late.automations[WARNING] == Automation(WARNING, END - timedelta(minutes=4))


def test_a_session_that_is_over_says_so_in_what_it_leaves_undone() -> None:
    cancelled = a_session(CANCELLED).automations
    assert {(left.status, left.reason) for left in cancelled.values()} == {
        (AutomationStatus.CANCELLED, EndReason.CLIENT_CANCELLED)
    }
    missed = decide(a_session(), timer(ENABLE), LATE).session.automations
    assert {(left.status, left.reason) for left in missed.values()} == {(SKIPPED, EndReason.MISSED)}
    completed = decide(a_session(ACTIVE), EndSession(PSYCHOLOGIST), DURING).session.automations
    assert (completed[AUTO_END].status, completed[AUTO_END].reason) == (
        AutomationStatus.CANCELLED,
        EndReason.ENDED_BY_PSYCHOLOGIST,
    )


@pytest.mark.parametrize(("late", "lateness_ms"), [(0 * TICK, 0), (TICK, 0), (timedelta(milliseconds=2), 2)])
def test_lateness_is_counted_in_whole_milliseconds(late: timedelta, lateness_ms: int) -> None:
    opened = decide(a_session(), timer(ENABLE), START + late).session
    assert opened.automations[ENABLE].lateness_ms == lateness_ms


def test_a_message_takes_its_attachment_along() -> None:
    attachment = Attachment(UUID(int=5), "a.pdf", "application/pdf", 10)
    said = SendMessage(UUID(int=77), CLIENT, "", "c-1", attachment)
    (stored,) = decide(a_session(ACTIVE), said, DURING).effects
    assert isinstance(stored, StoreMessage)
    assert stored.attachment == attachment


def test_what_no_person_asks_for_is_asked_by_no_participant() -> None:
    context = TransitionContext(a_session(), timer(ENABLE), START)
    assert guards.participant(context) is False
    assert context.refusal is RefusalCode.NOT_PARTICIPANT


@pytest.mark.parametrize(
    ("left", "minutes"), [(-TICK, 0), (0 * TICK, 0), (TICK, 1), (timedelta(minutes=2), 2)]
)
def test_no_minutes_are_left_only_when_it_is_over(left: timedelta, minutes: int) -> None:
    assert minutes_left(a_session(), END - left) == minutes


def test_both_are_known_by_name() -> None:
    assert (a_session().name_of(CLIENT), a_session().name_of(PSYCHOLOGIST)) == ("Budi", "Sari")


def test_a_session_for_which_there_is_no_place_is_not_opened() -> None:
    session = a_session()
    session.is_over_limit = True
    decision = decide(session, timer(ENABLE), START)
    assert (decision.session.status, decision.session.end_reason) == (CANCELLED, EndReason.OVER_LIMIT)
    assert decision.effects == missed_at(START)


def test_automations_that_are_due_at_one_instant_run_in_this_order() -> None:
    assert RUN_ORDER == ("initial_message", "enable_chat", "end_warning", "auto_end")
    assert set(RUN_ORDER) == set(AutomationKind), "a new kind needs its place"

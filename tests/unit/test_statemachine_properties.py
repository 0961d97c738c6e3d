"""What holds for a session whatever is asked of it, in any order, at any time.

Hypothesis plays the clients, the administrator, a clock that jumps (also back: replicas disagree) and a delay
queue that fires early, late, twice, in the wrong order and for plans that no longer count.
"""

from __future__ import annotations

import copy
import operator
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from statemachine import (
    TERMINAL,
    AutomationKind,
    AutomationStatus,
    Cancel,
    Command,
    Decision,
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
    step,
)
from statemachine.effects import CancelTimers, Effect, StoreAutomatedMessage, StoreMessage
from statemachine.schedule import Leads, plan
from statemachine.step import MACHINE
from statemachine.table import TABLE
from tests.support.automations import ALWAYS, planned

CLIENT, PSYCHOLOGIST, STRANGER, OTHER = (UUID(int=number) for number in (1, 2, 3, 4))
START = datetime(2026, 12, 1, 7, tzinfo=UTC)
END = START + timedelta(hours=1)
BOOKED = START - timedelta(days=2)
PLAN_VERSION = 2

WAYS = {(row.trigger, source, row.destination or source) for row in TABLE for source in row.sources}
SETTLED = {AutomationStatus.DONE, AutomationStatus.SKIPPED, AutomationStatus.CANCELLED}

people = st.sampled_from([CLIENT, PSYCHOLOGIST, STRANGER, OTHER])
people_or_admin = st.sampled_from([CLIENT, PSYCHOLOGIST, STRANGER, OTHER, None])
borders = st.sampled_from(
    [
        BOOKED,
        START - timedelta(minutes=10),
        START,
        START + timedelta(minutes=30),
        END - timedelta(minutes=5),
        END - timedelta(minutes=1),
        END,
        END + timedelta(days=1),
    ]
)
a_little = st.timedeltas(min_value=timedelta(seconds=-90), max_value=timedelta(seconds=90))
instants = st.one_of(
    borders,
    st.builds(operator.add, borders, a_little),
    st.timedeltas(min_value=timedelta(days=-3), max_value=timedelta(days=3)).map(START.__add__),
)
lateness = st.one_of(
    st.just(timedelta(0)),
    a_little.map(abs),
    st.timedeltas(min_value=timedelta(0), max_value=timedelta(hours=2)),
)


class ChatSession(RuleBasedStateMachine):
    """One session, and everything that was decided about it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BOOKED
        self.history: list[tuple[str, Status, Status]] = []
        self.effects: list[Effect] = []
        self.plans = 1
        self.session = Session(
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
            schedule_version=PLAN_VERSION,
            automations=plan(START, END, Leads(), BOOKED),
        )

    def put(self, command: Command) -> Decision | Refusal:
        before = self.session
        untouched = copy.deepcopy(before)
        answer = step(before, command, self.now)
        assert before == untouched
        if isinstance(answer, Refusal):
            return answer
        assert not before.is_over
        after = answer.session
        assert answer.source is before.status
        self.history.append((answer.trigger, answer.source, after.status))
        self.effects.extend(answer.effects)
        cancelled_timers = sum(isinstance(effect, CancelTimers) for effect in answer.effects)
        assert cancelled_timers == (after.is_over and not before.is_over)
        for kind, automation in before.automations.items():
            if automation.status in SETTLED and answer.trigger not in ("reschedule", "extend"):
                assert after.automations[kind] == automation
        self.session = after
        return answer

    def takes_part(self, person: UUID | None) -> bool:
        """Whether someone may act on the session; None: an administrator."""
        return person is None or person in self.session.participants

    def waiting(self) -> list[AutomationKind]:
        automations = self.session.automations.values()
        return [a.kind for a in automations if a.status is AutomationStatus.SCHEDULED]

    # ---- time ---------------------------------------------------------------------------------------------

    @rule(now=instants)
    def let_time_pass(self, now: datetime) -> None:
        self.now = now

    # ---- timers -------------------------------------------------------------------------------------------

    @rule(kind=st.sampled_from(AutomationKind))
    def fire(self, kind: AutomationKind) -> None:
        automation = self.session.automations.get(kind)
        if automation is None:
            # Not every session has it: a timer of it is one of a plan that was replaced.
            answer = self.put(RunAutomation(kind, self.session.schedule_version))
            assert isinstance(answer, Refusal)
            assert answer.code is RefusalCode.SETTLED
            return
        to_do = automation.status is AutomationStatus.SCHEDULED and not self.session.is_over
        answer = self.put(RunAutomation(kind, self.session.schedule_version))
        if isinstance(answer, Refusal):
            # A timer whose work is still to do is only ever told to come back; it is never left dangling.
            expected = RefusalCode.NOT_DUE if to_do else RefusalCode.SETTLED
            assert answer.code is expected
            assert not to_do or self.now < automation.due_at
        else:
            assert to_do
            assert self.session.automations[kind].status in SETTLED

    @precondition(lambda self: self.waiting())
    @rule(data=st.data(), late=lateness)
    def fire_one_that_waits(self, data: st.DataObject, late: timedelta) -> None:
        kind = data.draw(st.sampled_from(self.waiting()))
        self.now = self.session.automations[kind].due_at + late
        self.fire(kind)

    @rule(kind=st.sampled_from(AutomationKind), version=st.integers(0, PLAN_VERSION - 1))
    def fire_of_an_older_plan(self, kind: AutomationKind, version: int) -> None:
        answer = self.put(RunAutomation(kind, version))
        assert isinstance(answer, Refusal)
        assert answer.code is RefusalCode.SETTLED

    @rule()
    def catch_up(self) -> None:
        for automation in self.session.due(self.now):
            self.put(RunAutomation(automation.kind, self.session.schedule_version))
        assert self.session.due(self.now) == []

    # ---- people -------------------------------------------------------------------------------------------

    @rule(sender=people)
    def send(self, sender: UUID) -> None:
        allowed = self.session.is_open and self.now < self.session.ends_at and self.takes_part(sender)
        answer = self.put(SendMessage(UUID(int=77), sender, "Halo"))
        assert isinstance(answer, Decision) is allowed

    @rule(by=people)
    def end(self, by: UUID) -> None:
        allowed = self.session.is_open and self.takes_part(by)
        assert isinstance(self.put(EndSession(by)), Decision) is allowed

    @rule(by=people_or_admin, by_how_much=st.sampled_from([timedelta(minutes=30), timedelta(days=2)]))
    def reschedule(self, by: UUID | None, by_how_much: timedelta) -> None:
        start = max(self.now, self.session.starts_at) + by_how_much
        before = self.session
        allowed = before.status is Status.PENDING and self.takes_part(by)
        answer = self.put(Reschedule(by, start, start + timedelta(hours=1), Leads()))
        assert isinstance(answer, Decision) is allowed
        if allowed:
            self.plans += 1
            assert self.session.schedule_version == before.schedule_version + 1
            assert self.waiting() == list(planned(start - self.now))

    @rule(by=people_or_admin, to=people)
    def reassign(self, by: UUID | None, to: UUID) -> None:
        before = self.session
        allowed = (
            before.status is Status.PENDING
            and by in (None, before.psychologist_id)
            and to not in before.participants
        )
        answer = self.put(Reassign(by, to, "Rina", "Asia/Makassar"))
        assert isinstance(answer, Decision) is allowed
        if allowed:
            assert self.session.participants == (CLIENT, to)
            assert self.session.automations == before.automations
            assert not self.takes_part(before.psychologist_id)

    @rule(by=people, much=st.sampled_from([timedelta(minutes=5), timedelta(minutes=15)]))
    def extend(self, by: UUID, much: timedelta) -> None:
        before = self.session
        allowed = before.is_open and self.now < before.ends_at and by == before.psychologist_id
        answer = self.put(Extend(by, before.ends_at + much, Leads()))
        assert isinstance(answer, Decision) is allowed
        if allowed:
            assert self.session.schedule_version == before.schedule_version + 1
            warning = self.session.automations[AutomationKind.END_WARNING]
            # Whoever sees the end button has been warned of the present end.
            warned = self.session.status is Status.ENDING_SOON
            assert not warned or warning.status is not AutomationStatus.SCHEDULED
            assert AutomationKind.AUTO_END in self.waiting()

    @rule(by=people_or_admin)
    def cancel(self, by: UUID | None) -> None:
        allowed = not self.session.is_over and self.takes_part(by)
        assert isinstance(self.put(Cancel(by)), Decision) is allowed

    # ---- what always holds --------------------------------------------------------------------------------

    @invariant()
    def the_chat_is_open_exactly_in_active_and_ending_soon(self) -> None:
        assert self.session.is_open is (self.session.status in {Status.ACTIVE, Status.ENDING_SOON})

    @invariant()
    def the_history_is_a_path_of_the_table(self) -> None:
        here = Status.PENDING
        for trigger, source, destination in self.history:
            assert source is here
            assert source not in TERMINAL
            assert (trigger, source, destination) in WAYS
            here = destination
        assert here is self.session.status

    @invariant()
    def only_a_timer_opens_the_chat(self) -> None:
        openings = [
            trigger
            for trigger, source, destination in self.history
            if destination is Status.ACTIVE and source is Status.PENDING
        ]
        assert openings in ([], ["enable_chat"])
        assert (self.session.started_at is not None) is (openings != [])

    @invariant()
    def seq_is_dense(self) -> None:
        seqs = [
            effect.seq for effect in self.effects if isinstance(effect, StoreMessage | StoreAutomatedMessage)
        ]
        assert seqs == list(range(1, self.session.last_seq + 1))

    @invariant()
    def each_automated_text_is_said_at_most_once(self) -> None:
        said = Counter(effect.kind for effect in self.effects if isinstance(effect, StoreAutomatedMessage))
        # A session that was moved after it was announced is announced again.
        assert said.pop(AutomationKind.INITIAL_MESSAGE, 0) <= self.plans
        assert all(times == 1 for times in said.values())
        assert AutomationKind.END_WARNING not in said
        if self.session.status is Status.COMPLETED:
            assert said[AutomationKind.AUTO_END] == 1

    @invariant()
    def timers_are_cancelled_exactly_when_it_is_over(self) -> None:
        cancelled_timers = sum(isinstance(effect, CancelTimers) for effect in self.effects)
        assert cancelled_timers == int(self.session.is_over)

    @invariant()
    def nothing_stays_scheduled_when_it_is_over(self) -> None:
        assert set(ALWAYS) <= set(self.session.automations)
        if self.session.is_over:
            assert {automation.status for automation in self.session.automations.values()} <= SETTLED

    @invariant()
    def the_end_is_recorded_exactly_when_it_is_over(self) -> None:
        assert (self.session.end_reason is not None) is self.session.is_over
        assert (self.session.ended_at is not None) is self.session.is_over

    @invariant()
    def the_machine_knows_no_session(self) -> None:
        assert MACHINE.models == []


TestChatSession = ChatSession.TestCase
TestChatSession.settings = settings(max_examples=300, stateful_step_count=25, deadline=None)

"""The pipeline: mailboxes, group commit, the fence, refusals that can be trusted, unknown outcomes."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import orjson
import pytest
from structlog.testing import capture_logs

from rdchat.common.errors import UnavailableError
from rdchat.engine import actor
from rdchat.engine import engine as engine_module
from rdchat.engine.batch import SLACK
from rdchat.engine.engine import Engine
from rdchat.engine.result import CommandResult
from rdchat.engine.storage import CommitRefusedError
from statemachine import (
    AutomationKind,
    AutomationStatus,
    Cancel,
    EndSession,
    Refusal,
    RefusalCode,
    RunAutomation,
    SendMessage,
    Session,
    SessionOutcome,
    Status,
)
from tests.support.memory_storage import MemoryStorage, SetClock
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from rdchat.engine.change import Change
    from rdchat.engine.storage import CommitResult


class Effects:
    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.doubted: list[Change] = []
        self.lost = 0

    def committed(self, changes: list[Change]) -> None:
        self.changes += changes

    def uncertain(self, changes: list[Change]) -> None:
        self.doubted += changes

    def fenced(self, sessions: int) -> None:
        self.lost += sessions


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def effects() -> Effects:
    return Effects()


@pytest.fixture
async def engine(storage: MemoryStorage, effects: Effects, clock: SetClock) -> AsyncIterator[Engine]:
    engine = Engine(storage, effects, clock)
    engine.start()
    yield engine
    await engine.close()


def hurried(
    monkeypatch: pytest.MonkeyPatch, paused: Callable[[int], None] = lambda _pauses: None
) -> list[float]:
    """Let the engine's pauses take no time. Return them, in seconds, as they come."""
    loop = asyncio.get_running_loop()
    pauses: list[float] = []
    later = loop.call_later

    def hurry(delay: float, callback: Callable[..., object], *rest: object) -> asyncio.TimerHandle:
        if callback.__name__ != "put_back":
            return later(delay, callback, *rest)
        pauses.append(delay)
        paused(len(pauses))
        return later(0, callback, *rest)

    monkeypatch.setattr(loop, "call_later", hurry)
    return pauses


@pytest.fixture
def open_session(storage: MemoryStorage, clock: SetClock) -> Session:
    return storage.add(clock, status=Status.ACTIVE)


class Hanging:
    """Commits that hang until they are released, unless they begin with the session `unless`."""

    def __init__(
        self, storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch, *, unless: UUID | None = None
    ) -> None:
        self.commits = 0
        self.released = asyncio.Event()
        self._unless = unless
        self._commit = storage.commit
        monkeypatch.setattr(storage, "commit", self._hang)

    async def _hang(self, changes: list[Change]) -> object:
        if changes[0].after.id != self._unless:
            self.commits += 1
            # Not for ever: a test that fails releases nothing.
            async with asyncio.timeout(5):
                await self.released.wait()
        return await self._commit(changes)


def message(session: Session, text: str = "Halo", client_message_id: str | None = None) -> SendMessage:
    return SendMessage(uuid4(), session.client_id, text, client_message_id)


async def accepted(engine: Engine, session: Session, command: object) -> CommandResult:
    result = await engine.submit(session.id, command)  # type: ignore[arg-type]
    assert isinstance(result, CommandResult), result
    return result


async def test_a_message_is_answered_after_its_commit(
    engine: Engine, storage: MemoryStorage, effects: Effects, open_session: Session
) -> None:
    outcome = await accepted(engine, open_session, message(open_session))
    assert outcome.message is not None
    assert storage.said(open_session.id) == [outcome.message]
    assert storage.truth[open_session.id].version == 1
    entries = [change.outbox_entry for change in effects.changes]
    assert None not in entries
    assert [event.name for entry in entries if entry for event in entry.events] == ["message"]


async def test_fifty_senders_get_a_dense_seq_in_few_commits(
    engine: Engine, storage: MemoryStorage, open_session: Session
) -> None:
    outcomes = await asyncio.gather(
        *(accepted(engine, open_session, message(open_session, str(number))) for number in range(50))
    )
    assert sorted(one.message.seq for one in outcomes if one.message) == list(range(1, 51))
    assert [one.seq for one in storage.said(open_session.id)] == list(range(1, 51))
    assert len(storage.commits) <= 2


async def test_commands_of_many_sessions_share_a_commit(
    engine: Engine, storage: MemoryStorage, clock: SetClock
) -> None:
    sessions = [storage.add(clock, status=Status.ACTIVE) for _ in range(40)]
    await asyncio.gather(*(accepted(engine, session, message(session)) for session in sessions))
    assert sum(storage.commits) == 40
    assert len(storage.commits) <= 2


async def test_a_stale_snapshot_never_refuses(
    engine: Engine, storage: MemoryStorage, open_session: Session
) -> None:
    stale = copy.copy(open_session)
    stale.status = Status.PENDING
    storage.snapshots[open_session.id] = stale
    await accepted(engine, open_session, message(open_session))


async def test_nobody_is_turned_away_for_a_place_that_has_become_free(
    engine: Engine, storage: MemoryStorage, clock: SetClock
) -> None:
    session = storage.add(clock)
    crowded = copy.copy(session)
    crowded.is_over_limit = True
    storage.snapshots[session.id] = crowded
    clock.instant = session.starts_at
    outcome = await accepted(engine, session, RunAutomation(AutomationKind.ENABLE_CHAT, 1))
    assert outcome.session.status is Status.ACTIVE


async def test_a_refusal_is_asked_of_the_truth_even_by_an_actor_in_memory(
    engine: Engine, storage: MemoryStorage, clock: SetClock
) -> None:
    session = storage.add(clock)
    refusal = await engine.submit(session.id, message(session))
    assert isinstance(refusal, Refusal)
    elsewhere = copy.copy(storage.truth[session.id])
    elsewhere.status, elsewhere.version = Status.ACTIVE, 1
    storage.truth[session.id] = elsewhere
    outcome = await accepted(engine, session, message(session))
    assert outcome.session.status is Status.ACTIVE


async def test_whoever_loses_the_race_steps_again_on_the_truth(
    engine: Engine, storage: MemoryStorage, open_session: Session
) -> None:
    await accepted(engine, open_session, message(open_session))
    elsewhere = copy.copy(storage.truth[open_session.id])
    elsewhere.version, elsewhere.last_seq = 2, 7
    storage.truth[open_session.id] = elsewhere
    outcome = await accepted(engine, open_session, message(open_session))
    assert outcome.message is not None
    assert outcome.message.seq == 8
    assert storage.truth[open_session.id].version == 3


async def test_talk_goes_behind_what_others_have_said_meanwhile(
    engine: Engine, storage: MemoryStorage, effects: Effects, open_session: Session
) -> None:
    await accepted(engine, open_session, message(open_session))
    storage.truth[open_session.id] = replace(storage.truth[open_session.id], version=4, last_seq=2)
    # The first time it is news that others talk elsewhere; from then on there is room for what they say.
    await accepted(engine, open_session, message(open_session))
    assert (effects.lost, len(storage.commits), storage.truth[open_session.id].last_seq) == (1, 3, 3)
    storage.truth[open_session.id] = replace(storage.truth[open_session.id], version=12, last_seq=3 + SLACK)
    outcomes = await asyncio.gather(
        *(accepted(engine, open_session, message(open_session, client_message_id=name)) for name in "ab")
    )
    assert [one.message.seq for one in outcomes if one.message is not None] == [11, 12]
    assert [one.session.last_seq for one in outcomes] == [12, 12]
    assert (effects.lost, len(storage.commits), storage.truth[open_session.id].version) == (1, 4, 13)
    entry = effects.changes[-1].outbox_entry
    assert entry is not None
    assert entry.version == 13
    assert [orjson.loads(event.data)["seq"] for event in entry.events] == [11, 12]
    assert all(f"-{entry.version}-" in event.ably_id for event in entry.events)
    repeated = await accepted(engine, open_session, message(open_session, client_message_id="b"))
    assert repeated.repeated
    assert repeated.message == outcomes[1].message


async def test_a_repetition_beside_talk_that_is_numbered_anew_keeps_its_number(
    engine: Engine, storage: MemoryStorage, open_session: Session
) -> None:
    first = await accepted(engine, open_session, message(open_session, client_message_id="a"))
    storage.truth[open_session.id] = replace(storage.truth[open_session.id], version=4, last_seq=6)
    repeated, new = await asyncio.gather(
        *(accepted(engine, open_session, message(open_session, client_message_id=name)) for name in "ab")
    )
    assert (repeated.repeated, repeated.message) == (True, first.message)
    assert new.message is not None
    assert new.message.seq == 7


async def test_talk_loses_to_an_end_elsewhere(
    engine: Engine, storage: MemoryStorage, clock: SetClock, open_session: Session
) -> None:
    await accepted(engine, open_session, message(open_session))
    storage.truth[open_session.id] = replace(
        storage.truth[open_session.id],
        version=2,
        state_version=2,
        status=Status.COMPLETED,
        ended_at=clock.now(),
    )
    refusal = await engine.submit(open_session.id, message(open_session))
    assert isinstance(refusal, Refusal)
    assert refusal.code is RefusalCode.SESSION_ENDED
    assert len(storage.said(open_session.id)) == 1
    assert storage.reads == 2, "what it was told after the race was the truth"


async def test_a_commit_that_happened_before_the_connection_was_lost_is_not_repeated(
    engine: Engine, storage: MemoryStorage, effects: Effects, open_session: Session
) -> None:
    storage.lose_after = 1
    sent = message(open_session)
    outcome = await accepted(engine, open_session, sent)
    assert outcome.message is not None
    assert outcome.message.id == sent.message_id
    assert len(storage.said(open_session.id)) == 1
    assert not effects.changes
    [doubted] = effects.doubted
    assert doubted.messages == [outcome.message], "its events are looked for"


async def test_everyone_whose_command_was_in_a_commit_that_happened_is_answered(
    engine: Engine, storage: MemoryStorage, open_session: Session
) -> None:
    storage.lose_after = 1
    outcomes = await asyncio.gather(
        *(accepted(engine, open_session, message(open_session, text)) for text in "abc")
    )
    assert [one.message for one in outcomes] == storage.said(open_session.id)


async def test_an_end_that_happened_before_the_connection_was_lost_is_no_illegal_transition(
    engine: Engine, storage: MemoryStorage, open_session: Session
) -> None:
    storage.lose_after = 1
    outcome = await accepted(engine, open_session, EndSession(open_session.client_id))
    assert outcome.session.status is Status.COMPLETED
    assert outcome.message is None
    assert len(storage.said(open_session.id)) == 1


async def test_a_commit_that_happens_after_the_next_attempt_began_is_not_repeated(
    engine: Engine, storage: MemoryStorage, open_session: Session
) -> None:
    storage.land_late = True
    sent = message(open_session)
    outcome = await accepted(engine, open_session, sent)
    assert outcome.message is not None
    assert [one.id for one in storage.said(open_session.id)] == [sent.message_id]


async def test_a_snapshot_that_lost_a_race_is_not_believed_again(
    engine: Engine, storage: MemoryStorage, open_session: Session
) -> None:
    storage.snapshots[open_session.id] = copy.copy(open_session)
    elsewhere = copy.copy(open_session)
    elsewhere.version, elsewhere.state_version, elsewhere.last_seq = 5, 5, 9
    storage.truth[open_session.id] = elsewhere
    outcome = await accepted(engine, open_session, message(open_session))
    assert outcome.message is not None
    assert outcome.message.seq == 10
    assert len(storage.commits) == 2


async def test_a_commit_that_did_not_happen_is_tried_again(
    engine: Engine, storage: MemoryStorage, open_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    again: list[bool] = []
    commit = storage.commit

    async def note(changes: list[Change]) -> dict[UUID, CommitResult]:
        again.extend(one.again for one in changes)
        return await commit(changes)

    monkeypatch.setattr(storage, "commit", note)
    storage.lose_before = 2
    await accepted(engine, open_session, message(open_session))
    assert len(storage.said(open_session.id)) == 1
    assert again == [False, True, True]
    assert engine.live_actors == engine.passivate(idle_seconds=0) == 1


async def test_while_the_database_is_away_senders_are_told_in_the_end(
    engine: Engine, storage: MemoryStorage, open_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_PATIENCE_SECONDS", 0.2)
    storage.away = True
    with pytest.raises(UnavailableError):
        await engine.submit(open_session.id, message(open_session))
    storage.away = False
    await accepted(engine, open_session, message(open_session))


@pytest.mark.parametrize("name", [None, "a"])
@pytest.mark.parametrize("count", [1, 2, 10])
async def test_one_bad_decision_does_not_sink_its_neighbours(
    engine: Engine, storage: MemoryStorage, clock: SetClock, count: int, name: str | None
) -> None:
    sessions = [storage.add(clock, status=Status.ACTIVE) for _ in range(count)]
    storage.poisoned.add(sessions[0].id)
    async with asyncio.timeout(5):
        results = await asyncio.gather(
            *(engine.submit(session.id, message(session, client_message_id=name)) for session in sessions),
            return_exceptions=True,
        )
    assert isinstance(results[0], CommitRefusedError)
    assert sum(isinstance(result, CommandResult) for result in results) == count - 1
    storage.poisoned.clear()
    await accepted(engine, sessions[0], message(sessions[0], client_message_id=name))


async def test_a_session_that_cannot_be_stepped_does_not_sink_its_neighbours(
    engine: Engine, storage: MemoryStorage, clock: SetClock
) -> None:
    broken, sound = storage.add(clock, status=Status.ACTIVE), storage.add(clock, status=Status.ACTIVE)
    broken.language = "xx"
    results = await asyncio.gather(
        engine.submit(broken.id, EndSession(broken.client_id)),
        engine.submit(sound.id, EndSession(sound.client_id)),
        return_exceptions=True,
    )
    assert isinstance(results[0], KeyError)
    assert isinstance(results[1], CommandResult)


async def test_a_repeated_client_message_id_gives_the_first_message(
    engine: Engine, storage: MemoryStorage, open_session: Session
) -> None:
    outcomes = await asyncio.gather(
        *(accepted(engine, open_session, message(open_session, "Halo", "a")) for _ in range(10))
    )
    assert [one.message for one in outcomes] == storage.said(open_session.id) * 10
    assert {one.session.id for one in outcomes} == {open_session.id}
    assert sum(not one.repeated for one in outcomes) == 1
    again = await accepted(engine, open_session, message(open_session, "Halo", "a"))
    assert again.repeated
    assert again.session.id == open_session.id
    assert len(storage.said(open_session.id)) == 1


async def test_a_repetition_is_recognised_after_the_actor_was_forgotten(
    engine: Engine, storage: MemoryStorage, open_session: Session
) -> None:
    first = await accepted(engine, open_session, message(open_session, "Halo", "a"))
    assert engine.passivate(idle_seconds=0) == 1
    batch = await asyncio.gather(
        accepted(engine, open_session, message(open_session, "Halo", "a")),
        accepted(engine, open_session, message(open_session, "new", "b")),
    )
    assert (batch[0].repeated, batch[0].message) == (True, first.message)
    assert batch[0].session.id == open_session.id
    assert not batch[1].repeated
    assert [one.text for one in storage.said(open_session.id)] == ["Halo", "new"]


async def test_a_repetition_after_the_end_is_the_message_and_no_refusal(
    engine: Engine, open_session: Session
) -> None:
    first = await accepted(engine, open_session, message(open_session, "Halo", "a"))
    await accepted(engine, open_session, EndSession(open_session.psychologist_id))
    engine.passivate(idle_seconds=0)
    again = await accepted(engine, open_session, message(open_session, "Halo", "a"))
    assert (again.repeated, again.message) == (True, first.message)
    assert again.session.status is Status.COMPLETED
    refused = await engine.submit(open_session.id, message(open_session, "Halo", "b"))
    assert isinstance(refused, Refusal)


async def test_one_who_repeats_behind_the_end_keeps_others_from_nothing(
    engine: Engine, storage: MemoryStorage, open_session: Session
) -> None:
    first = await accepted(engine, open_session, message(open_session, "Halo", "a"))
    engine.passivate(idle_seconds=0)
    last, repeated, ended, late = await asyncio.gather(
        accepted(engine, open_session, message(open_session, "last", "b")),
        accepted(engine, open_session, message(open_session, "last", "b")),
        accepted(engine, open_session, EndSession(open_session.psychologist_id)),
        accepted(engine, open_session, message(open_session, "Halo", "a")),
    )
    assert len(storage.commits) == 2
    assert (last.repeated, repeated.repeated, repeated.message) == (False, True, last.message)
    assert ended.session.status is Status.COMPLETED
    assert (late.repeated, late.message) == (True, first.message)


async def test_who_comes_too_late_ends_the_session(
    engine: Engine, storage: MemoryStorage, clock: SetClock, open_session: Session
) -> None:
    """A refusal by the clock alone would not bind a replica that decided before the end and commits late."""
    clock.instant = open_session.ends_at
    refused = await engine.submit(open_session.id, message(open_session, "Halo", "a"))
    assert refused == Refusal(RefusalCode.SESSION_ENDED, Status.COMPLETED)
    assert storage.truth[open_session.id].status is Status.COMPLETED
    assert [one.message_type for one in storage.said(open_session.id)] == ["automated"]
    ended = [one for one in storage.timeline if one.trigger == "auto_end"]
    assert len(ended) == 1
    assert isinstance(ended[0].command_id, UUID)
    settled = await engine.submit(open_session.id, RunAutomation(AutomationKind.AUTO_END, 1))
    assert settled == Refusal(RefusalCode.SETTLED, Status.COMPLETED)


async def test_a_message_that_is_on_its_way_elsewhere_at_the_end_is_no_refusal(
    engine: Engine, storage: MemoryStorage, effects: Effects, clock: SetClock, open_session: Session
) -> None:
    storage.land_late = True
    other = Engine(storage, effects, clock)
    other.start()
    sent = asyncio.create_task(other.submit(open_session.id, message(open_session, "Halo", "a")))
    await until(lambda: not storage.land_late)
    await other.close()
    with pytest.raises(UnavailableError):
        await sent
    clock.instant = open_session.ends_at
    again = await accepted(engine, open_session, message(open_session, "Halo", "a"))
    assert again.repeated
    assert [one.text for one in storage.said(open_session.id)][:1] == ["Halo"]
    assert storage.truth[open_session.id].status is Status.COMPLETED


async def test_what_fell_due_earlier_runs_first(
    engine: Engine, storage: MemoryStorage, clock: SetClock
) -> None:
    session = storage.add(clock)
    clock.instant = session.starts_at + timedelta(seconds=1)
    outcome = await accepted(engine, session, RunAutomation(AutomationKind.ENABLE_CHAT, 1))
    statuses = {kind: one.status for kind, one in outcome.session.automations.items()}
    assert statuses[AutomationKind.INITIAL_MESSAGE] is AutomationStatus.SKIPPED
    assert statuses[AutomationKind.ENABLE_CHAT] is AutomationStatus.DONE
    assert [one.trigger for one in storage.timeline] == ["initial_message", "enable_chat"]


async def test_a_timer_that_fires_twice_acts_once(
    engine: Engine, storage: MemoryStorage, clock: SetClock
) -> None:
    session = storage.add(clock)
    clock.instant = session.starts_at
    results = await asyncio.gather(
        *(engine.submit(session.id, RunAutomation(AutomationKind.ENABLE_CHAT, 1)) for _ in range(5))
    )
    assert sum(isinstance(result, CommandResult) for result in results) == 1
    refusals = [result for result in results if isinstance(result, Refusal)]
    assert {refusal.code for refusal in refusals} == {RefusalCode.SETTLED}
    assert len(storage.said(session.id)) == 1


async def test_what_has_fallen_due_leaves_a_line_of_its_own(
    engine: Engine, storage: MemoryStorage, clock: SetClock
) -> None:
    session = storage.add(clock)
    clock.forward(minutes=15)
    await engine.post(session.id, RunAutomation(AutomationKind.ENABLE_CHAT, 1))
    lines = [(line.trigger, line.command_id) for line in storage.timeline]
    assert [trigger for trigger, _ in lines] == ["initial_message", "enable_chat"]
    assert all(isinstance(command_id, UUID) for _, command_id in lines)


async def test_a_refused_commit_whose_cause_cannot_be_read_is_tried_again(
    engine: Engine, storage: MemoryStorage, open_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    await accepted(engine, open_session, message(open_session, "Halo", "a"))
    engine.passivate(idle_seconds=0)
    find, attempts = storage.messages_by_client_id, []

    async def away_once(session_id: UUID, keys: list[tuple[UUID, str]]) -> object:
        attempts.append(keys)
        if len(attempts) == 1:
            raise UnavailableError("PostgreSQL")
        return await find(session_id, keys)

    monkeypatch.setattr(storage, "messages_by_client_id", away_once)
    again = await accepted(engine, open_session, message(open_session, "Halo", "a"))
    assert again.repeated
    assert len(attempts) == 2


async def test_a_timer_that_fires_early_is_told_so(
    engine: Engine, storage: MemoryStorage, clock: SetClock
) -> None:
    session = storage.add(clock)
    clock.instant = session.starts_at - timedelta(milliseconds=1)
    result = await engine.submit(session.id, RunAutomation(AutomationKind.ENABLE_CHAT, 1))
    assert isinstance(result, Refusal)
    assert result.code is RefusalCode.NOT_DUE


async def test_an_unknown_session_is_refused_and_leaves_nothing_in_memory(engine: Engine) -> None:
    result = await engine.submit(uuid4(), Cancel(None))
    assert result == Refusal(RefusalCode.SESSION_NOT_FOUND, None)
    assert engine.live_actors == 0


async def test_idle_actors_are_forgotten_and_busy_ones_are_not(engine: Engine, open_session: Session) -> None:
    await accepted(engine, open_session, message(open_session))
    assert engine.passivate(idle_seconds=60) == 0
    assert engine.live_actors == 1
    assert engine.passivate(idle_seconds=0) == 1
    assert engine.live_actors == 0


async def test_closing_answers_everybody(
    storage: MemoryStorage,
    effects: Effects,
    clock: SetClock,
    open_session: Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "_BACKOFF_SECONDS", 3_600.0)
    monkeypatch.setattr(engine_module, "_LONGEST_BACKOFF_SECONDS", 3_600.0)
    engine = Engine(storage, effects, clock)
    engine.start()
    storage.away = True
    waiting = [engine.post(open_session.id, message(open_session)) for _ in range(3)]
    await until(lambda: storage.reads == 1)
    waiting += [engine.post(open_session.id, message(open_session))]
    await engine.close()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [result.what for result in results if isinstance(result, UnavailableError)] == [
        "engine",
        "engine",
        "engine",
        "PostgreSQL",
    ]
    with pytest.raises(UnavailableError) as late:
        await engine.submit(open_session.id, message(open_session))
    assert late.value.what == "engine"


async def test_people_do_not_wait_for_a_thousand_automations(
    engine: Engine, storage: MemoryStorage, effects: Effects, open_session: Session, clock: SetClock
) -> None:
    starting = [storage.add(clock) for _ in range(1_000)]
    clock.forward(minutes=15)
    answers = [engine.post(one.id, RunAutomation(AutomationKind.ENABLE_CHAT, 1)) for one in starting]
    await asyncio.sleep(0)
    await accepted(engine, open_session, message(open_session))
    results = await asyncio.gather(*answers)
    order = [change.after.id for change in effects.changes]
    # What the other workers had in hand already.
    assert order.index(open_session.id) <= 3 * 128
    assert all(isinstance(result, CommandResult) for result in results)


async def test_a_person_takes_the_automation_that_waits_for_their_session_along(
    engine: Engine, storage: MemoryStorage, clock: SetClock
) -> None:
    others = [storage.add(clock) for _ in range(1_000)]
    own = storage.add(clock)
    clock.forward(minutes=15)
    answers = [engine.post(one.id, RunAutomation(AutomationKind.ENABLE_CHAT, 1)) for one in others]
    opened = engine.post(own.id, RunAutomation(AutomationKind.ENABLE_CHAT, 1))
    await asyncio.sleep(0)
    outcome = await accepted(engine, own, message(own))
    assert outcome.session.status is Status.ACTIVE
    assert opened.done()
    assert not all(answer.done() for answer in answers)
    await asyncio.gather(*answers)


async def test_expected_sessions_are_read_before_their_command_comes(
    engine: Engine, storage: MemoryStorage, open_session: Session
) -> None:
    engine.prefetch([open_session.id, uuid4()])
    await until(lambda: engine.live_actors == 1)
    reads = storage.reads
    await accepted(engine, open_session, message(open_session))
    assert storage.reads == reads


async def test_expecting_while_the_store_is_away_is_no_fault(
    engine: Engine, storage: MemoryStorage, open_session: Session
) -> None:
    storage.away = True
    with capture_logs() as logged:
        engine.prefetch([open_session.id])
        await until(lambda: storage.reads == 1)
        assert engine.live_actors == 0
        storage.away = False
        # A reader who reads ahead goes on, and finds what is expected next.
        engine.prefetch([open_session.id])
        await until(lambda: engine.live_actors == 1)
    assert logged == []
    await accepted(engine, open_session, message(open_session))
    assert storage.reads == 2


async def test_changes_that_lose_to_the_fence_are_counted(
    engine: Engine, storage: MemoryStorage, effects: Effects, open_session: Session
) -> None:
    await accepted(engine, open_session, message(open_session))
    storage.truth[open_session.id] = replace(storage.truth[open_session.id], version=7, state_version=7)
    await accepted(engine, open_session, message(open_session))
    assert effects.lost == 1


async def test_people_do_not_wait_behind_a_commit_that_hangs(
    engine: Engine, storage: MemoryStorage, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker takes them, also when the event loop fires its timers a little early, as uvloop does."""
    loop = asyncio.get_running_loop()
    later = loop.call_later
    monkeypatch.setattr(loop, "call_later", lambda delay, *rest: later(max(0.0, delay - 0.001), *rest))
    first, second = (storage.add(clock, status=Status.ACTIVE) for _ in range(2))
    commit, hanging, released = storage.commit, asyncio.Event(), asyncio.Event()

    async def hang(changes: list[Change]) -> object:
        if changes[0].after.id == first.id:
            hanging.set()
            await released.wait()
        return await commit(changes)

    monkeypatch.setattr(storage, "commit", hang)
    behind = asyncio.create_task(accepted(engine, first, message(first)))
    await hanging.wait()
    try:
        async with asyncio.timeout(3):
            await accepted(engine, second, message(second))
    finally:
        released.set()
        await behind


async def test_automations_run_while_people_never_stop(
    engine: Engine, storage: MemoryStorage, clock: SetClock
) -> None:
    talking = [storage.add(clock, status=Status.ACTIVE) for _ in range(8)]
    starting = [storage.add(clock) for _ in range(200)]
    clock.forward(minutes=15)
    opened = [engine.post(one.id, RunAutomation(AutomationKind.ENABLE_CHAT, 1)) for one in starting]
    silenced = asyncio.Event()

    async def talk(session: Session) -> None:
        # Two commands of each are always under way, so that there is mail whenever a worker looks.
        waiting = {engine.post(session.id, message(session))}
        while not silenced.is_set():
            waiting.add(engine.post(session.id, message(session)))
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.gather(*waiting)

    talks = [asyncio.create_task(talk(one)) for one in talking]
    async with asyncio.timeout(20):
        results = await asyncio.gather(*opened)
    silenced.set()
    await asyncio.gather(*talks)
    assert all(isinstance(result, CommandResult) for result in results)


async def test_who_did_it_is_in_the_timeline(
    engine: Engine, storage: MemoryStorage, open_session: Session
) -> None:
    by = open_session.psychologist_id
    await engine.submit(open_session.id, EndSession(by), actor_id=by)
    assert [line.actor_id for line in storage.timeline if line.trigger == "end"] == [by]


async def test_a_session_is_known_as_it_was_committed(
    engine: Engine,
    storage: MemoryStorage,
    effects: Effects,
    open_session: Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit = storage.commit

    async def commit_with_outcome(changes: list[Change]) -> dict[UUID, CommitResult]:
        won = await commit(changes)
        return {
            one.after.id: won[one.after.id]._replace(outcome="held")
            if one.after.status is Status.COMPLETED
            else won[one.after.id]
            for one in changes
        }

    monkeypatch.setattr(storage, "commit", commit_with_outcome)
    said = await accepted(engine, open_session, message(open_session))
    assert (said.session.version, said.session.state_version, said.session.outcome) == (1, 0, None)
    ended = await accepted(engine, open_session, EndSession(open_session.client_id))
    assert (ended.session.version, ended.session.state_version) == (2, 2)
    assert ended.session.outcome is SessionOutcome.HELD
    assert effects.lost == 0
    entry = effects.changes[-1].outbox_entry
    assert entry is not None
    assert {"message", "session-status", "notification", "revocation"} <= {one.name for one in entry.events}


async def test_a_command_that_was_put_before_is_looked_for_and_no_other_is(
    engine: Engine, storage: MemoryStorage, open_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[list[UUID], list[UUID]]] = []
    find = storage.find_committed

    async def note(session_ids: list[UUID], command_ids: list[UUID]) -> set[UUID]:
        asked.append((session_ids, command_ids))
        return await find(session_ids, command_ids)

    monkeypatch.setattr(storage, "find_committed", note)
    sent = message(open_session)
    first = await accepted(engine, open_session, sent)
    assert asked == []
    again = await engine.submit(open_session.id, sent, again=True)
    assert isinstance(again, CommandResult)
    assert again.message == first.message
    assert asked == [([open_session.id], [sent.message_id])]
    assert storage.said(open_session.id) == [first.message]


async def test_who_loses_a_race_is_tried_again_at_once_and_not_doubted(
    engine: Engine, storage: MemoryStorage, open_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_BACKOFF_SECONDS", 3_600.0)
    monkeypatch.setattr(engine_module, "_LONGEST_BACKOFF_SECONDS", 3_600.0)
    monkeypatch.setattr(storage, "find_committed", None)
    await accepted(engine, open_session, message(open_session))
    storage.truth[open_session.id] = replace(storage.truth[open_session.id], version=7, state_version=7)
    async with asyncio.timeout(5):
        await accepted(engine, open_session, message(open_session))
    assert [one.seq for one in storage.said(open_session.id)] == [1, 2]


async def test_a_repetition_that_cannot_be_looked_up_is_looked_up_again(
    engine: Engine, storage: MemoryStorage, open_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await accepted(engine, open_session, message(open_session, "Halo", "a"))
    find, attempts = storage.messages_by_client_id, []

    async def away_once(session_id: UUID, keys: list[tuple[UUID, str]]) -> object:
        attempts.append(keys)
        if len(attempts) == 1:
            raise UnavailableError("PostgreSQL")
        return await find(session_id, keys)

    monkeypatch.setattr(storage, "messages_by_client_id", away_once)
    pauses = hurried(monkeypatch)
    again, new = await asyncio.gather(
        accepted(engine, open_session, message(open_session, "Halo", "a")),
        accepted(engine, open_session, message(open_session, "new", "b")),
    )
    assert (again.repeated, again.message, new.repeated) == (True, first.message, False)
    assert attempts == [[(open_session.client_id, "a")]] * 2
    assert pauses == [pytest.approx(0.1)], "PostgreSQL is given a moment"
    assert [one.text for one in storage.said(open_session.id)] == ["Halo", "new"]


async def test_a_message_that_only_seems_to_be_stored_is_stored(
    engine: Engine, storage: MemoryStorage, open_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when two names have one hash."""
    pauses = hurried(monkeypatch)
    first = await accepted(engine, open_session, message(open_session, "Halo", "a"))
    engine._actors[open_session.id].remember((open_session.client_id, "b"))  # noqa: SLF001 - no two are known
    outcomes = await asyncio.gather(
        *(accepted(engine, open_session, message(open_session, name, name)) for name in "bab")
    )
    assert [(one.repeated, one.message) for one in outcomes[1:2]] == [(True, first.message)]
    assert sorted(one.repeated for one in outcomes) == [False, True, True]
    assert outcomes[0].message == outcomes[2].message
    assert [one.text for one in storage.said(open_session.id)] == ["Halo", "b"]
    assert pauses == []


async def test_a_session_is_remembered_as_it_was_committed_until_it_cannot_be_trusted(
    engine: Engine, storage: MemoryStorage, open_session: Session
) -> None:
    assert engine.get_remembered(open_session.id) is None
    outcome = await accepted(engine, open_session, message(open_session))
    assert engine.get_remembered(open_session.id) == outcome.session == storage.truth[open_session.id]
    assert engine.get_remembered(uuid4()) is None
    # A commit under way whose race was lost: until it is read again, nothing is known of it.
    engine._actors[open_session.id].stale = True  # noqa: SLF001 - it lasts for a moment
    assert engine.get_remembered(open_session.id) is None


async def test_the_latest_named_messages_are_known_without_asking(
    engine: Engine, storage: MemoryStorage, open_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actor, "_REMEMBERED", 2)
    for name in "abc":
        await accepted(engine, open_session, message(open_session, name, name))
    attempts, commit = [], storage.commit

    async def count(changes: list[Change]) -> object:
        attempts.append(changes)
        return await commit(changes)

    monkeypatch.setattr(storage, "commit", count)
    for name in "bc":
        assert (await accepted(engine, open_session, message(open_session, name, name))).repeated
    assert attempts == []
    assert (await accepted(engine, open_session, message(open_session, "a", "a"))).repeated
    assert len(attempts) == 1


async def test_while_the_database_hangs_senders_are_told_and_what_they_sent_is_done_later(
    storage: MemoryStorage,
    effects: Effects,
    clock: SetClock,
    open_session: Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(engine_module, "_ANSWER_SECONDS", 0.1)
    hanging = Hanging(storage, monkeypatch)
    engine = Engine(storage, effects, clock)
    engine.start()
    sent = [asyncio.create_task(accepted(engine, open_session, message(open_session))) for _ in range(2)]
    await until(lambda: engine.waiting == 2)
    async with asyncio.timeout(3):
        told = await asyncio.gather(*sent, return_exceptions=True)
    assert [one.what for one in told if isinstance(one, UnavailableError)] == ["PostgreSQL"] * 2
    assert engine.waiting == 0
    hanging.released.set()
    await engine.close()
    assert len(storage.said(open_session.id)) == 2


async def test_a_session_in_a_commit_that_hangs_is_not_forgotten(
    engine: Engine, storage: MemoryStorage, open_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = Hanging(storage, monkeypatch)
    sent = asyncio.create_task(accepted(engine, open_session, message(open_session)))
    await until(lambda: hanging.commits == 1)
    assert engine.passivate(idle_seconds=0) == 0
    hanging.released.set()
    await sent
    assert engine.passivate(idle_seconds=0) == 1


async def test_people_are_answered_while_the_commits_of_automations_hang(
    engine: Engine,
    storage: MemoryStorage,
    clock: SetClock,
    open_session: Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    starting = [storage.add(clock) for _ in range(600)]
    clock.forward(minutes=15)
    hanging = Hanging(storage, monkeypatch, unless=open_session.id)
    opened = [engine.post(one.id, RunAutomation(AutomationKind.ENABLE_CHAT, 1)) for one in starting]
    await until(lambda: hanging.commits == 3)
    async with asyncio.timeout(5):
        await accepted(engine, open_session, message(open_session))
    assert hanging.commits == 3, "one worker is for people alone"
    hanging.released.set()
    results = await asyncio.gather(*opened)
    assert all(isinstance(result, CommandResult) for result in results)


async def test_a_batch_that_fails_is_told_to_its_senders_and_leaves_nothing_in_memory(
    engine: Engine, storage: MemoryStorage, open_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: list[Change]) -> object:
        raise RuntimeError("a fault")

    monkeypatch.setattr(storage, "commit", fail)
    sent = [engine.submit(open_session.id, message(open_session)) for _ in range(2)]
    results = await asyncio.gather(*sent, return_exceptions=True)
    assert [str(result) for result in results] == ["a fault"] * 2
    assert engine.live_actors == 0
    monkeypatch.undo()
    for _ in range(6):
        # Each worker goes on.
        await accepted(engine, open_session, message(open_session))


async def test_while_the_database_is_away_pauses_double_up_to_a_second(
    engine: Engine, storage: MemoryStorage, open_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def come_back(pauses: int) -> None:
        storage.away = pauses < 6

    pauses = hurried(monkeypatch, come_back)
    storage.away = True
    await accepted(engine, open_session, message(open_session))
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


async def test_a_refusal_from_what_was_read_just_now_is_not_asked_again(
    engine: Engine, storage: MemoryStorage, clock: SetClock
) -> None:
    session = storage.add(clock)
    assert isinstance(await engine.submit(session.id, message(session)), Refusal)
    assert storage.reads == 1
    assert isinstance(await engine.submit(uuid4(), Cancel(None)), Refusal)
    assert storage.reads == 2


async def test_its_tasks_say_in_the_log_what_they_are(engine: Engine) -> None:
    assert engine.live_actors == 0
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert names >= {"hydration", "patience", *(f"engine worker {number}" for number in range(4))}


async def test_others_get_their_turn_while_many_sessions_are_stepped(
    engine: Engine, storage: MemoryStorage, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = [0]
    now = clock.now

    def count() -> datetime:
        together[-1] += 1
        asyncio.get_running_loop().call_soon(next_turn)
        return now()

    def next_turn() -> None:
        if together[-1]:
            together.append(0)

    sessions = [storage.add(clock, status=Status.ACTIVE) for _ in range(100)]
    monkeypatch.setattr(clock, "now", count)
    async with asyncio.timeout(5):
        await asyncio.gather(*(accepted(engine, session, message(session)) for session in sessions))
    assert storage.commits == [100]
    assert max(together) == 8


async def test_one_who_is_refused_for_another_reason_sets_nothing_in_motion(
    engine: Engine, storage: MemoryStorage, clock: SetClock, open_session: Session
) -> None:
    clock.instant = open_session.ends_at - timedelta(minutes=1)
    assert open_session.due(clock.now())
    refused = await engine.submit(open_session.id, SendMessage(uuid4(), uuid4(), "Halo"))
    assert refused == Refusal(RefusalCode.NOT_PARTICIPANT, None)
    assert storage.commits == []


async def test_why_it_was_cancelled_is_committed(
    engine: Engine, effects: Effects, open_session: Session
) -> None:
    await accepted(engine, open_session, Cancel(open_session.client_id, "Sakit"))
    assert [change.cancel_reason for change in effects.changes] == ["Sakit"]


async def test_all_that_lose_their_race_in_one_commit_are_counted(
    engine: Engine, storage: MemoryStorage, effects: Effects, clock: SetClock
) -> None:
    sessions = [storage.add(clock, status=Status.ACTIVE) for _ in range(3)]
    for one in sessions:
        storage.snapshots[one.id] = copy.copy(one)
        storage.truth[one.id] = replace(one, version=5, state_version=5)
    await asyncio.gather(*(accepted(engine, one, message(one)) for one in sessions))
    assert effects.lost == 3


async def test_each_commit_whose_outcome_is_unknown_is_doubted(
    engine: Engine,
    storage: MemoryStorage,
    effects: Effects,
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sessions = [storage.add(clock, status=Status.ACTIVE) for _ in range(3)]
    lost: set[UUID] = set()
    commit = storage.commit

    async def lose_each_once(changes: list[Change]) -> object:
        if len(changes) == 3:
            raise CommitRefusedError("one of them")
        if changes[0].after.id not in lost:
            lost.add(changes[0].after.id)
            raise UnavailableError("PostgreSQL")
        return await commit(changes)

    monkeypatch.setattr(storage, "commit", lose_each_once)
    await asyncio.gather(*(accepted(engine, one, message(one)) for one in sessions))
    assert sorted(change.after.id for change in effects.doubted) == sorted(one.id for one in sessions)


async def test_a_session_is_in_one_batch_at_a_time(
    engine: Engine, storage: MemoryStorage, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = storage.add(clock)
    clock.instant = session.starts_at
    hanging = Hanging(storage, monkeypatch)
    answers = [engine.post(session.id, RunAutomation(AutomationKind.ENABLE_CHAT, 1))]
    await until(lambda: hanging.commits == 1)
    answers.append(engine.post(session.id, RunAutomation(AutomationKind.ENABLE_CHAT, 1)))
    for _ in range(50):
        await asyncio.sleep(0)
    assert hanging.commits == 1
    hanging.released.set()
    assert [type(one) for one in await asyncio.gather(*answers)] == [CommandResult, Refusal]


async def test_automations_get_their_turn_although_all_workers_help_people_whose_commits_hang(
    engine: Engine, storage: MemoryStorage, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_HANGS_SECONDS", 0.0)
    monkeypatch.setattr(engine_module, "_BATCH_SESSIONS", 1)
    talking = [storage.add(clock, status=Status.ACTIVE) for _ in range(30)]
    starting = [storage.add(clock) for _ in range(200)]
    clock.forward(minutes=15)
    commit, silenced = storage.commit, asyncio.Event()

    async def slowly(changes: list[Change]) -> object:
        for _ in range(5):
            await asyncio.sleep(0)
        return await commit(changes)

    async def talk(session: Session) -> None:
        while not silenced.is_set():
            await asyncio.gather(*(engine.submit(session.id, message(session)) for _ in range(2)))

    monkeypatch.setattr(storage, "commit", slowly)
    talks = [asyncio.create_task(talk(one)) for one in talking]
    await until(lambda: len(storage.commits) > len(talking))
    opened = [engine.post(one.id, RunAutomation(AutomationKind.ENABLE_CHAT, 1)) for one in starting]
    try:
        async with asyncio.timeout(10):
            results = await asyncio.gather(*opened)
    finally:
        silenced.set()
        await asyncio.gather(*talks)
    assert all(isinstance(result, CommandResult) for result in results)

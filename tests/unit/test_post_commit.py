"""What follows a commit in Redis: snapshots of sessions that went quiet, none of those that are talked in."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from config import Organizations
from rdchat.common.telemetry import Metrics
from rdchat.engine import post_commit
from rdchat.engine.change import ChangeBuilder
from rdchat.engine.post_commit import PostCommitEffects
from rdchat.redis.delay_queue import Job
from rdchat.texts.wording import automated_text
from statemachine import (
    AutomationKind,
    Cancel,
    EndSession,
    Refusal,
    RunAutomation,
    SendMessage,
    Session,
    Status,
    step,
)
from tests.support.memory_storage import MemoryStorage, SetClock
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from rdchat.engine.change import Change
    from rdchat.events.outbox_entry import OutboxEntry


class Redis:
    """Snapshots and delay queue, as the post-commit effects sees them."""

    def __init__(self) -> None:
        self.snapshots: dict[UUID, Session] = {}
        self.saved = 0
        self.removed: list[Job] = []

    async def save(self, sessions: Iterable[Session]) -> None:
        for session in sessions:
            self.saved += 1
            self.snapshots[session.id] = session

    async def withdraw(self, session_ids: Iterable[UUID]) -> None:
        for session_id in session_ids:
            self.snapshots.pop(session_id, None)

    async def remove(self, jobs: Iterable[Job]) -> None:
        self.removed += jobs


class Publisher:
    def __init__(self) -> None:
        self.entries: list[OutboxEntry] = []
        self.doubted: list[OutboxEntry] = []

    def hand_over(self, entries: Iterable[OutboxEntry]) -> None:
        self.entries += entries

    def doubt(self, entries: Iterable[OutboxEntry]) -> None:
        self.doubted += entries


def changed(session: Session, command: SendMessage | EndSession | Cancel) -> Change:
    decision = step(session, command, SetClock().now())
    assert not isinstance(decision, Refusal)
    builder = ChangeBuilder(session, partial(automated_text, Organizations()))
    builder.add(decision, command_id=uuid4(), actor_id=session.client_id)
    builder.change.after.version += 1
    return builder.change


def said(session: Session) -> Change:
    return changed(session, SendMessage(uuid4(), session.client_id, "Halo"))


@pytest.fixture
def redis() -> Redis:
    return Redis()


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
async def effects(
    redis: Redis, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PostCommitEffects]:
    monkeypatch.setattr(post_commit, "_LOOK_SECONDS", 0.01)
    made = PostCommitEffects(publisher, redis, redis, Metrics())  # type: ignore[arg-type]
    made.start()
    yield made
    await made.close()


@pytest.fixture
def session() -> Session:
    return MemoryStorage().add(SetClock(), status=Status.ACTIVE)


async def test_the_first_change_withdraws_the_snapshot(
    effects: PostCommitEffects, redis: Redis, publisher: Publisher, session: Session
) -> None:
    redis.snapshots[session.id] = session
    change = said(session)
    effects.committed([change])
    assert publisher.entries == [change.outbox_entry]
    await until(lambda: session.id not in redis.snapshots, 2)
    assert redis.saved == 0


async def test_a_session_that_went_quiet_gets_its_latest_state_once(
    effects: PostCommitEffects, redis: Redis, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post_commit, "_QUIET_SECONDS", 0.1)
    first = said(session)
    second = said(first.after)
    effects.committed([first])
    effects.committed([second])
    await until(lambda: redis.snapshots.get(session.id) == second.after, 2)
    assert redis.saved == 1


async def test_a_session_that_goes_on_keeps_none_of_those_waiting_that_went_quiet(
    redis: Redis, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post_commit, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(post_commit, "_QUIET_SECONDS", 0.2)
    storage, clock = MemoryStorage(), SetClock()
    quiet, talking = (said(storage.add(clock, status=Status.ACTIVE)) for _ in range(2))
    made = PostCommitEffects(publisher, redis, redis, Metrics())  # type: ignore[arg-type]
    made.start()
    made.committed([talking, quiet])

    def quiet_is_saved() -> bool:
        made.committed([talking])
        return quiet.after.id in redis.snapshots

    await until(quiet_is_saved)
    assert redis.snapshots == {quiet.after.id: quiet.after}
    await made.close()


async def test_what_was_said_at_the_instant_of_closing_is_kept(
    redis: Redis, publisher: Publisher, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = PostCommitEffects(publisher, redis, redis, Metrics())  # type: ignore[arg-type]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: 5.0)
    made.committed([said(session)])
    await made.close()
    monkeypatch.undo()
    assert set(redis.snapshots) == {session.id}


async def test_what_is_over_or_not_yet_open_gets_none(redis: Redis, publisher: Publisher) -> None:
    storage, clock = MemoryStorage(), SetClock()
    ending = storage.add(clock, status=Status.ACTIVE)
    ended = changed(ending, EndSession(ending.client_id))
    pending = said(storage.add(clock, status=Status.ACTIVE))
    pending.before = replace(pending.before, status=Status.PENDING)
    made = PostCommitEffects(publisher, redis, redis, Metrics())  # type: ignore[arg-type]
    made.start()
    made.committed([ended, pending])
    await made.close()
    assert redis.saved == 0
    assert {job.subject_id for job in redis.removed} == {ending.id}


async def test_every_timer_of_what_is_over_is_taken_out_and_whoever_notifies_is_told(
    redis: Redis, publisher: Publisher
) -> None:
    storage, clock, told = MemoryStorage(), SetClock(), []
    metrics = Metrics()
    made = PostCommitEffects(
        publisher,
        redis,  # type: ignore[arg-type]
        redis,  # type: ignore[arg-type]
        metrics,
        on_notified=lambda: told.append(True),
    )
    ending = [storage.add(clock, status=Status.ACTIVE) for _ in range(2)]
    made.committed([said(ending[0])])
    assert told == []
    changes = [
        changed(ending[0], EndSession(ending[0].client_id)),
        changed(ending[1], Cancel(ending[1].client_id)),
    ]
    assert all(change.notifications for change in changes)
    made.committed(changes)
    assert told == [True]
    made.fenced(3)
    await made.close()
    jobs = {Job(session.id, kind, 1) for session in ending for kind in AutomationKind}
    assert set(redis.removed) == jobs
    counted = metrics.page().decode()
    assert "rdchat_fenced_sessions_total 3.0" in counted
    for kind in AutomationKind:
        assert f'kind="{kind}",status="cancelled"' in counted


async def test_closing_keeps_what_was_still_being_talked_in(
    redis: Redis, publisher: Publisher, session: Session
) -> None:
    made = PostCommitEffects(publisher, redis, redis, Metrics())  # type: ignore[arg-type]
    made.start()
    change = said(session)
    made.committed([change])
    await made.close()
    assert redis.snapshots == {session.id: change.after}


async def test_events_of_an_unknown_outcome_are_doubted_and_nothing_else_is_done(
    effects: PostCommitEffects, redis: Redis, publisher: Publisher, session: Session
) -> None:
    change, silent = said(session), said(session)
    silent.outbox_entry = None
    effects.uncertain([change, silent])
    assert publisher.doubted == [change.outbox_entry]
    assert publisher.entries == []
    await effects.close()
    assert redis.saved == 0


async def test_how_late_an_automation_was_is_measured(redis: Redis, publisher: Publisher) -> None:
    metrics = Metrics()
    made = PostCommitEffects(publisher, redis, redis, metrics)  # type: ignore[arg-type]
    session = MemoryStorage().add(SetClock())
    start = session.automations[AutomationKind.ENABLE_CHAT].due_at
    decision = step(session, RunAutomation(AutomationKind.ENABLE_CHAT, 1), start + timedelta(seconds=2))
    assert not isinstance(decision, Refusal)
    builder = ChangeBuilder(session, partial(automated_text, Organizations()))
    builder.add(decision, command_id=uuid4(), actor_id=None)
    made.committed([builder.change])
    await made.close()
    assert 'rdchat_automation_lateness_seconds_sum{kind="enable_chat"} 2.0' in metrics.page().decode()


async def test_more_sessions_than_are_written_at_once_are_written_in_parts(
    redis: Redis, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post_commit, "_SNAPSHOTS_AT_ONCE", 2)
    parts: list[int] = []
    save = redis.save

    async def count(sessions: Iterable[Session]) -> None:
        several = list(sessions)
        parts.append(len(several))
        await save(several)

    monkeypatch.setattr(redis, "save", count)
    storage, clock = MemoryStorage(), SetClock()
    changes = [said(storage.add(clock, status=Status.ACTIVE)) for _ in range(5)]
    made = PostCommitEffects(publisher, redis, redis, Metrics())  # type: ignore[arg-type]
    made.committed(changes)
    await made.close()
    assert parts == [2, 2, 1]
    assert redis.snapshots == {one.after.id: one.after for one in changes}

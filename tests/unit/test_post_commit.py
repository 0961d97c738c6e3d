"""What follows a commit in Redis: snapshots of sessions that went quiet, none of those that are talked in."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from config import Texts
from rdchat.common.telemetry import Metrics
from rdchat.engine import post_commit
from rdchat.engine.change import ChangeBuilder
from rdchat.engine.post_commit import PostCommitEffects
from rdchat.redis.delay_queue import Job
from rdchat.texts.wording import automated_text
from statemachine import AutomationKind, Cancel, EndSession, Refusal, SendMessage, Session, Status, step
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
    builder = ChangeBuilder(session, partial(automated_text, Texts()))
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

"""The publisher's pace: at once when it was idle, together when it was not."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from rdchat.common.telemetry import Metrics
from rdchat.events.channels import MESSAGE, SESSION_STATUS, chat_channel
from rdchat.events.outbox_entry import OutboxEntry, OutboxEntryBuilder
from rdchat.postgres import outbox
from rdchat.realtime import late_revoker
from rdchat.realtime import publisher as publisher_module
from rdchat.realtime.ably_client import PublishError
from rdchat.realtime.publisher import Publisher
from tests.support.memory_storage import SetClock
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from rdchat.events.outbox_entry import Event


class Ably:
    """Takes everything, and notes when."""

    def __init__(self) -> None:
        self.requests: list[tuple[float, list[str]]] = []
        self.crowded: set[str] = set()
        self.revoked: list[Event] = []
        self.revoked_together: list[int] = []
        self.tries = 0
        self.trouble: PublishError | None = None

    async def revoke(self, revocations: Sequence[Event]) -> PublishError | None:
        self.tries += 1
        if self.trouble is None:
            self.revoked += revocations
            self.revoked_together.append(len(revocations))
        return self.trouble

    async def publish(self, groups: Sequence[Sequence[Event]]) -> list[PublishError | None]:
        channels = [group[0].channel for group in groups]
        self.requests.append((asyncio.get_running_loop().time(), channels))
        return [
            PublishError("42913", crowded=True) if channel in self.crowded else None for channel in channels
        ]


@pytest.fixture
def ably() -> Ably:
    return Ably()


@pytest.fixture
async def publisher(ably: Ably, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Publisher]:
    async def confirm(*_: Any) -> None:
        return

    monkeypatch.setattr(outbox, "delete_entries", confirm)
    monkeypatch.setattr(late_revoker, "plan", confirm)
    made = Publisher(None, ably, None, Metrics())  # type: ignore[arg-type]
    made.start(relay=False)
    yield made
    await made.close()


def entry(number: int, session_id: UUID | None = None) -> OutboxEntry:
    session_id = session_id or uuid4()
    builder = OutboxEntryBuilder(session_id, 1)
    builder.add(chat_channel(session_id), MESSAGE, {"seq": number})
    made = builder.build(number, SetClock().now())
    assert made is not None
    return made


async def test_what_comes_soon_after_a_request_goes_together(
    publisher: Publisher, ably: Ably, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = 0.2
    monkeypatch.setattr(publisher_module, "_PACE_SECONDS", pace)
    publisher.hand_over([entry(0)])
    await until(lambda: len(ably.requests) == 1, 2)
    for number in range(1, 6):
        publisher.hand_over([entry(number)])
        await asyncio.sleep(0)
    await until(lambda: len(ably.requests) == 2, 2)
    (first, _), (second, channels) = ably.requests
    assert len(channels) == 5
    assert second - first >= pace * 0.95


async def test_a_full_request_waits_for_nothing(
    publisher: Publisher, ably: Ably, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "_PACE_SECONDS", 60.0)
    publisher.hand_over([entry(number) for number in range(300)])
    await until(lambda: sum(len(channels) for _, channels in ably.requests) == 300, 2)
    assert [len(channels) for _, channels in ably.requests] == [100, 100, 100]


async def test_a_channel_is_not_published_to_more_often_than_ably_allows(
    publisher: Publisher, ably: Ably, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "_PACE_SECONDS", 0.0)
    pace = 0.1
    monkeypatch.setattr(publisher_module, "_CHANNEL_PACE_SECONDS", pace)
    session_id = uuid4()
    publisher.hand_over([entry(0, session_id), entry(1, session_id)])
    await until(lambda: len(ably.requests) == 2, 2)
    publisher.hand_over([entry(2, session_id), entry(3)])
    await until(lambda: sum(len(channels) for _, channels in ably.requests) == 4, 2)
    own = [at for at, channels in ably.requests if chat_channel(session_id) in channels]
    assert len(own) == 3
    assert all(later - earlier >= pace * 0.95 for earlier, later in pairwise(own))
    assert len(ably.requests[2][1]) == 1, "another channel does not wait for this one"


async def test_a_crowded_channel_waits_alone(publisher: Publisher, ably: Ably) -> None:
    session_id = uuid4()
    crowded = chat_channel(session_id)
    ably.crowded.add(crowded)
    publisher.hand_over([entry(0, session_id)])
    await until(lambda: len(ably.requests) == 1, 2)
    started = asyncio.get_running_loop().time()
    for number in range(1, 6):
        publisher.hand_over([entry(number)])

        def published(number: int = number) -> bool:
            return sum(len(names) for _, names in ably.requests) > number

        await until(published, 2)
    assert asyncio.get_running_loop().time() - started < 0.2, "the others do not wait"
    ably.crowded.clear()
    await until(lambda: [crowded in names for _, names in ably.requests].count(True) == 2, 2)
    tries = [at for at, names in ably.requests if crowded in names]
    assert tries[1] - tries[0] >= 0.2


def ending(number: int, session_id: UUID) -> OutboxEntry:
    """The last outbox entry of a session: its end, and that its tokens are revoked."""
    builder = OutboxEntryBuilder(session_id, 2)
    builder.add(chat_channel(session_id), SESSION_STATUS, {"status": "completed"})
    builder.revoke([str(session_id), "desk:budi", "desk:sari"], SetClock().now())
    made = builder.build(number, SetClock().now())
    assert made is not None
    return made


async def test_tokens_are_revoked_when_the_last_event_is_out(publisher: Publisher, ably: Ably) -> None:
    session_id = uuid4()
    ably.crowded.add(chat_channel(session_id))
    publisher.hand_over([ending(1, session_id)])
    await until(lambda: len(ably.requests) >= 2, 2)
    assert not ably.revoked
    ably.crowded.clear()
    await until(lambda: ably.revoked, 2)
    keys = [json.loads(one.data)["revocationKey"] for one in ably.revoked]
    assert keys == [str(session_id), "desk:budi", "desk:sari"]
    await until(lambda: publisher.held == 0, 2)


async def test_no_more_is_revoked_at_a_time_than_ably_takes(publisher: Publisher, ably: Ably) -> None:
    publisher.hand_over([ending(number, uuid4()) for number in range(70)])
    await until(lambda: publisher.held == 0, 5)
    assert len(ably.revoked) == 3 * 70
    assert max(ably.revoked_together) <= 100


async def test_trouble_with_revoking_keeps_no_message_back(publisher: Publisher, ably: Ably) -> None:
    ably.trouble = PublishError("503")
    for number in range(20):
        publisher.hand_over([ending(number, uuid4())])
    await until(lambda: ably.tries >= 3, 5)
    started = asyncio.get_running_loop().time()
    for number in range(20, 30):
        told = sum(len(channels) for _, channels in ably.requests)
        publisher.hand_over([entry(number)])

        def published(told: int = told) -> bool:
            return sum(len(names) for _, names in ably.requests) > told

        await until(published, 2)
    assert asyncio.get_running_loop().time() - started < 1
    assert not ably.revoked
    ably.trouble = None
    await until(lambda: len(ably.revoked) == 60, 5)
    await until(lambda: publisher.held == 0, 2)


async def test_a_refusal_to_revoke_is_not_asked_for_ever(publisher: Publisher, ably: Ably) -> None:
    ably.trouble = PublishError("401 40162", permanent=True)
    publisher.hand_over([ending(1, uuid4())])
    await until(lambda: publisher.held == 0, 2)
    assert ably.tries == 1

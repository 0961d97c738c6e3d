"""The app's events: made from ours, in the same publish, under ids that a retry repeats."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from handlers.dialects.ruangdiri.events import TOPIC, EventSupplement
from rdchat.common.errors import UnavailableError
from rdchat.common.telemetry import Metrics
from rdchat.events import channels
from rdchat.events.outbox_entry import OutboxEntry, OutboxEntryBuilder
from rdchat.postgres import outbox
from rdchat.realtime.ably_client import PublishError
from rdchat.realtime.publisher import Publisher
from statemachine import Session, Status
from tests.support.memory_storage import SetClock
from tests.support.service import service_settings
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from pathlib import Path

    from config import Settings
    from rdchat.events.outbox_entry import Event

SESSION, CLIENT, PSYCHOLOGIST = uuid4(), uuid4(), uuid4()
CHANNEL = channels.chat_channel(SESSION)
NOW = SetClock().now()


@dataclass
class Facts:
    """What the supplement may ask."""

    settings: Settings
    clock: SetClock = field(default_factory=SetClock)
    status: Status = Status.ACTIVE
    read: list[UUID] = field(default_factory=list)
    announced: list[tuple[str, str]] = field(default_factory=list)
    away: bool = False

    @property
    def announcements(self) -> Facts:
        return self

    def announce(self, topic: str, text: str) -> None:
        self.announced.append((topic, text))

    async def get_clients(self, ids: Iterable[UUID]) -> dict[UUID, UUID]:
        if self.away:
            raise UnavailableError("PostgreSQL")
        return dict.fromkeys(ids, CLIENT)

    async def get_sessions(self, ids: Iterable[UUID]) -> dict[UUID, Session]:
        session = Session(
            SESSION, uuid4(), CLIENT, "Budi", PSYCHOLOGIST, "Sari", NOW, NOW, NOW, NOW, self.status
        )
        return dict.fromkeys(ids, session)

    async def list_read_messages(self, *_: Any, limit: int) -> list[UUID]:
        return self.read[:limit]


class Ably:
    """Takes everything, unless there is trouble, and drops what it has by its id, as Ably does."""

    def __init__(self) -> None:
        self.trouble = 0
        self.requests = 0
        self.seen: set[str] = set()
        self.events: list[Event] = []

    async def publish(self, groups: Sequence[Sequence[Event]]) -> list[PublishError | None]:
        self.requests += 1
        for group in groups:
            assert [one.ably_id for one in group] == [f"{group[0].base}:{n}" for n in range(len(group))]
            assert sum(len(one.data.encode()) for one in group) < 64 * 1024
            self.events += [one for one in group if one.ably_id not in self.seen]
            self.seen |= {one.ably_id for one in group}
        if self.trouble:
            self.trouble -= 1
            raise PublishError("the answer was lost")
        return [None] * len(groups)

    def data(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(one.data) for one in self.events if one.name == name]


@pytest.fixture
def facts(tmp_path: Path) -> Facts:
    return Facts(service_settings(tmp_path, public_url="https://chat.example"))


@pytest.fixture
def ably() -> Ably:
    return Ably()


@pytest.fixture
async def publisher(facts: Facts, ably: Ably, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Publisher]:
    async def confirm(*_: Any) -> None:
        return

    monkeypatch.setattr(outbox, "delete_entries", confirm)
    supplement = EventSupplement(facts)  # type: ignore[arg-type]
    made = Publisher(None, ably, None, Metrics(), supplement)  # type: ignore[arg-type]
    made.start(relay=False)
    yield made
    await made.close()


def message(number: int, text: str = "Halo", **more: Any) -> dict[str, Any]:
    return {
        "id": str(UUID(int=number)),
        "sessionId": str(SESSION),
        "seq": number,
        "senderId": str(CLIENT if number % 2 else PSYCHOLOGIST),
        "senderName": "Budi" if number % 2 else "Sari",
        "content": text,
        "createdAt": "2030-01-15T07:02:13.250Z",
        **more,
    }


def entry(*events: tuple[str, str, dict[str, Any]], version: int = 1) -> OutboxEntry:
    builder = OutboxEntryBuilder(SESSION, version)
    for channel, name, data in events:
        builder.add(channel, name, data)
    made = builder.build(version, NOW)
    assert made is not None
    return made


def status(kind: str) -> tuple[str, str, dict[str, Any]]:
    data = {"sessionId": str(SESSION), "status": kind, "endsAt": "2030-01-15T08:00:00.000Z"}
    return CHANNEL, channels.SESSION_STATUS, data


async def test_a_message_says_in_the_app_s_words_what_it_says_in_ours(
    publisher: Publisher, ably: Ably
) -> None:
    file = {"id": str(uuid4()), "fileName": "a.png", "contentType": "image/png", "size": 7}
    said = message(1), message(2, attachment=file)
    publisher.hand_over([entry(*((CHANNEL, channels.MESSAGE, one) for one in said))])
    await until(lambda: len(ably.events) == 2, 2)
    first, second = ably.data(channels.MESSAGE)
    assert first == said[0] | {
        "messageId": said[0]["id"],
        "senderFullname": "Budi",
        "senderRole": "client",
        "timestamp": said[0]["createdAt"],
    }
    assert second["senderRole"] == "psychologist"
    assert (second["attachmentName"], second["attachmentType"], second["attachmentSize"]) == (
        "a.png",
        "image/png",
        7,
    )
    link = f"https://chat.example/api/v1/chat/attachments/{file['id']}/content?token="
    assert second["attachmentUrl"].startswith(link)


async def test_where_a_session_stands_and_what_was_read(
    publisher: Publisher, ably: Ably, facts: Facts
) -> None:
    facts.read = [UUID(int=number) for number in range(900)]
    read = {"sessionId": str(SESSION), "userId": str(CLIENT), "upToSeq": 900, "readAt": "then"}
    kinds = ["chat_enabled", "ending_soon", "rescheduled", "completed", "cancelled"]
    publisher.hand_over(entry(status(kind), version=version) for version, kind in enumerate(kinds, 1))
    publisher.hand_over([entry((CHANNEL, channels.MESSAGE_READ, read), version=9)])
    await until(lambda: len(ably.data("read_receipt")) == 1, 5)
    assert [(one["status"], one["isActive"]) for one in ably.data("session_status")] == [
        *[("active", True)] * 3,
        ("completed", False),
        ("cancelled", False),
    ]
    (receipt,) = ably.data("read_receipt")
    assert len(receipt["messageIds"]) == 500
    assert (receipt["userId"], receipt["readAt"], receipt["timestamp"]) == (str(CLIENT), "then", "then")


async def test_what_stands_beside_the_last_event_alone_is_published_with_the_others(
    publisher: Publisher, ably: Ably
) -> None:
    """At the end of a session a message and its state are one publish, whose ids have no gaps."""
    publisher.hand_over([entry((CHANNEL, channels.MESSAGE, message(1)), status("completed"))])
    await until(lambda: len(ably.events) == 3, 2)
    assert [one.name for one in ably.events] == [channels.MESSAGE, channels.SESSION_STATUS, "session_status"]
    assert ably.requests == 1


async def test_a_session_that_is_moved_before_it_opens_is_told_to_our_readers_alone(
    publisher: Publisher, ably: Ably, facts: Facts
) -> None:
    facts.status = Status.PENDING
    publisher.hand_over([entry(status("rescheduled"))])
    await until(lambda: ably.events, 2)
    assert [one.name for one in ably.events] == [channels.SESSION_STATUS]


async def test_what_is_published_again_is_heard_once_and_announced_once(
    publisher: Publisher, ably: Ably, facts: Facts
) -> None:
    ably.trouble = 3
    person = channels.notification_channel(CLIENT)
    told = {"id": str(uuid4()), "title": "Sesi dimulai"}
    publisher.hand_over([entry(status("chat_enabled"), (person, channels.NOTIFICATION, told))])
    await until(lambda: facts.announced, 5)
    assert ably.requests == 4
    assert [one.name for one in ably.events if one.channel == CHANNEL] == [
        channels.SESSION_STATUS,
        "session_status",
    ]
    assert facts.announced == [(TOPIC, f"{CLIENT} {told['id']}")]


async def test_many_short_messages_at_once_fit_with_what_is_added(publisher: Publisher, ably: Ably) -> None:
    texts = ["x" * 40] * 150
    said = [(CHANNEL, channels.MESSAGE, message(number, text)) for number, text in enumerate(texts, 1)]
    whole = entry(*said)
    assert len({one.base for one in whole.events}) == 1
    publisher.hand_over([whole, entry((CHANNEL, channels.MESSAGE, message(151)), version=2)])
    await until(lambda: len(ably.events) == 151, 5)
    assert [one["seq"] for one in ably.data(channels.MESSAGE)] == list(range(1, 152))
    assert len({one.base for one in ably.events}) > 2


async def test_nothing_is_published_without_what_it_needs_and_all_of_it_later(
    publisher: Publisher, ably: Ably, facts: Facts
) -> None:
    facts.away = True
    publisher.hand_over([entry((CHANNEL, channels.MESSAGE, message(1)))])
    await until(lambda: publisher.is_refused, 2)
    assert ably.events == []
    facts.away = False
    await until(lambda: len(ably.events) == 1, 5)
    assert ably.data(channels.MESSAGE)[0]["messageId"]


async def test_what_cannot_be_made_keeps_ours_from_no_one(publisher: Publisher, ably: Ably) -> None:
    broken = message(1)
    del broken["senderName"]
    publisher.hand_over([entry((CHANNEL, channels.MESSAGE, broken))])
    await until(lambda: ably.events, 2)
    assert ably.data(channels.MESSAGE) == [broken]

"""Who publishes what: a replica has its outbox entries leased, and gives them away when it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from rdchat.common.clock import SystemClock
from rdchat.common.errors import UnavailableError
from rdchat.common.telemetry import Metrics
from rdchat.events.channels import MESSAGE, chat_channel
from rdchat.events.outbox_entry import OutboxEntry, OutboxEntryBuilder
from rdchat.postgres import outbox, pool
from rdchat.realtime import publisher as publisher_module
from rdchat.realtime.ably_client import PublishError
from rdchat.realtime.publisher import LEASE, Publisher
from tests.support.keys import data_keys
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import pytest

    from rdchat.events.outbox_entry import Event
    from rdchat.postgres.pool import Pool

KEYS = data_keys()


class Ably:
    """Takes what it is given, unless it is away."""

    def __init__(self, *, is_away: bool = False) -> None:
        self.is_away = is_away
        self.tries = 0
        self.taken: list[str] = []

    async def publish(self, groups: Sequence[Sequence[Event]]) -> list[PublishError | None]:
        self.tries += 1
        if self.is_away:
            raise PublishError("503")
        self.taken += [event.ably_id for group in groups for event in group]
        return [None for _ in groups]


def made(number: int, session_id: UUID | None = None) -> OutboxEntry:
    """An outbox entry, of a commit that is on its way."""
    session_id = session_id or uuid4()
    builder = OutboxEntryBuilder(session_id, number)
    builder.add(chat_channel(session_id), MESSAGE, {"seq": number})
    entry = builder.build(number, SystemClock().now())
    assert entry is not None
    return entry


async def store(database: Pool, entry: OutboxEntry) -> None:
    """Put an entry into the outbox, leased as the commit that writes it has it."""
    async with pool.transaction(database) as connection:
        await outbox.insert_entries(connection, [entry], keys=KEYS, lease=LEASE)


async def stored(database: Pool, number: int) -> OutboxEntry:
    entry = made(number)
    await store(database, entry)
    return entry


def replica(database: Pool, ably: Ably, *, relay: bool) -> Publisher:
    publisher = Publisher(database, ably, KEYS, Metrics())  # type: ignore[arg-type]
    publisher.start(relay=relay)
    return publisher


async def test_what_is_unpublished_at_shutdown_another_replica_publishes_at_once(
    database: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "_FLUSH_SECONDS", 0.05)
    entries = [await stored(database, number) for number in range(3)]
    away, tz = Ably(is_away=True), Ably()
    leaving = replica(database, away, relay=False)
    leaving.hand_over(entries)
    await until(lambda: away.tries)
    assert await outbox.take_over_entries(database, lease=LEASE, limit=10, keys=KEYS) == [], "they are leased"
    await leaving.close()
    staying = replica(database, tz, relay=True)
    try:
        # Far sooner than their lease runs out by itself.
        await until(lambda: len(tz.taken) == len(entries), LEASE.total_seconds() / 2)
        assert sorted(tz.taken) == sorted(event.ably_id for one in entries for event in one.events)
        await until(lambda: staying.held == 0)
        assert await outbox.count_entries(database) == 0
    finally:
        await staying.close()


async def test_what_was_published_but_not_confirmed_is_forgotten_at_shutdown(
    database: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other replica has to publish it a second time."""
    monkeypatch.setattr(publisher_module, "_FLUSH_SECONDS", 0.05)
    # The database is away while the events go out, and back when the replica leaves.
    monkeypatch.setattr(publisher_module, "_CONFIRM_AGAIN_SECONDS", 60.0)
    confirm, ably = outbox.delete_entries, Ably()
    failed: list[list[int]] = []

    async def fail_once(pool: Pool, ids: Sequence[int]) -> None:
        if not failed:
            failed.append(list(ids))
            raise UnavailableError("PostgreSQL")
        await confirm(pool, ids)

    monkeypatch.setattr(outbox, "delete_entries", fail_once)
    leaving = replica(database, ably, relay=False)
    leaving.hand_over([await stored(database, 1)])
    await until(lambda: failed)
    await leaving.close()
    assert (len(ably.taken), await outbox.count_entries(database)) == (1, 0)


async def test_what_a_dead_process_held_is_published_within_moments(database: Pool) -> None:
    entry, ably = await stored(database, 1), Ably()
    staying = replica(database, ably, relay=True)
    try:
        await until(lambda: ably.taken, 4)
        assert ably.taken == [event.ably_id for event in entry.events]
    finally:
        await staying.close()


async def test_what_is_kept_for_long_stays_with_its_process(
    database: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Ably is away, no one else takes what a living process holds."""
    monkeypatch.setattr(publisher_module, "_FLUSH_SECONDS", 0.05)
    entry, away, there = await stored(database, 1), Ably(is_away=True), Ably()
    holding, other = replica(database, away, relay=False), replica(database, there, relay=True)
    holding.hand_over([entry])
    try:
        expiry = await database.fetchval("SELECT lease_until FROM outbox")
        await until(lambda: _is_extended(database, expiry), LEASE.total_seconds())
        await until(lambda: _is_past(database, expiry), LEASE.total_seconds())
        assert not there.taken
    finally:
        await holding.close()
        await other.close()


async def test_a_commit_that_happened_unheard_is_published_before_what_follows(database: Pool) -> None:
    session_id = uuid4()
    lost, later, last = (made(number, session_id) for number in (1, 2, 3))
    ably = Ably()
    publisher = replica(database, ably, relay=False)
    try:
        await store(database, lost)
        publisher.doubt([lost])
        for entry in (later, last):
            await store(database, entry)
            publisher.hand_over([entry])
        other = await stored(database, 4)
        publisher.hand_over([other])
        await until(lambda: len(ably.taken) == 4, 1)
        own = [one for one in ably.taken if one.startswith(session_id.hex)]
        assert own == [event.ably_id for entry in (lost, later, last) for event in entry.events]
        await until(lambda: publisher.held == 0)
        assert await outbox.count_entries(database) == 0
    finally:
        await publisher.close()


async def test_a_commit_that_happens_later_is_published_at_once(database: Pool) -> None:
    """It waited for a lock. Nothing waits for it meanwhile."""
    session_id = uuid4()
    lost, earlier, later = (made(number, session_id) for number in (2, 1, 3))
    ably = Ably()
    publisher = replica(database, ably, relay=False)
    try:
        publisher.doubt([lost])
        await store(database, earlier)
        publisher.hand_over([earlier])
        await until(lambda: len(ably.taken) == 1, 1)
        await store(database, lost)
        await store(database, later)
        publisher.hand_over([later])
        await until(lambda: len(ably.taken) == 3, 1)
        assert ably.taken == [event.ably_id for entry in (earlier, lost, later) for event in entry.events]
    finally:
        await publisher.close()


async def _is_extended(database: Pool, expiry: datetime) -> bool:
    return bool(await database.fetchval("SELECT lease_until > $1 FROM outbox", expiry))


async def _is_past(database: Pool, instant: datetime) -> bool:
    return bool(
        await database.fetchval("SELECT clock_timestamp() > $1::timestamptz + interval '1 second'", instant)
    )

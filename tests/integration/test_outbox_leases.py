"""Who publishes what: a replica has its outbox entries leased, and gives them away when it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from rdchat.common.clock import SystemClock
from rdchat.common.errors import UnavailableError
from rdchat.common.telemetry import Metrics
from rdchat.events.channels import MESSAGE, chat_channel
from rdchat.events.outbox_entry import OutboxEntry, OutboxEntryBuilder
from rdchat.postgres import outbox, pool
from rdchat.realtime import publisher as publisher_module
from rdchat.realtime.ably_client import PublishError
from rdchat.realtime.publisher import LEASE, Publisher
from rdchat.security.encryption import Encryptor
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from rdchat.events.outbox_entry import Event
    from rdchat.postgres.pool import Pool

ENCRYPTOR = Encryptor({"test": b"k" * 32})


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


async def stored(database: Pool, number: int) -> OutboxEntry:
    """A outbox entry in the outbox, leased as the commit that wrote it has it."""
    session_id = uuid4()
    builder = OutboxEntryBuilder(session_id, 1)
    builder.add(chat_channel(session_id), MESSAGE, {"seq": number})
    entry = builder.build(number, SystemClock().now())
    assert entry is not None
    async with pool.transaction(database) as connection:
        await outbox.insert_entry(connection, entry, encryptor=ENCRYPTOR, lease=LEASE)
    return entry


def replica(database: Pool, ably: Ably, *, relay: bool) -> Publisher:
    publisher = Publisher(database, ably, ENCRYPTOR, Metrics())  # type: ignore[arg-type]
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
    assert await outbox.take_over_entries(database, lease=LEASE, limit=10, encryptor=ENCRYPTOR) == [], (
        "they are leased"
    )
    await leaving.close()
    staying = replica(database, tz, relay=True)
    try:
        # Far sooner than their lease runs out by itself.
        await until(lambda: len(tz.taken) == len(entries), LEASE.total_seconds() / 4)
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

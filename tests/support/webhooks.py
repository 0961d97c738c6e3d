"""Webhooks for tests: events, their rows, and delivery workers that lose no time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from rdchat.common.clock import SystemClock, iso
from rdchat.common.telemetry import Metrics
from rdchat.domain.person import Recipient
from rdchat.events.webhook import WebhookEvent, notification_event
from rdchat.postgres import pool as pools
from rdchat.postgres import webhooks
from rdchat.postgres.data_keys import person_owner
from rdchat.webhooks.delivery_worker import DeliveryWorker
from rdchat.webhooks.sender import Sender
from tests.support.keys import data_keys
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    import asyncpg

    from rdchat.postgres.pool import Connection, Pool

SECRET = b"s" * 32
KEYS = data_keys()


class Later(SystemClock):
    """The clock of this machine, put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead


def event(
    message: str = "Sesi konseling dimulai",
    *,
    notification_id: UUID | None = None,
    at: datetime | None = None,
) -> WebhookEvent:
    """The event of a notification, from a payload as it goes to Ably."""
    now = at or SystemClock().now()
    notification = {
        "id": str(notification_id or uuid4()),
        "type": "chat_enabled",
        "title": "Sesi dimulai 🤗",
        "message": message,
        "data": {"sessionId": str(uuid4())},
        "createdAt": iso(now),
    }
    person = Recipient(uuid4(), "Dr. Sari Wulandari", "sari@example.org", "id")
    return notification_event(person, notification, at=now)


async def rows_of(connection: Connection, one: WebhookEvent, endpoints: Sequence[str]) -> list[webhooks.Row]:
    """Make the rows of an event that tells someone something."""
    person_id = uuid4()
    encryptor = await KEYS.get_or_create(connection, person_owner(person_id))
    return webhooks.delivery_rows(one, person_id, endpoints=endpoints, encryptor=encryptor)


async def insert(connection: Connection, one: WebhookEvent, *endpoints: str) -> None:
    """Write the rows of an event in the open transaction."""
    rows = await rows_of(connection, one, endpoints)
    await webhooks.insert_deliveries(connection, rows)


async def written(pool: Pool, *endpoints: str, events: int = 1) -> list[str]:
    """Commit events. Return the ids of their deliveries."""
    made = [event() for _ in range(events)]
    async with pools.transaction(pool) as connection:
        for one in made:
            await insert(connection, one, *endpoints)
    return [str(one.delivery_id(endpoint)) for one in made for endpoint in endpoints]


async def row(pool: Pool, delivery_id: str) -> asyncpg.Record:
    found = await pool.fetchrow("SELECT * FROM webhook_deliveries WHERE id = $1", UUID(delivery_id))
    assert found is not None
    return found


def status_of(pool: Pool, delivery_id: str, status: str) -> Callable[[], Any]:
    async def is_so() -> bool:
        return (await row(pool, delivery_id))["status"] == status

    return is_so


@asynccontextmanager
async def delivery_worker_to(
    pool: Pool,
    url: str,
    *,
    started: bool = True,
    pause: Callable[[int], timedelta] = lambda _: timedelta(0),
    clock: SystemClock | None = None,
    allow_private: bool = True,
    metrics: Metrics | None = None,
) -> AsyncIterator[DeliveryWorker]:
    """A delivery worker that loses no time between attempts."""
    clock = clock or SystemClock()
    worker = DeliveryWorker(
        url,
        pool=pool,
        sender=Sender(url, [SECRET], clock, allow_private=allow_private),
        keys=KEYS,
        clock=clock,
        metrics=metrics or Metrics(),
        pause=pause,
    )
    if started:
        worker.start()
    try:
        yield worker
    finally:
        await worker.close()


async def rounds(worker: DeliveryWorker, condition: Callable[[], Any]) -> None:
    """Let a delivery worker that was not started go out again and again until something is so."""

    async def gone() -> Any:
        await worker.run_once()
        answer = condition()
        return await answer if asyncio.iscoroutine(answer) else answer

    await until(gone)

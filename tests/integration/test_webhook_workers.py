"""Webhooks by several workers, by workers that die, and in a whole replica."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook

from rdchat.common.clock import SystemClock
from rdchat.common.errors import UnavailableError
from rdchat.common.telemetry import Metrics
from rdchat.postgres import pool as pools
from rdchat.postgres import webhooks
from rdchat.webhooks.delivery_worker import LEASE, SLOTS
from rdchat.webhooks.dispatch import Webhooks
from tests.support.receiver import Receiver
from tests.support.service import Service, service_settings
from tests.support.waiting import until
from tests.support.webhooks import (
    KEYS,
    SECRET,
    Later,
    delivery_worker_to,
    event,
    insert,
    rounds,
    row,
    status_of,
    written,
)

if TYPE_CHECKING:
    from pathlib import Path

    from rdchat.postgres.pool import Pool


# ---- several workers, and workers that die ----------------------------------------------------------------


async def test_two_workers_at_once_deliver_each_row_once(database: Pool, receiver: Receiver) -> None:
    receiver.hold.clear()
    ids = await written(database, receiver.url, events=300)
    async with (
        delivery_worker_to(database, receiver.url),
        delivery_worker_to(database, receiver.url),
        delivery_worker_to(database, receiver.url),
    ):
        await until(lambda: receiver.at_once == 3 * SLOTS)
        receiver.hold.set()

        async def all_done() -> bool:
            return await webhooks.count_deliveries(database) == (0, 0)

        await until(all_done)
    assert Counter(receiver.ids) == Counter(ids)


async def test_killed_between_answer_and_note_it_comes_again_under_the_same_id(
    database: Pool, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    (delivery_id,) = await written(database, receiver.url)
    killed = asyncio.Event()

    async def killed_here(*_args: Any, **_options: Any) -> None:
        killed.set()
        raise UnavailableError("PostgreSQL")

    with monkeypatch.context() as patch:
        patch.setattr(webhooks, "mark_delivered", killed_here)
        async with delivery_worker_to(database, receiver.url):
            await killed.wait()
    clock = Later()
    async with delivery_worker_to(database, receiver.url, started=False, clock=clock) as worker:
        clock.ahead = LEASE - timedelta(seconds=10)
        assert await worker.run_once() == 0
        clock.ahead = LEASE + timedelta(seconds=1)
        await rounds(worker, status_of(database, delivery_id, "delivered"))
    assert receiver.ids == [delivery_id] * 2


async def test_who_stops_gives_back_what_it_could_not_finish(
    database: Pool, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rdchat.webhooks.delivery_worker._FLUSH_SECONDS", 0.05)
    receiver.hold.clear()
    (delivery_id,) = await written(database, receiver.url)
    async with delivery_worker_to(database, receiver.url):
        await until(lambda: receiver.received)
    assert (await row(database, delivery_id))["attempts"] == 0
    receiver.hold.set()
    async with delivery_worker_to(database, receiver.url):
        await until(status_of(database, delivery_id, "delivered"))


async def test_who_stops_lets_what_is_under_way_end(database: Pool, receiver: Receiver) -> None:
    receiver.hold.clear()
    (delivery_id,) = await written(database, receiver.url)
    async with delivery_worker_to(database, receiver.url):
        await until(lambda: receiver.received)
        asyncio.get_running_loop().call_later(0.05, receiver.hold.set)
    assert (await row(database, delivery_id))["status"] == "delivered"
    assert receiver.ids == [delivery_id]


async def test_whoever_lost_its_lease_changes_nothing(database: Pool, receiver: Receiver) -> None:
    """A worker that was paused for a minute comes back with a failure; another has the delivery by then."""
    (delivery_id,) = await written(database, receiver.url)
    now = SystemClock().now()
    (slow,) = await webhooks.claim_deliveries(database, receiver.url, now=now, until=now, limit=1, keys=KEYS)
    (quick,) = await webhooks.claim_deliveries(
        database, receiver.url, now=now, until=now + LEASE, limit=1, keys=KEYS
    )
    failure: dict[str, Any] = {"due_at": now, "dead": True, "status": 500, "reason": "answered 500"}
    assert not await webhooks.mark_failed(database, slow, **failure)
    await webhooks.give_back_delivery(database, slow, now=now)
    kept = await row(database, delivery_id)
    assert (kept["status"], kept["attempts"], kept["due_at"]) == ("scheduled", 2, now + LEASE)
    # But when the receiver has it, it has it, whoever brought it and whatever was noted meanwhile.
    assert await webhooks.mark_failed(database, quick, **failure)
    await webhooks.mark_delivered(database, slow, at=now, status=200)
    assert (await row(database, delivery_id))["status"] == "delivered"


@pytest.mark.parametrize(
    "encrypted", [b"\0\0", b"", b"\4gone" + b"x" * 40], ids=["changed", "empty", "old key"]
)
async def test_a_body_that_does_not_open_harms_nobody_else_and_is_given_up_in_the_end(
    database: Pool, receiver: Receiver, encrypted: bytes
) -> None:
    broken, fine = await written(database, receiver.url, events=2)
    await database.execute("UPDATE webhook_deliveries SET body = $2 WHERE id = $1", UUID(broken), encrypted)
    async with delivery_worker_to(database, receiver.url, started=False) as worker:
        await rounds(worker, status_of(database, fine, "delivered"))
        await rounds(worker, status_of(database, broken, "dead"))
    assert (await row(database, broken))["last_error"]
    assert receiver.ids == [fine]


# ---- tidying, and the whole in a replica ------------------------------------------------------------------


async def test_what_is_over_is_deleted_and_what_nobody_delivers_given_up(database: Pool) -> None:
    clock = Later()
    here, gone = "https://here.example/", "https://gone.example/"
    ids = {
        name: (await written(database, endpoint))[0]
        for name, endpoint in (("waits", here), ("gone", gone), ("delivered", here), ("dead", here))
    }
    now = clock.now()
    await database.execute(
        "UPDATE webhook_deliveries SET status = 'delivered', delivered_at = $2, body = NULL WHERE id = $1",
        UUID(ids["delivered"]),
        now,
    )
    await database.execute("UPDATE webhook_deliveries SET status = 'dead' WHERE id = $1", UUID(ids["dead"]))
    told = Webhooks(
        [here],
        [SECRET],
        allow_private=False,
        pool=database,
        keys=KEYS,
        clock=clock,
        metrics=Metrics(),
    )

    async def left(days: float) -> dict[str, str]:
        clock.ahead = timedelta(days=days)
        await told.tidy()
        found = {
            str(one["id"]): one["status"]
            for one in await database.fetch("SELECT id, status FROM webhook_deliveries")
        }
        return {name: found[one] for name, one in ids.items() if one in found}

    waits = {"waits": "scheduled", "dead": "dead"}
    assert await left(2.9) == {**waits, "gone": "scheduled", "delivered": "delivered"}
    assert await left(3.1) == {**waits, "gone": "dead"}
    assert await left(31) == {"waits": "scheduled"}


async def test_every_statement_finds_its_rows_by_an_index(database: Pool) -> None:
    plans = {
        "waiting": (webhooks._CLAIM, "'a', now(), now(), 5"),  # noqa: SLF001 - what they say is what counts
        "dead": (webhooks._DEAD, "5"),  # noqa: SLF001
        "delivered": (webhooks._FORGET_DELIVERED, "now()"),  # noqa: SLF001
    }
    async with pools.acquire(database) as connection:
        for index, (statement, arguments) in plans.items():
            await connection.execute(f"PREPARE plan AS {statement}")
            lines = await connection.fetch(f"EXPLAIN EXECUTE plan ({arguments})")
            await connection.execute("DEALLOCATE plan")
            plan = "\n".join(line[0] for line in lines)
            assert f"webhook_deliveries_{index}" in plan, plan
            assert "Seq Scan" not in plan, plan


async def test_a_replica_delivers_what_is_committed_and_says_so(
    database_url: str,
    redis_url: str,
    tmp_path: Path,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rdchat.webhooks.delivery_worker._SWEEP_SECONDS", 600.0)
    async with Receiver.running() as other:
        settings = service_settings(
            tmp_path,
            webhook_urls=(receiver.url, other.url),
            webhook_secrets=(b"n" * 32, SECRET),
            webhook_allow_private=True,
        )
        async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
            runtime = service.runtime
            assert runtime.webhooks.endpoints == (receiver.url, other.url)
            async with pools.transaction(runtime.pool) as connection:
                await insert(connection, event(), *runtime.webhooks.endpoints)
            runtime.webhooks.wake()
            await until(lambda: receiver.received and other.received)
            for got in (receiver.received[0], other.received[0]):
                for secret in settings.webhook_secrets:
                    Webhook(f"whsec_{base64.b64encode(secret).decode()}").verify(got.body, got.headers)
            assert receiver.ids != other.ids

            async def shown() -> bool:
                page = runtime.metrics.page().decode()
                return 'rdchat_webhook_attempts_total{outcome="delivered"} 2.0' in page

            await until(shown)


async def test_without_endpoints_or_the_role_nothing_is_delivered(
    database_url: str, redis_url: str, tmp_path: Path, receiver: Receiver
) -> None:
    secret: dict[str, Any] = {"webhook_secrets": (SECRET,), "webhook_allow_private": True}
    unset = service_settings(tmp_path)
    no_relay = service_settings(tmp_path, webhook_urls=(receiver.url,), roles=frozenset({"api"}), **secret)
    for settings in (unset, no_relay):
        async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
            told = service.runtime.webhooks
            assert told.endpoints == settings.webhook_urls
            await written(service.runtime.pool, *told.endpoints)
            told.wake()
            assert [task.get_name() for task in asyncio.all_tasks() if "webhooks to" in task.get_name()] == []
    assert receiver.received == []

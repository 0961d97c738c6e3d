"""Webhooks from the transaction to the receiver, and what becomes of them when it fails."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from rdchat.common.clock import SystemClock
from rdchat.common.telemetry import Metrics
from rdchat.postgres import pool as pools
from rdchat.postgres import webhooks
from rdchat.webhooks import sender as sender_module
from rdchat.webhooks.delivery_worker import SLOTS
from rdchat.webhooks.retry_policy import ATTEMPTS, pause_after
from tests.support.receiver import Receiver
from tests.support.waiting import until
from tests.support.webhooks import (
    SECRET,
    Later,
    delivery_worker_to,
    event,
    insert,
    rounds,
    row,
    rows_of,
    status_of,
    written,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rdchat.postgres.pool import Pool


# ---- from the transaction to the receiver -----------------------------------------------------------------


async def test_what_is_committed_arrives_signed_and_its_body_is_forgotten(
    database: Pool, receiver: Receiver
) -> None:
    told = event("Psikolog Anda menunggu")
    async with pools.transaction(database) as connection:
        await insert(connection, told, receiver.url)
    delivery_id = str(told.delivery_id(receiver.url))
    encrypted = (await row(database, delivery_id))["body"]
    assert b"Psikolog" not in encrypted
    async with delivery_worker_to(database, receiver.url):
        await until(status_of(database, delivery_id, "delivered"))
    (got,) = receiver.received
    secret = f"whsec_{base64.b64encode(SECRET).decode()}"
    said = Webhook(secret).verify(got.body, got.headers)
    assert got.id == delivery_id
    assert got.headers["content-type"] == "application/json"
    assert said["data"]["message"] == "Psikolog Anda menunggu"
    assert said["data"]["id"] == str(told.id)
    kept = await row(database, delivery_id)
    assert (kept["body"], kept["last_status"], kept["attempts"]) == (None, 204, 1)
    assert kept["delivered_at"] is not None


async def test_what_is_rolled_back_is_told_to_nobody(database: Pool, receiver: Receiver) -> None:
    async with pools.acquire(database) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await insert(connection, event(), receiver.url)
        await transaction.rollback()
    async with delivery_worker_to(database, receiver.url, started=False) as worker:
        assert await worker.run_once() == 0
    assert await webhooks.count_deliveries(database) == (0, 0)


async def test_the_same_event_written_again_is_told_once(database: Pool, receiver: Receiver) -> None:
    told = event()
    async with delivery_worker_to(database, receiver.url, started=False) as worker:
        for _ in range(2):
            async with pools.transaction(database) as connection:
                await insert(connection, told, receiver.url)
            await rounds(worker, status_of(database, str(told.delivery_id(receiver.url)), "delivered"))
    assert len(receiver.received) == 1


async def test_the_part_of_the_group_commit_writes_for_sessions_that_won(
    database: Pool, receiver: Receiver
) -> None:
    won, lost = uuid4(), uuid4()
    events = {won: event(), lost: event()}
    text, width = webhooks.COMMIT_PART
    part = text.format(*(f"${number}" for number in range(2, width + 2)))
    statement = f"WITH won AS (SELECT unnest($1::uuid[]) AS id), {part} SELECT id FROM won"  # noqa: S608
    async with pools.acquire(database) as connection:
        rows = [
            (session_id, *one)
            for session_id, told in events.items()
            for one in await rows_of(connection, told, [receiver.url, "https://b.example/"])
        ]
    assert all(len(one) == width for one in rows)
    for _ in range(2):
        await database.fetch(statement, [won], *zip(*rows, strict=True))
    found = await database.fetch("SELECT id, endpoint FROM webhook_deliveries ORDER BY endpoint")
    assert [one["endpoint"] for one in found] == sorted([receiver.url, "https://b.example/"])
    assert found[0]["id"] == events[won].delivery_id(found[0]["endpoint"])
    await database.fetch(statement, [won], *[[]] * width)
    async with delivery_worker_to(database, receiver.url):
        await until(lambda: receiver.received)
    assert json.loads(receiver.received[0].body)["data"]["id"] == str(events[won].id)


async def test_a_hint_is_enough_and_without_one_the_sweep_finds_it(
    database: Pool, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rdchat.webhooks.delivery_worker._SWEEP_SECONDS", 600.0)
    async with delivery_worker_to(database, receiver.url) as worker:
        (first,) = await written(database, receiver.url)
        worker.wake()
        await until(status_of(database, first, "delivered"))
    monkeypatch.setattr("rdchat.webhooks.delivery_worker._SWEEP_SECONDS", 0.02)
    async with delivery_worker_to(database, receiver.url):
        (second,) = await written(database, receiver.url)
        await until(status_of(database, second, "delivered"))


# ---- receivers that fail ----------------------------------------------------------------------------------


async def test_it_is_tried_again_under_the_same_id_with_a_fresh_signature(
    database: Pool, receiver: Receiver
) -> None:
    receiver.answers = [web.Response(status=status) for status in (500, 404, 302, 400)]
    metrics = Metrics()
    (delivery_id,) = await written(database, receiver.url)
    async with delivery_worker_to(database, receiver.url, started=False, metrics=metrics) as worker:
        await rounds(worker, status_of(database, delivery_id, "delivered"))
    assert receiver.ids == [delivery_id] * 5
    assert len({one.body for one in receiver.received}) == 1
    kept = await row(database, delivery_id)
    assert (kept["attempts"], kept["last_error"]) == (5, None)
    page = metrics.page().decode()
    assert 'rdchat_webhook_attempts_total{outcome="failed"} 4.0' in page
    assert 'rdchat_webhook_attempts_total{outcome="delivered"} 1.0' in page


async def test_between_attempts_it_waits(database: Pool, receiver: Receiver) -> None:
    receiver.answers = [web.Response(status=500)]
    clock = Later()
    (delivery_id,) = await written(database, receiver.url)
    async with delivery_worker_to(
        database, receiver.url, started=False, clock=clock, pause=pause_after
    ) as worker:

        async def failed() -> bool:
            return (await row(database, delivery_id))["last_error"] == "answered 500"

        assert await worker.run_once() == 1
        await until(failed)
        assert await worker.run_once() == 0
        clock.ahead = timedelta(seconds=3.9)
        assert await worker.run_once() == 0
        clock.ahead = timedelta(seconds=7)
        assert await worker.run_once() == 1
        await until(status_of(database, delivery_id, "delivered"))


async def test_a_redirect_is_not_followed(database: Pool, receiver: Receiver) -> None:
    async with Receiver.running() as elsewhere:
        receiver.answers = [
            web.Response(status=status, headers={"Location": elsewhere.url})
            for status in (301, 302, 307, 308)
        ]
        (delivery_id,) = await written(database, receiver.url)
        async with delivery_worker_to(database, receiver.url, started=False) as worker:
            await rounds(worker, status_of(database, delivery_id, "delivered"))
        assert len(receiver.received) == 5
        assert elsewhere.received == []


async def test_gone_is_a_dead_letter_at_once(database: Pool, receiver: Receiver) -> None:
    receiver.answers = [web.Response(status=410)]
    (delivery_id,) = await written(database, receiver.url)
    async with delivery_worker_to(database, receiver.url):
        await until(status_of(database, delivery_id, "dead"))
    kept = await row(database, delivery_id)
    assert (kept["attempts"], kept["last_status"], kept["last_error"]) == (1, 410, "answered 410")


async def test_after_the_last_attempt_it_is_a_dead_letter_and_can_be_revived(
    database: Pool, receiver: Receiver
) -> None:
    receiver.answers = [web.Response(status=500) for _ in range(ATTEMPTS)]
    dead, fine = await written(database, receiver.url, events=2)
    await database.execute("UPDATE webhook_deliveries SET due_at = now() + '1 h' WHERE id = $1", UUID(fine))
    async with delivery_worker_to(database, receiver.url, started=False) as worker:
        await rounds(worker, status_of(database, dead, "dead"))
        assert receiver.ids == [dead] * ATTEMPTS
        assert await webhooks.count_deliveries(database) == (1, 1)
        assert [str(one["id"]) for one in await webhooks.list_dead_deliveries(database)] == [dead]
        assert await worker.run_once() == 0
        now = SystemClock().now()
        assert await webhooks.revive_deliveries(database, [uuid4()], now=now) == []
        assert [str(one["id"]) for one in await webhooks.revive_deliveries(database, None, now=now)] == [dead]
        await rounds(worker, status_of(database, dead, "delivered"))
    assert receiver.ids == [dead] * (ATTEMPTS + 1)
    assert (await row(database, fine))["attempts"] == 0


async def test_who_says_when_to_come_again_is_left_alone_until_then(
    database: Pool, receiver: Receiver
) -> None:
    receiver.answers = [web.Response(status=429, headers={"Retry-After": "40"})]
    clock = Later()
    (first,) = await written(database, receiver.url)
    async with delivery_worker_to(database, receiver.url, started=False, clock=clock) as worker:
        await worker.run_once()

        async def failed() -> bool:
            return (await row(database, first))["last_status"] == 429

        await until(failed)
        assert (await row(database, first))["due_at"] > clock.now() + timedelta(seconds=35)
        # The others as well: it is the receiver that has too much to do.
        (second,) = await written(database, receiver.url)
        assert await worker.run_once() == 0
        clock.ahead = timedelta(seconds=41)
        assert await worker.run_once() == 2
        for delivery_id in (first, second):
            await until(status_of(database, delivery_id, "delivered"))


async def test_who_hangs_is_left_and_tried_again(
    database: Pool, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "WHOLE_SECONDS", 0.1)
    receiver.hold.clear()
    (delivery_id,) = await written(database, receiver.url)
    async with delivery_worker_to(database, receiver.url, started=False) as worker:

        async def given_up() -> bool:
            return (await row(database, delivery_id))["last_error"] == "no answer in time"

        await rounds(worker, given_up)
        receiver.hold.set()
        await rounds(worker, status_of(database, delivery_id, "delivered"))


async def test_one_that_hangs_or_is_gone_delays_nobody_else(
    database: Pool, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rdchat.webhooks.delivery_worker._SWEEP_SECONDS", 0.01)
    async with Receiver.running() as hanging:
        hanging.hold.clear()
        gone = "http://127.0.0.1:9/"
        await written(database, hanging.url, gone, events=3 * SLOTS)
        async with (
            delivery_worker_to(database, hanging.url),
            delivery_worker_to(database, gone, pause=pause_after),
        ):
            await until(lambda: len(hanging.received) == SLOTS)
            ids = await written(database, receiver.url, events=50)
            async with delivery_worker_to(database, receiver.url):
                await until(lambda: sorted(receiver.ids) == sorted(ids), 5)
            assert (hanging.at_once, hanging.most_at_once) == (SLOTS, SLOTS)
            hanging.hold.set()
            await until(lambda: len(hanging.received) == 3 * SLOTS)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 1000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
async def test_an_endless_answer_is_as_good_as_a_short_one(database: Pool, answer: bytes) -> None:
    async with raw_server(answer) as url:
        (delivery_id,) = await written(database, url)
        async with delivery_worker_to(database, url, started=False) as worker:
            await rounds(worker, status_of(database, delivery_id, "delivered"))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 999999 NO\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\nRetry-After: \xff\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_nonsense_for_an_answer_is_a_failed_attempt(database: Pool, answer: bytes) -> None:
    async with raw_server(answer) as url:
        (delivery_id,) = await written(database, url)
        async with delivery_worker_to(database, url, started=False) as worker:

            async def failed() -> bool:
                kept = await row(database, delivery_id)
                return kept["status"] == "scheduled" and bool(kept["last_error"])

            await worker.run_once()
            await until(failed)
        told = (await row(database, delivery_id))["last_error"]
        assert not any(part in told for part in ("hidden", "OpenSSH", "xxx", "\n")), told


@asynccontextmanager
async def raw_server(answer: bytes) -> AsyncIterator[str]:
    """A server that says one thing to everybody, and closes when it has said it (or when it is told to)."""
    writers: list[asyncio.StreamWriter] = []

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if b"200 OK" not in answer:
            writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/?token=hidden"
    server.close()
    for writer in writers:
        writer.close()


async def test_at_delivery_a_private_address_is_refused(database: Pool, receiver: Receiver) -> None:
    (delivery_id,) = await written(database, receiver.url)
    async with delivery_worker_to(database, receiver.url, started=False, allow_private=False) as worker:

        async def refused() -> bool:
            return (await row(database, delivery_id))["last_error"] == "127.0.0.1 is not a public address"

        await worker.run_once()
        await until(refused)
    assert receiver.received == []

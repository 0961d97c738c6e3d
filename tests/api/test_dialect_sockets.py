"""The socket of notifications: who is let in, who is told, by whichever replica, and who no longer is."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import socketio

from handlers.dialects.ruangdiri import sockets
from handlers.dialects.ruangdiri.events import TOPIC
from rdchat.domain.person import Role
from tests.support.pair import a_pair
from tests.support.service import Service, service_settings
from tests.support.soon import in_days
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.pair import Pair
    from tests.support.service import Person

NAMESPACE = "/notifications"


@pytest.fixture
async def pair(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Pair]:
    async with a_pair(
        tmp_path, database_url=database_url, redis_url=redis_url, dialect="ruangdiri"
    ) as started:
        for one in (started.one, started.other):
            await asyncio.wait_for(one.runtime.announcements.listening.wait(), 10)
        yield started


@asynccontextmanager
async def connected(base: str, person: Person) -> AsyncIterator[tuple[Any, list[dict[str, Any]]]]:
    """A person's connection, and what it was told."""
    client = socketio.AsyncClient(reconnection=False)
    told: list[dict[str, Any]] = []
    client.on("notification:created", handler=told.append, namespace=NAMESPACE)
    await client.connect(base, auth={"token": person.token}, namespaces=[NAMESPACE])
    try:
        yield client, told
    finally:
        await client.disconnect()
        await client.wait()


def all_have(count: int, *told: list[dict[str, Any]]) -> bool:
    return all(len(one) == count for one in told)


async def test_each_is_told_once_by_whichever_replica_they_are_connected_to(pair: Pair) -> None:
    psychologist, client = await pair.one.psychologist(), pair.one.person()
    stranger = pair.one.person()
    async with (
        connected(pair.other.base, psychologist) as (_, there),
        connected(pair.one.base, psychologist) as (_, here),
        connected(pair.other.base, client) as (_, own),
        connected(pair.other.base, stranger) as (_, nothing),
    ):
        for number, days in enumerate((3, 4), 1):
            reply = await client.book(in_days(days), in_days(days).replace(hour=13))
            assert reply.status == 201, reply.json
            await until(partial(all_have, number, there, here, own), 5)
        # Announced once more, as after a crash of the one that published it.
        for one in there:
            pair.one.runtime.announcements.announce(TOPIC, f"{psychologist.id} {one['id']}")
        assert (await client.book(in_days(5), in_days(5).replace(hour=13))).status == 201
        await until(partial(all_have, 3, there, here, own), 5)
    assert nothing == []
    assert [one["unreadCount"] for one in there] == [1, 2, 3]
    assert {one["recipientId"] for one in there} == {str(psychologist.id)}
    assert there == here
    listed = (await psychologist.get("/notifications")).data["data"]
    assert [(one["id"], one["title"], one["message"]) for one in reversed(listed)] == [
        (one["id"], one["title"], one["message"]) for one in there
    ]


async def test_who_is_stopped_is_told_nothing_more(pair: Pair) -> None:
    psychologist, client = await pair.one.psychologist(), pair.one.person()
    admin = pair.one.person(Role.SUPER_ADMIN)
    async with connected(pair.other.base, psychologist) as (socket, told):
        booked = (await client.book(in_days(3), in_days(3).replace(hour=13))).data
        await until(lambda: len(told) == 1, 5)
        assert (await admin.put(f"/people/{psychologist.id}", {"isActive": False})).status == 200
        await pair.other.runtime.access.refresh()
        assert (await client.put(f"/counselings/{booked['id']}/cancel", {})).status == 200
        await until(lambda: NAMESPACE not in socket.namespaces, 5)
        with pytest.raises(socketio.exceptions.ConnectionError):
            async with connected(pair.other.base, psychologist):
                pass
    # That they take no more counsellings may have come first.
    assert "session_cancelled" not in [one["subType"] for one in told]


async def test_a_connection_that_does_not_say_who_it_is_is_cut(
    tmp_path: Path, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "_LOOK_SECONDS", 0.05)
    settings = service_settings(tmp_path, dialect="ruangdiri")
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as app:
        url = f"{app.base}/socket.io/?EIO=4&transport=polling"

        async def is_cut(session: str) -> bool:
            async with app.client.get(f"{url}&sid={session}") as again:
                # 1: closed by the server.
                return again.status == 400 or await again.text() == "1"

        async with connected(app.base, app.person()) as (socket, _):
            monkeypatch.setattr(sockets, "_INTRODUCE_SECONDS", 0.05)
            async with app.client.get(url, headers={"Origin": "http://localhost:3000"}) as answer:
                assert answer.status == 200
                assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
                opened = await answer.text()
            await until(partial(is_cut, opened.partition('"sid":"')[2].partition('"')[0]), 5)
            assert socket.connected

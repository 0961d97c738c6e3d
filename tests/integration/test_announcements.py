"""Announcements: heard by whoever listens, also behind a connection that was lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from rdchat.redis import announcements
from rdchat.redis.announcements import Announcements
from rdchat.redis.connection import connect
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rdchat.redis.connection import RedisClient


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[RedisClient]:
    client = connect(redis_url)
    yield client
    await client.aclose()


async def test_what_is_announced_is_heard_on_its_topic_in_order(store: RedisClient) -> None:
    one, other = Announcements(store), Announcements(store)
    heard: list[str] = []
    other.listen("news", heard.append)
    await asyncio.wait_for(other.listening.wait(), 5)
    for number in range(1_200):
        one.announce("weather", "rain")
        one.announce("news", str(number))
    await until(lambda: len(heard) == 1_200, 10)
    assert heard == [str(number) for number in range(1_200)]

    await store.one("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: not other.listening.is_set(), 5)
    await asyncio.wait_for(other.listening.wait(), 5)
    one.announce("news", "again")
    await until(lambda: heard[-1] == "again", 5)
    for each in (one, other):
        await each.close()


async def test_a_quiet_subscription_is_asked_whether_it_lives(
    store: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcements, "_WATCHDOG_SECONDS", 0.05)
    quiet = Announcements(store)
    heard: list[str] = []
    quiet.listen("news", heard.append)
    await asyncio.wait_for(quiet.listening.wait(), 5)
    await asyncio.sleep(0.3)
    assert quiet.listening.is_set()
    quiet.announce("news", "still here")
    await until(lambda: heard == ["still here"], 5)
    await quiet.close()

"""The program is killed with SIGKILL at every moment of a session, and started again."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
import redis.asyncio
from ably import AblyRealtime

from rdchat.postgres import pool, sessions
from rdchat.postgres.names import SnapshotNames
from rdchat.redis import connection
from rdchat.redis.snapshots import Snapshots
from tests.support.keys import data_keys
from tests.support.waiting import until
from tests.support.world import Talk, World, at_instant


@pytest.mark.parametrize("milliseconds", [(4, 12, 4, 12), (-12, 8, 12, 4)], ids=str)
async def test_killed_at_every_moment(world: World, milliseconds: tuple[int, ...]) -> None:
    """Once at each automation of the same sessions, a little before or after its instant."""
    lead = timedelta(seconds=2.5)
    replica = await world.replica(initial_message_lead=lead, end_warning_lead=lead)
    [talk, *_] = await world.book(replica.base, starts_in=3.5, lasts=9, count=6)
    instants = (talk.starts_at - lead, talk.starts_at, talk.ends_at - lead, talk.ends_at)
    for instant, after in zip(instants, milliseconds, strict=True):
        await at_instant(instant, offset=after / 1000)
        replica.kill9()
        await world.expire_leases()
        await replica.start()
    await world.check(8, in_order=False)


async def test_killed_while_both_talk(world: World) -> None:
    replica = await world.replica()
    [talk] = await world.book(replica.base, starts_in=2, lasts=4)
    heard: list[dict[str, Any]] = []
    access = (await talk.client.get("/chat/ably-token", sessionId=talk.id)).data

    async def authenticate(_params: object) -> str:
        return str(access["token"])

    listener = AblyRealtime(auth_callback=authenticate, endpoint=f"{world.ably.address}/", tls=False)
    try:
        channel = listener.channels.get(access["channelName"])
        async with asyncio.timeout(5):
            await channel.subscribe("message", lambda message: heard.append(_data(message.data)))
        await until(lambda: world.all_are("active"), 6)
        async with world.talking((talk, talk.client), (talk, talk.psychologist), pause=0.005):
            await at_instant(talk.starts_at, offset=1.1)
            replica.kill9()
            await world.expire_leases()
            await replica.start()
            await until(lambda: world.is_settled(talk, "auto_end"), 12)
        # What the dead program had not delivered comes once its lease is over; a subscriber sorts by seq.
        await world.check(14, in_order=False)
    finally:
        await listener.close()
    ids = Counter(one["id"] for one in heard)
    assert max(ids.values()) == 1
    # The first message may have come before anybody listened; from then on nothing is missing.
    stored = (await world.fetch("SELECT last_seq FROM chat_sessions"))[0]["last_seq"]
    seqs = sorted(one["seq"] for one in heard)
    assert seqs == list(range(seqs[0], stored + 1))
    assert seqs[0] <= 2
    assert len([said for said in world.said if said.replies]) > 20


async def test_killed_between_commit_and_delivery(world: World) -> None:
    replica = await world.replica()
    [talk] = await world.book(replica.base, starts_in=1, lasts=8)
    await until(lambda: world.all_are("active"), 5)
    port = world.ably.port
    await world.ably.close()
    for number in range(5):
        said, _ = await world.say(talk, (talk.client, talk.psychologist)[number % 2], f"pesan {number}")
        assert said.replies
    replica.kill9()
    await world.ably.start(port=port)
    await world.expire_leases()
    await replica.start()
    assert (await world.insist(talk, talk.client, "dan lagi", 5)).replies
    await world.check(10, in_order=False)


async def test_killed_between_commit_and_snapshot(world: World) -> None:
    """The snapshots in Redis are older than PostgreSQL then; no one may be stuck on them."""
    replica = await world.replica()
    talks = await world.book(replica.base, starts_in=1, lasts=8, count=2)
    await until(lambda: world.all_are("active"), 5)
    client = redis.asyncio.Redis.from_url(world.redis_url)
    older: dict[str, bytes] = {}
    for talk in talks:
        await world.say(talk, talk.client, "satu")
        older |= await _snapshot_now(world, talk)
    for talk in talks:
        await world.say(talk, talk.client, "dua")
    replica.kill9()
    await client.mset(older)
    await client.aclose()
    await world.expire_leases()
    await replica.start()
    # A message to one of them; the other one has only its timers.
    said, _ = await world.say(talks[0], talks[0].psychologist, "tiga")
    await world.check(8, in_order=False)
    assert said.replies, f"answered {said.refused}"
    for talk in talks:
        for kind in ("end_warning", "auto_end"):
            automation = await world.automation(talk, kind)
            assert (automation["status"], automation["lateness_ms"] < 500) == ("done", True), kind


async def _snapshot_now(world: World, talk: Talk) -> dict[str, bytes]:
    """Make the snapshot that a replica would leave of a session."""
    keys = data_keys()
    database = await pool.connect(world.database_url, keys=keys, size=2)
    store = connection.connect(world.redis_url)
    try:
        session = await sessions.get_session(database, UUID(talk.id))
        assert session is not None
        async with pool.acquire(database) as acquired:
            service_key = await keys.get_service_key(acquired)
        await Snapshots(store, service_key, SnapshotNames(database, keys), alarm=keys.alarm).save([session])
        key = f"rdchat:session:{{{session.id.hex}}}"
        (value,) = await store.get([key])
        assert value is not None
        return {key: value}
    finally:
        await store.aclose()
        await pool.close(database)


def _data(data: Any) -> dict[str, Any]:
    read: dict[str, Any] = orjson.loads(data) if isinstance(data, str) else data
    return read

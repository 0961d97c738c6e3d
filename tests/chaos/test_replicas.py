"""Several replicas on the same stores: alternating, killed, paused."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING

import pytest

from rdchat.timers import worker
from tests.support.waiting import until
from tests.support.world import World, at_instant, together

if TYPE_CHECKING:
    from tests.support.replica import Replica


async def test_two_replicas_share_a_session(world: World) -> None:
    one, other = await _two(world)
    talks = await world.book(one.base, starts_in=2, lasts=2, count=3)
    # Both know the sessions as pending.
    for replica, talk in itertools.product((one, other), talks):
        _, reply = await world.say(talk, world.at(talk.client, replica.base), "Halo?")
        assert reply is not None
        assert reply.code == "CHAT_NOT_ENABLED"
    await until(lambda: world.all_are("active"), 5)
    for replica, talk in itertools.product((one, other), talks):
        said, _ = await world.say(talk, world.at(talk.client, replica.base), "sekarang")
        assert said.replies, f"a wrong refusal: {said}"
    async with world.talking(
        *[(talk, world.at(talk.client, one.base)) for talk in talks],
        *[(talk, world.at(talk.psychologist, other.base)) for talk in talks],
        pause=0.01,
    ):
        await until(lambda: world.all_are("completed"), 8)
    await world.check(8, in_order=False)
    refusals = {refusal for said in world.said for refusal in said.refused} - {(400, "CHAT_NOT_ENABLED")}
    assert refusals <= {(400, "SESSION_ENDED")}
    assert len([said for said in world.said if said.replies]) > 60


async def test_commands_to_both_at_once(world: World) -> None:
    """The replica that loses the race for a session steps again, at once and without a 503."""
    one, other = await _two(world)
    [talk] = await world.book(one.base, starts_in=1, lasts=3)
    await until(lambda: world.all_are("active"), 5)
    for wave in range(6):
        done = await together(
            *[
                world.say(
                    talk, world.at(person, replica.base), f"{wave}.{number}.{where}", named=number % 2 == 0
                )
                for number in range(5)
                for person in (talk.client, talk.psychologist)
                for where, replica in enumerate((one, other))
            ]
        )
        for said, _ in done:
            assert [status for status, _, _ in said.replies] == [201], f"refused: {said}"
    await world.check(8, in_order=False)


async def test_the_same_message_to_both_at_once(world: World) -> None:
    one, other = await _two(world)
    [talk] = await world.book(one.base, starts_in=1, lasts=3)
    await until(lambda: world.all_are("active"), 5)
    for number in range(8):
        said, _ = await world.say(talk, world.at(talk.client, one.base), f"pesan {number}")
        first = await together(
            *[
                world.say(talk, world.at(talk.client, replica.base), said.text, again=said)
                for replica in (other, one, other)
            ]
        )
        assert [reply.status for _, reply in first if reply] == [200, 200, 200]
        ping, pong = await together(
            *[
                world.at(talk.psychologist, replica.base).say(talk.id, "sama", f"sama-{number}")
                for replica in (one, other)
            ]
        )
        assert sorted((ping.status, pong.status)) == [200, 201]
        assert ping.data["id"] == pong.data["id"]
    await world.check(8, in_order=False)


async def test_one_of_two_is_killed(world: World) -> None:
    one, other = await _two(world)
    [talk, *_] = await world.book(one.base, starts_in=2, lasts=2.0, count=6)
    await at_instant(talk.starts_at, offset=-0.3)
    one.kill9()
    await world.expire_leases()
    for booked in world.talks:
        await world.insist(booked, world.at(booked.client, other.base), "Halo?", 2)
    await world.check(9, in_order=False)


async def test_one_of_two_is_paused_over_the_start(world: World) -> None:
    """For longer than its leases last; awake again, it must not do once more what the other has done."""
    one, _ = await _two(world)
    talks = await world.book(one.base, starts_in=2, lasts=6, count=6)
    await at_instant(talks[0].starts_at, offset=-0.4)
    one.pause()
    # It last renewed its leases before: they run out within two seconds, and the other one wakes for them.
    await at_instant(talks[0].starts_at, offset=2.6)
    await until(lambda: world.all_are("active"), 0.5)
    await at_instant(talks[0].starts_at, offset=4.0)
    one.resume()
    await until(lambda: world.all_are("active"), 1.5)
    for talk in talks:
        said, _ = await world.say(talk, world.at(talk.client, one.base), "sudah bangun")
        assert said.replies, f"a wrong refusal: {said}"
    await world.check(5, in_order=False)


@pytest.mark.parametrize("seconds", [1.7, 2.4], ids=["nearly its lease", "longer than its lease"])
async def test_a_lone_replica_is_paused_over_the_start(
    world: World, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """What fell due meanwhile runs when it wakes up, not when one more lease has run out."""
    monkeypatch.setattr(worker, "_LEASE_MS", 2_000)
    async with world.service() as service:
        [talk] = await world.book(service.base, starts_in=1, lasts=6)
        await at_instant(talk.starts_at, offset=-0.1)
        time.sleep(0.1 + seconds)  # noqa: ASYNC251 - the whole program stands still, that is the fault
        await until(lambda: world.is_settled(talk, "enable_chat"), 4)
        assert (await world.automation(talk, "enable_chat"))["lateness_ms"] < 1000 * seconds + 400
        await talk.client.put(f"/chat/sessions/{talk.id}/end")
        await world.settle(3)


async def _two(world: World) -> list[Replica]:
    replicas = [world.new_replica(), world.new_replica()]
    await asyncio.gather(*[replica.start() for replica in replicas])
    return replicas

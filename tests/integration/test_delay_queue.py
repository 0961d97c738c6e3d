"""The delay queue's contract, on a real server and on fakeredis alike."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import fakeredis
import pytest
import redis.asyncio

from rdchat.redis import scripts
from rdchat.redis.connection import RedisClient
from rdchat.redis.delay_queue import (
    KIND_CODES,
    SHARDS,
    DelayQueue,
    Job,
    due_key,
    filled_key,
    leases_key,
    reminder_score,
)
from statemachine import AutomationKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KINDS = tuple(AutomationKind)
ALL = range(SHARDS)


@pytest.fixture(params=["redis", "fakeredis"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[redis.asyncio.Redis]:
    if request.param == "redis":
        client = redis.asyncio.Redis.from_url(request.getfixturevalue("redis_server"))
        await client.flushall()
    else:
        client = fakeredis.FakeAsyncRedis()
    yield client
    await client.aclose()


@pytest.fixture
def queue(client: redis.asyncio.Redis) -> DelayQueue:
    return DelayQueue(RedisClient(client))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def job(kind: AutomationKind = AutomationKind.ENABLE_CHAT, version: int = 1) -> Job:
    return Job(uuid4(), kind, version)


async def claim(queue: DelayQueue, *, lease_ms: int = 8000, limit: int = 100) -> dict[Job, int]:
    claimed = await queue.claim(ALL, look_ahead_ms=1000, lease_ms=lease_ms, limit=limit)
    return {one.job: one.due_ms for one in claimed.claims}


def test_codes_of_kinds_never_change() -> None:
    """Jobs of the release before are in Redis while this one starts: another code is another automation."""
    released = {"initial_message": 0, "enable_chat": 1, "end_warning": 2, "auto_end": 3, "reminder": 4}
    assert {kind.value: code for kind, code in KIND_CODES.items() if kind in released} == released


def test_a_reminder_comes_behind_the_automations_of_its_instant() -> None:
    """A reminder can wait a moment for a chat that opens; the chat does not wait for it."""
    assert reminder_score(1_800_000_000_000) > 1_800_000_000_000


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_is_nineteen_bytes_and_reads_back(kind: AutomationKind) -> None:
    one = Job(uuid4(), kind, 513)
    assert len(one.member()) == 19
    assert Job.from_member(one.member()) == one


def test_a_member_has_the_last_two_bytes_of_the_schedule_version() -> None:
    one = job(version=65536 + 513)
    assert one.member()[17:] == b"\x02\x01"
    assert Job.from_member(one.member()).number == 513


def test_anything_else_is_not_a_job() -> None:
    good = job().member()
    kinds = len(KIND_CODES)
    for member in (b"", b"x" * 19, good + b"!", good[:16] + bytes([kinds]) + good[17:]):
        with pytest.raises(ValueError, match="not a job"):
            Job.from_member(member)


async def test_what_is_due_soon_is_claimed_once_and_what_is_not_stays(queue: DelayQueue) -> None:
    soon, late = job(), job()
    due = now_ms() + 500
    await queue.schedule([(soon, due), (late, now_ms() + 60_000)])
    assert await claim(queue) == {soon: due}
    assert await claim(queue) == {}


async def test_the_head_of_what_stays_is_told(queue: DelayQueue) -> None:
    late = job()
    due = now_ms() + 60_000
    await queue.schedule([(late, due), (Job(late.subject_id, AutomationKind.AUTO_END, 1), due + 1000)])
    claimed = await queue.claim(ALL, look_ahead_ms=1000, lease_ms=8000, limit=10)
    assert claimed.heads == {late.shard: due}


async def test_due_instants_any_distance_ahead_keep_their_millisecond(queue: DelayQueue) -> None:
    far = job()
    due = now_ms() + 10 * 365 * 86_400_000 + 7
    await queue.schedule([(far, due)])
    claimed = await queue.claim(ALL, look_ahead_ms=1000, lease_ms=8000, limit=10)
    assert claimed.heads == {far.shard: due}


async def test_a_finished_job_is_gone(queue: DelayQueue, client: redis.asyncio.Redis) -> None:
    done = job()
    await queue.schedule([(done, now_ms())])
    await claim(queue)
    await queue.finish([done])
    assert await client.zcard(leases_key(done.shard)) == 0
    assert await client.zcard(due_key(done.shard)) == 0


async def test_a_lease_that_ran_out_is_claimed_again_at_once(queue: DelayQueue) -> None:
    one = job()
    await queue.schedule([(one, now_ms() - 1)])
    assert list(await claim(queue, lease_ms=-1)) == [one]
    assert await claim(queue) == {one: 0}
    assert await claim(queue) == {}


async def test_a_lease_outlives_a_job_that_is_claimed_ahead(
    queue: DelayQueue, client: redis.asyncio.Redis
) -> None:
    one = job()
    due = now_ms() + 900
    await queue.schedule([(one, due)])
    await queue.claim(ALL, look_ahead_ms=1000, lease_ms=100, limit=10)
    assert await client.zscore(leases_key(one.shard), one.member()) == due + 100


async def test_a_lease_counts_from_the_claim_but_not_to_before_the_job_is_due(
    queue: DelayQueue, client: redis.asyncio.Redis
) -> None:
    soon, later = job(), job()
    before = now_ms()
    await queue.schedule([(soon, before + 100), (later, before + 60_000)])
    await queue.claim(ALL, look_ahead_ms=70_000, lease_ms=9000, limit=10)
    after = now_ms()
    lease = await client.zscore(leases_key(soon.shard), soon.member())
    assert lease is not None
    assert before + 9000 <= lease <= after + 9000
    assert await client.zscore(leases_key(later.shard), later.member()) == before + 60_000 + 1000


async def test_a_renewed_lease_counts_from_now(queue: DelayQueue, client: redis.asyncio.Redis) -> None:
    renewed, kept = job(), job()
    await queue.schedule([(renewed, now_ms()), (kept, now_ms())])
    await claim(queue, lease_ms=0)
    before = now_ms()
    await queue.renew([renewed], 5000)
    after = now_ms()
    lease = await client.zscore(leases_key(renewed.shard), renewed.member())
    assert lease is not None
    assert before + 5000 <= lease <= after + 5000
    assert await claim(queue) == {kept: 0}


async def test_a_lease_is_never_shortened(queue: DelayQueue, client: redis.asyncio.Redis) -> None:
    """Another worker may have the job by now."""
    one = job()
    await queue.schedule([(one, now_ms())])
    await claim(queue, lease_ms=8000)
    lease = await client.zscore(leases_key(one.shard), one.member())
    await queue.renew([one], 1000)
    assert await client.zscore(leases_key(one.shard), one.member()) == lease


async def test_what_has_no_lease_any_more_gets_none(queue: DelayQueue) -> None:
    finished, again, postponed, removed, kept = jobs = [job() for _ in range(5)]
    later = now_ms() + 60_000
    await queue.schedule((one, now_ms()) for one in jobs)
    assert set(await claim(queue)) == set(jobs)
    await queue.finish([finished])
    await queue.schedule([(again, later)])
    await queue.postpone([(postponed, later)])
    await queue.remove([removed])
    await queue.renew(jobs, 5000)
    depths = await queue.depth()
    assert [depth.leased for depth in depths] == [int(shard == kept.shard) for shard in ALL]
    assert sum(depth.waiting for depth in depths) == 2
    assert await queue.add_missing((one.member(), later) for one in jobs) == 2


async def test_it_is_told_when_the_first_lease_runs_out(queue: DelayQueue) -> None:
    async def expiry(lease_ms: int) -> int | None:
        return (await queue.claim(ALL, look_ahead_ms=0, lease_ms=lease_ms, limit=1)).expiry_ms

    assert await expiry(1000) is None
    jobs = [Job(UUID(int=shard), kind, 1) for shard in (1, 3) for kind in KINDS[:2]]
    await queue.schedule([(jobs[0], now_ms())])
    assert await expiry(60_000) == 60_000
    await queue.schedule([(jobs[2], now_ms())])
    # The shards are asked together, at one instant or nearly.
    first = await expiry(20_000)
    assert first is not None
    assert 19_900 <= first <= 20_000
    await queue.schedule([(jobs[1], now_ms())])
    first = await expiry(40_000)
    assert first is not None
    assert 19_000 <= first <= 20_000, "of the lease that was there"


async def test_more_lost_leases_than_one_claim_takes_have_run_out(queue: DelayQueue) -> None:
    jobs = [Job(UUID(int=3), kind, 1) for kind in KINDS[:2]]
    await queue.schedule((one, now_ms()) for one in jobs)
    await claim(queue, lease_ms=-1000)
    found = await queue.claim(ALL, look_ahead_ms=0, lease_ms=60_000, limit=1)
    assert (len(found.claims), found.expiry_ms) == (1, 0)
    found = await queue.claim(ALL, look_ahead_ms=0, lease_ms=60_000, limit=1)
    assert found.expiry_ms is not None
    assert (len(found.claims), found.expiry_ms > 1000) == (1, True)


async def test_of_leases_in_several_shards_the_next_to_end_is_told(queue: DelayQueue) -> None:
    jobs = [job() for _ in range(200)]
    await queue.schedule([(one, now_ms()) for one in jobs])
    first, *others = ALL
    # Those of one shard end in a moment, whichever of them is read last.
    assert (await queue.claim([first], look_ahead_ms=0, lease_ms=2_000, limit=200)).claims
    assert (await queue.claim(others, look_ahead_ms=0, lease_ms=60_000, limit=200)).claims
    for shards in ([first, *others], [*others, first]):
        found = await queue.claim(shards, look_ahead_ms=0, lease_ms=60_000, limit=1)
        assert found.expiry_ms is not None
        assert found.expiry_ms <= 2_000


async def test_the_limit_holds_for_each_shard(queue: DelayQueue) -> None:
    session = uuid4()
    jobs = [Job(session, kind, 1) for kind in KINDS]
    await queue.schedule([(one, now_ms() - 10 + index) for index, one in enumerate(jobs)])
    assert list(await claim(queue, limit=3)) == jobs[:3]
    assert list(await claim(queue, limit=3)) == jobs[3:]


async def test_scheduling_again_moves_a_job(queue: DelayQueue) -> None:
    one = job()
    await queue.schedule([(one, now_ms() + 60_000)])
    due = now_ms()
    await queue.schedule([(one, due)])
    assert await claim(queue) == {one: due}


async def test_removed_jobs_are_gone_whether_they_wait_or_are_leased(queue: DelayQueue) -> None:
    session = uuid4()
    leased, waiting = Job(session, KINDS[0], 1), Job(session, KINDS[1], 1)
    await queue.schedule([(leased, now_ms()), (waiting, now_ms() + 60_000)])
    await claim(queue)
    await queue.remove([leased, waiting])
    assert [(depth.waiting, depth.leased) for depth in await queue.depth()] == [(0, 0)] * SHARDS


async def test_a_postponed_job_waits_for_its_new_instant(queue: DelayQueue) -> None:
    one = job()
    await queue.schedule([(one, now_ms())])
    await claim(queue)
    due = now_ms() + 500
    await queue.postpone([(one, due)])
    assert await claim(queue) == {one: due}


async def test_a_job_whose_lease_was_lost_cannot_be_postponed(queue: DelayQueue) -> None:
    one = job()
    await queue.schedule([(one, now_ms())])
    await claim(queue)
    await queue.finish([one])
    await queue.postpone([(one, now_ms())])
    assert await claim(queue) == {}


async def test_only_what_is_missing_is_added(queue: DelayQueue) -> None:
    leased, waiting, missing = job(), job(), job()
    later = now_ms() + 60_000
    await queue.schedule([(leased, now_ms()), (waiting, later)])
    await claim(queue)
    offered = [(one.member(), due) for one, due in ((leased, 1), (waiting, 1), (missing, later))]
    assert await queue.add_missing(offered) == 1
    assert await claim(queue) == {}


async def test_depth_counts_by_shard(queue: DelayQueue) -> None:
    overdue = Job(UUID(int=3), KINDS[0], 1)
    await queue.schedule([(overdue, 1000), (Job(UUID(int=3), KINDS[1], 1), now_ms() + 60_000)])
    depth = (await queue.depth())[3]
    assert (depth.shard, depth.waiting, depth.leased, depth.overdue, depth.head_ms) == (3, 2, 0, 1, 1000)


async def test_nothing_to_do_is_no_error(queue: DelayQueue) -> None:
    await queue.schedule([])
    await queue.finish([])
    await queue.remove([])
    await queue.postpone([])
    await queue.renew([], 1000)
    assert await queue.add_missing([]) == 0


async def test_who_claims_sees_that_redis_was_emptied(queue: DelayQueue, client: redis.asyncio.Redis) -> None:
    async def complete() -> bool:
        return (await queue.claim(ALL, look_ahead_ms=0, lease_ms=1000, limit=1)).complete

    assert not await complete()
    await queue.mark_filled(now_ms(), create=True)
    assert await complete()
    await client.flushall()
    assert not await complete()


async def test_who_claims_sees_that_a_set_alone_was_lost(
    queue: DelayQueue, client: redis.asyncio.Redis
) -> None:
    """As by eviction: the mark says that everything is there, and nothing is."""

    async def complete() -> bool:
        return (await queue.claim(ALL, look_ahead_ms=0, lease_ms=1000, limit=1)).complete

    one = job()
    await queue.mark_filled(now_ms() + 1000, create=True)
    await queue.schedule([(one, now_ms())])
    assert list(await claim(queue)) == [one]
    await queue.finish([one])
    assert await complete(), "a set without jobs was not lost"
    assert sum(depth.waiting for depth in await queue.depth()) == 0
    await client.delete(due_key(one.shard))
    assert not await complete()
    assert await queue.filled_until() is None
    # What comes meanwhile makes a set again, but not a full one.
    await queue.schedule([(one, now_ms() + 60_000)])
    assert not await complete()
    begun = now_ms()
    await queue.mark_filled(begun, create=True)
    assert await queue.filled_until() == begun


async def test_it_is_filled_as_far_as_the_shard_that_is_filled_least(
    queue: DelayQueue, client: redis.asyncio.Redis
) -> None:
    assert await queue.filled_until() is None
    await queue.mark_filled(5000)
    assert await queue.filled_until() is None  # nothing was noted before, so a replica has to begin
    await queue.mark_filled(5000, create=True)
    await queue.mark_filled(4000)
    assert await queue.filled_until() == 5000
    await client.set(filled_key(3), 4500)
    assert await queue.filled_until() == 4500
    await client.delete(filled_key(SHARDS - 1))
    await queue.mark_filled(6000)
    assert await queue.filled_until() is None


async def test_a_shard_that_cannot_be_asked_is_not_filled_up_to_anything(
    queue: DelayQueue, client: redis.asyncio.Redis
) -> None:
    await queue.mark_filled(5000, create=True)
    await client.delete(filled_key(3))
    await client.lpush(filled_key(3), "no text")
    with pytest.raises(redis.ResponseError):
        await queue.filled_until()


async def test_a_shard_whose_head_was_due_in_1970_still_has_one(queue: DelayQueue) -> None:
    await queue.schedule([(Job(UUID(int=3), kind, 1), 0) for kind in KINDS[:2]])
    depths = await queue.depth()
    assert [depth.head_ms for depth in depths] == [None, None, None, 0, None, None, None, None]
    assert (await queue.claim(ALL, look_ahead_ms=0, lease_ms=8000, limit=1)).heads == {3: 0}


async def test_shards_that_cannot_be_asked_are_named_until_it_is_all_of_them(
    queue: DelayQueue, client: redis.asyncio.Redis
) -> None:
    one = Job(UUID(int=4), KINDS[0], 1)
    await queue.schedule([(one, now_ms())])
    await client.lpush(due_key(3), "no sorted set")
    claimed = await queue.claim(ALL, look_ahead_ms=0, lease_ms=8000, limit=1)
    assert claimed.away == [3]
    assert [claim.job for claim in claimed.claims] == [one]
    with pytest.raises(redis.ResponseError):
        await queue.claim([3], look_ahead_ms=0, lease_ms=8000, limit=1)


async def test_more_jobs_than_one_call_takes_go_in_several(
    client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripts, "MOST", 2)
    sizes: list[int] = []
    store = RedisClient(client)
    queue, many = DelayQueue(store), store.many
    # Scripts are known from now on.
    for call in (queue.schedule([(job(), now_ms())]), queue.remove([job()]), queue.renew([job()], 1000)):
        await call

    async def measured(commands: list[tuple[Any, ...]]) -> list[Any]:
        sizes.extend(len(command) for command in commands)
        return await many(commands)

    monkeypatch.setattr(store, "many", measured)
    jobs = [Job(UUID(int=3), KINDS[0], version) for version in range(5)]
    await queue.schedule([(one, now_ms()) for one in jobs])
    # Command, script, number of keys and the keys are six; then two for each job.
    assert sizes == [6 + 4, 6 + 4, 6 + 2]
    sizes.clear()
    await queue.remove(jobs)
    assert sizes == [6 + 2, 6 + 2, 6 + 1]
    sizes.clear()
    await queue.renew(jobs, 1000)
    # The lease's length comes first.
    assert sizes == [7 + 2, 7 + 2, 7 + 1]


async def test_a_server_that_has_forgotten_the_scripts_is_told_them_again(
    queue: DelayQueue, client: redis.asyncio.Redis
) -> None:
    jobs = [Job(UUID(int=shard), KINDS[0], 1) for shard in ALL]
    for count in (1, 2):
        await client.script_flush()
        await queue.schedule([(one, now_ms()) for one in jobs])
        # One of them alone, so that it is known when the others come.
        assert len((await queue.claim([3], look_ahead_ms=0, lease_ms=0, limit=1)).claims) == 1
        await client.script_flush()
        assert set(await claim(queue)) == set(jobs), f"at the {count}. time"
        await queue.finish(jobs)


async def test_what_only_a_newer_release_knows_is_left_alone(
    queue: DelayQueue, client: redis.asyncio.Redis
) -> None:
    one = job()
    unknown = bytes(16) + b"\xff\x00\x01"
    await client.zadd(due_key(one.shard), {unknown: 1, b"rubbish": 1})
    await queue.schedule([(one, now_ms())])
    assert list(await claim(queue)) == [one]
    assert await client.zcard(leases_key(one.shard)) == 3

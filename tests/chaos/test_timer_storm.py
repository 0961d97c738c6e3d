"""Timers under faults: a short storm, the fence at work, and a judge that would notice if it were otherwise.

The long storm is `python -m tests.chaos.storm`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from rdchat.common.clock import SystemClock
from statemachine import AutomationKind, AutomationStatus, Status
from tests.chaos.storm import lateness, specimen
from tests.chaos.storm.booking import Bookings
from tests.chaos.storm.counters import FENCED, page_of
from tests.chaos.storm.delay_queue import Held
from tests.chaos.storm.faults import Struck
from tests.chaos.storm.plan import Appointment, FaultKind, make_plan
from tests.chaos.storm.record import read_record
from tests.chaos.storm.specimen import settled, unsettled
from tests.chaos.storm.stage import Stage, a_stage
from tests.chaos.storm.storm import Storm
from tests.chaos.storm.subscriber import a_subscriber
from tests.chaos.storm.verdict import judge
from tests.support.automations import ALWAYS
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rdchat.local.stores import EmbeddedRedis
    from tests.chaos.storm.record import Life, Record
    from tests.support.replica import Replica

_INITIAL, _ENABLE = AutomationKind.INITIAL_MESSAGE, AutomationKind.ENABLE_CHAT
_WARNING, _END = AutomationKind.END_WARNING, AutomationKind.AUTO_END


# ---- the judge --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("record", [specimen.good(), specimen.missed()], ids=["completed", "missed"])
def test_what_went_well_is_good(record: Record) -> None:
    verdict = judge(record)
    assert verdict.is_good, verdict


def test_a_missed_session_counts_as_skipped_with_its_reasons() -> None:
    assert judge(specimen.missed()).skipped == {
        (_INITIAL, "start_was_due"): 1,
        **{(kind, "missed"): 1 for kind in (_ENABLE, _WARNING, _END)},
    }


def _life(record: Record, **changes: Any) -> Record:
    return replace(record, lives=[replace(record.lives[0], **changes)])


def _automation(record: Record, one: Any) -> Record:
    return _life(record, automations={**record.lives[0].automations, one.kind: one})


def _again(record: Record, index: int, **changes: Any) -> Record:
    told = record.deliveries
    return replace(record, deliveries=[*told, replace(told[index], **changes)], heard={})


def _without(record: Record, index: int) -> Record:
    told = record.deliveries
    return replace(record, deliveries=[*told[:index], *told[index + 1 :]], heard={})


def _said_twice(life: Life) -> dict[str, Any]:
    return {"messages": [*life.messages, replace(life.messages[1], id="m4", seq=4)], "last_seq": 4}


LOST: dict[str, Callable[[Record], Record]] = {
    "a timer that nobody ran": lambda r: _automation(r, unsettled(_WARNING)),
    "a timer that was given up": lambda r: _automation(r, unsettled(_END, AutomationStatus.FAILED)),
    "a session that stayed open": lambda r: _life(r, status=Status.ACTIVE),
    "a session that is gone": lambda r: replace(r, lives=[], deliveries=[], heard={}),
    "a message that was not stored": lambda r: _life(r, messages=r.lives[0].messages[:2], last_seq=2),
    "a message that was not delivered": lambda r: _without(r, 0),
    "a status that was not delivered": lambda r: _without(r, 4),
    "a notification that was not delivered": lambda r: _without(r, 3),
    "an event that did not reach the subscriber": lambda r: replace(
        r, heard={specimen.ID: r.heard[specimen.ID][1:]}
    ),
}
REPEATED: dict[str, Callable[[Record], Record]] = {
    "a message stored twice": lambda r: _life(r, **_said_twice(r.lives[0])),
    "a timer run twice": lambda r: _life(r, triggers=[*r.lives[0].triggers, (5, "auto_end")], version=5),
    "a message delivered under two ids": lambda r: _again(r, 1, ably_id="another"),
    "a status delivered under two ids": lambda r: _again(r, 2, ably_id="another"),
    "a notification delivered under two ids": lambda r: _again(r, 3, ably_id="another"),
}
WRONG: dict[str, Callable[[Record], Record]] = {
    "run before its time": lambda r: _automation(r, settled(_ENABLE, late=timedelta(milliseconds=-1))),
    "skipped in time": lambda r: _automation(
        r, settled(_INITIAL, AutomationStatus.SKIPPED, "start_was_due", late=timedelta(seconds=4.9))
    ),
    "not warned in time": lambda r: _automation(
        r, settled(_WARNING, AutomationStatus.SKIPPED, "too_late_to_warn", late=timedelta(seconds=4))
    ),
    "skipped for a reason that there cannot be": lambda r: _automation(
        r, settled(_WARNING, AutomationStatus.SKIPPED, "never_opened", late=timedelta(seconds=60))
    ),
    "cancelled by nobody": lambda r: _automation(r, unsettled(_WARNING, AutomationStatus.CANCELLED)),
    "told what was not done": lambda r: _again(
        r, 2, ably_id="another", data={"sessionId": str(specimen.ID), "status": "cancelled"}
    ),
    "one id, two contents": lambda r: _again(
        r, 2, data={"sessionId": str(specimen.ID), "status": "completed"}
    ),
    "another number than is stored": lambda r: _life(
        r, messages=[replace(one, seq=one.seq + 1) for one in r.lives[0].messages]
    ),
    "a commit without a trace": lambda r: _life(r, version=5),
    "failed before it was done": lambda r: _automation(r, replace(settled(_END), attempts=1)),
    "a job that is left over": lambda r: replace(r, queued=1),
    "touched before its time": lambda r: replace(
        r, read_at=r.lives[0].starts_at - timedelta(hours=1), queued=4
    ),
}


@pytest.mark.parametrize("doctor", LOST.values(), ids=LOST)
def test_what_is_lost_is_noticed(doctor: Callable[[Record], Record]) -> None:
    verdict = judge(doctor(specimen.good()))
    assert verdict.lost
    assert not verdict.repeated


@pytest.mark.parametrize("doctor", REPEATED.values(), ids=REPEATED)
def test_what_is_repeated_is_noticed(doctor: Callable[[Record], Record]) -> None:
    verdict = judge(doctor(specimen.good()))
    assert verdict.repeated
    assert not verdict.lost


@pytest.mark.parametrize("doctor", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_noticed(doctor: Callable[[Record], Record]) -> None:
    assert judge(doctor(specimen.good())).wrong


def test_a_session_that_was_missed_without_need_is_noticed() -> None:
    record = specimen.missed()
    in_time = settled(_ENABLE, AutomationStatus.SKIPPED, "missed", late=timedelta(seconds=14))
    assert judge(_automation(record, in_time)).wrong


def test_what_comes_again_under_its_id_is_no_repetition() -> None:
    verdict = judge(_again(_again(specimen.good(), 1), 2, at_ms=200_000))
    assert verdict.is_good, verdict
    assert (verdict.redelivered, verdict.redelivered_late) == (2, 1)


def test_lateness_is_told_by_what_went_wrong_meanwhile() -> None:
    late = settled(_ENABLE, late=timedelta(seconds=6))
    record = _automation(specimen.good(), late)
    paused = Struck(FaultKind.REPLICA_PAUSED, late.due_at - timedelta(seconds=9), late.due_at)
    table = lateness.by_situation(record, [paused])
    assert (table["all"].count, table["all"].p50, table["all"].worst) == (4, 3, 6000)
    assert (table[lateness.CALM].worst, table["replica paused"].worst) == (3, 6000)
    assert lateness.unexplained(record, [paused]) == []
    [forgotten] = lateness.unexplained(record, [])
    assert f"{specimen.ID} enable_chat: 6000 ms late in calm" in forgotten


# ---- the plan ---------------------------------------------------------------------------------------------


def test_a_seed_gives_one_plan() -> None:
    first, again, other = (
        make_plan(seed, seconds=60, replicas=3, rate=5, later=10, gap=(1, 3), longest=20)
        for seed in (7, 7, 8)
    )
    assert first == again
    assert first.faults != other.faults
    assert {fault.kind for fault in first.faults} == set(FaultKind)


# ---- the real thing ---------------------------------------------------------------------------------------


@pytest.mark.timeout(240)
@pytest.mark.xdist_group("programs")
async def test_everything_happens_once_in_a_storm(
    tmp_path: Path, database_url: str, own_redis: EmbeddedRedis
) -> None:
    plan = make_plan(7, seconds=30, replicas=3, rate=20, later=1000, gap=(1.0, 3.2), longest=12)
    async with a_stage(
        tmp_path, database_url=database_url, redis_url=own_redis.address, replicas=plan.replicas
    ) as stage:
        report = await Storm(stage, own_redis, plan, print).run()
    print(report.text())  # noqa: T201 - shown by pytest if it fails
    verdict = report.verdict
    assert not verdict.lost
    assert not verdict.repeated
    assert not verdict.wrong
    assert verdict.automations == dict.fromkeys(ALWAYS, len(plan.appointments))
    done = {one.kind for one in report.struck}
    assert {FaultKind.REPLICA_KILLED, FaultKind.REPLICA_PAUSED, FaultKind.REDIS_FLUSHED} <= done


@pytest.mark.xdist_group("programs")
async def test_a_replica_that_was_paused_loses_to_the_fence(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """It wakes up with timers that another has run, and sessions in memory as they were: all in vain."""
    count = 40
    async with (
        a_stage(tmp_path, database_url=database_url, redis_url=redis_url, replicas=2) as stage,
        a_subscriber(stage) as subscriber,
    ):
        paused, other = stage.replicas
        await stage.start_replicas()
        # Alone, the first one says the first message everywhere, and so has the sessions in memory ...
        other.pause()
        bookings = Bookings(stage.pool, stage.queue, SystemClock().now())
        await bookings.employ_psychologists()
        sessions = [Appointment(uuid4(), 0.0, 4.0, 15.5, 3.0, 1.0, is_queued=True) for _ in range(count)]
        for one in sessions:
            await subscriber.attend(one.id)
        await bookings.book(sessions)
        await until(lambda: _all_are(stage, _INITIAL, AutomationStatus.DONE), 8)
        # ... and holds their next timers, when it stops.
        await until(lambda: _holds(stage, leased=count, waiting=2 * count), 5, every=0.005)
        paused.pause()
        assert await _all_are(stage, _ENABLE, AutomationStatus.SCHEDULED), "it was stopped too late"
        other.resume()
        await until(lambda: _all_are(stage, _ENABLE, AutomationStatus.DONE), 12)
        assert await _done(stage, other, _ENABLE) == count
        paused.resume()
        await until(lambda: _fenced(stage, paused, count), 6)
        assert await _done(stage, paused, _ENABLE) == 0
        await until(lambda: _nothing_left(stage), 20)
        verdict = judge(await read_record(stage, booked=bookings.booked, heard=subscriber.heard))
    assert verdict.is_good, verdict
    assert not verdict.skipped
    assert verdict.sessions == {"completed": count}


async def _all_are(stage: Stage, kind: AutomationKind, status: AutomationStatus) -> bool:
    rows = await stage.pool.fetch("SELECT DISTINCT status FROM automations WHERE kind = $1", kind.value)
    return [row["status"] for row in rows] == [status]


async def _holds(stage: Stage, *, leased: int, waiting: int) -> bool:
    return await stage.queue.held() == Held(waiting, leased)


async def _nothing_left(stage: Stage) -> bool:
    unpublished = await stage.pool.fetchval("SELECT count(*) FROM outbox")
    return not unpublished and await _holds(stage, leased=0, waiting=0)


async def _fenced(stage: Stage, replica: Replica, count: int) -> bool:
    return (await page_of(stage.http, replica)).get(FENCED) == count


async def _done(stage: Stage, replica: Replica, kind: AutomationKind) -> float:
    name = f'rdchat_automations_total{{kind="{kind}",status="done"}}'
    return (await page_of(stage.http, replica)).get(name, 0)

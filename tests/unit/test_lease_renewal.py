"""Renewing leases: when, of what, and until when."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from rdchat.redis.connection import LOST
from rdchat.redis.delay_queue import Claim, Job
from rdchat.timers import leases
from rdchat.timers.leases import LeaseRenewal
from statemachine import AutomationKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

LEASE_MS = 2_000
NOW_MS = 1_800_000_000_000


class Looks:
    """A queue that keeps what is renewed, with a clock and a pause that a test sets in motion."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []
        self.away = False
        self.meanwhile: Callable[[], None] = lambda: None
        self.renewal = LeaseRenewal(self, lease_ms=LEASE_MS)  # type: ignore[arg-type]
        self._lease_ms = LEASE_MS
        self._renewed: list[tuple[list[Job], int]] = []
        self._asleep = asyncio.Event()
        self._awake = asyncio.Event()

    async def renew(self, jobs: Iterable[Job], lease_ms: int) -> None:
        if self.away:
            raise LOST[0]("away")
        if jobs := list(jobs):
            self._renewed.append((jobs, lease_ms))
            self.meanwhile()

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self._awake.clear()
        self._asleep.set()
        await self._awake.wait()

    def hold(self, jobs: Iterable[Job], *, at: float = 100.0, due_in_ms: int = 0) -> None:
        claims = [Claim(job, NOW_MS + due_in_ms) for job in jobs]
        self.renewal.hold(claims, asked_at=at, asked_ms=NOW_MS)

    async def restart(self, lease_ms: int) -> None:
        await self.renewal.close()
        self._asleep.clear()
        self._lease_ms = lease_ms
        self.renewal = LeaseRenewal(self, lease_ms=lease_ms)  # type: ignore[arg-type]
        self.renewal.start()

    async def at(self, now: float) -> list[Job]:
        """Let it look at an instant. Return what it renews, by one call at most."""
        self.now = now
        await self._asleep.wait()
        self._asleep.clear()
        self._renewed.clear()
        self._awake.set()
        await self._asleep.wait()
        assert [own for _, own in self._renewed] in ([], [self._lease_ms])
        return [job for jobs, _ in self._renewed for job in jobs]


@pytest.fixture
async def looks(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Looks]:
    looks = Looks()
    monkeypatch.setattr(leases, "time", SimpleNamespace(monotonic=looks.monotonic))
    monkeypatch.setattr(leases, "asyncio", SimpleNamespace(sleep=looks.sleep))
    looks.renewal.start()
    yield looks
    await looks.renewal.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "timer leases"]


def some(count: int) -> list[Job]:
    return [Job(uuid4(), AutomationKind.ENABLE_CHAT, 1) for _ in range(count)]


async def test_it_looks_eight_times_while_a_lease_lasts(looks: Looks) -> None:
    assert await looks.at(100.0) == []
    assert await looks.at(100.25) == []
    assert looks.pauses == [0.25] * 3
    assert "timer leases" in {task.get_name() for task in asyncio.all_tasks()}


async def test_leases_are_renewed_together_when_less_than_half_is_left_and_then_again(looks: Looks) -> None:
    jobs = some(3)
    looks.hold(jobs)
    # 0.9 seconds are left at 101.1, and at 102.35.
    for early, late in ((101.0, 101.25), (102.25, 102.5), (103.5, 103.75)):
        assert await looks.at(early) == []
        assert await looks.at(late) == jobs


async def test_a_lease_that_runs_out_a_second_after_its_job_is_due_is_renewed_when_the_job_was_due(
    looks: Looks,
) -> None:
    """What is fired in time is settled by then."""
    soon, later = some(2)
    looks.hold([soon], due_in_ms=900)
    # 0.9 seconds are left just after 101.5.
    looks.hold([later], at=100.0005, due_in_ms=1_400)
    assert await looks.at(101.0) == []
    assert await looks.at(101.25) == [soon]
    assert await looks.at(101.5) == []
    assert await looks.at(101.75) == [later]


async def test_a_lease_shorter_than_a_second_lasts_no_longer_beyond_due_than_it_is(looks: Looks) -> None:
    [job] = some(1)
    await looks.restart(lease_ms=800)
    looks.hold([job], due_in_ms=1_000)
    # 0.36 seconds are left at 101.44.
    assert await looks.at(101.4) == []
    assert await looks.at(101.5) == [job]


async def test_only_those_that_near_their_end_are_renewed(looks: Looks) -> None:
    early, late = some(2)
    looks.hold([early])
    looks.hold([late], at=100.5)
    assert await looks.at(101.25) == [early]
    assert await looks.at(101.75) == [late]
    assert await looks.at(102.5) == [early]
    assert await looks.at(104.0) == [late, early]


async def test_what_is_settled_is_renewed_no_more(looks: Looks) -> None:
    kept, settled, *others = some(4)
    looks.hold([kept, settled])
    looks.renewal.drop([settled, *others])
    assert await looks.at(101.25) == [kept]


async def test_what_is_claimed_again_is_renewed_when_its_new_lease_nears_its_end(looks: Looks) -> None:
    [job] = some(1)
    looks.hold([job])
    looks.renewal.drop([job])
    looks.hold([job], at=101.0)
    assert await looks.at(101.25) == []
    assert await looks.at(102.25) == [job]


async def test_what_is_settled_while_it_is_renewed_does_not_come_back(looks: Looks) -> None:
    settled, kept = some(2)
    looks.hold([settled, kept])
    looks.meanwhile = lambda: looks.renewal.drop([settled])
    assert await looks.at(101.25) == [settled, kept]
    assert await looks.at(102.5) == [kept]


async def test_without_redis_the_next_look_tries_again(looks: Looks) -> None:
    jobs = some(2)
    looks.hold(jobs)
    looks.away = True
    assert await looks.at(101.25) == []
    looks.away = False
    assert await looks.at(101.5) == jobs
    assert await looks.at(101.75) == []


async def test_what_is_stuck_is_left_to_others_and_said_once(looks: Looks) -> None:
    stuck, *fresh = some(3)
    looks.hold([stuck])
    with capture_logs() as logged:
        for number in range(1, 10):
            assert await looks.at(100.0 + 1.25 * number) == [stuck]
        looks.hold(fresh, at=111.25)
        assert logged == []
        assert await looks.at(112.5) == fresh
        assert await looks.at(113.75) == fresh
    assert [(one["log_level"], one["jobs"]) for one in logged] == [("warning", 1)]


async def test_twelve_seconds_are_long(looks: Looks) -> None:
    first, second = some(2)
    looks.hold([first], at=100.0)
    looks.hold([second], at=100.01)
    assert await looks.at(112.0) == [second]


async def test_one_that_was_never_started_can_be_closed() -> None:
    await Looks().renewal.close()

"""All replicas work by PostgreSQL's clock, whatever their machines' say."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from rdchat.common.clock import SystemClock
from rdchat.common.corrected_clock import CorrectedClock
from rdchat.postgres import server_clock
from rdchat.postgres.server_clock import ClockKeeper, measure
from tests.support.service import Service, service_settings
from tests.support.soon import second_ahead
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from rdchat.postgres.pool import Pool


class MovedClock(SystemClock):
    """The clock of a machine that is so many seconds ahead."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.seconds)

    def ms(self) -> float:
        return super().ms() + self.seconds * 1000


async def test_it_is_measured_to_a_few_milliseconds(database: Pool) -> None:
    assert abs(await measure(database, MovedClock(3).ms) + 3000) < 20


async def test_a_slow_answer_among_others_does_not_count(
    database: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, instants = SystemClock(), iter(range(100))

    def slow_at_first() -> float:
        # The first answer seems to have taken four seconds.
        return clock.ms() - (4000 if next(instants) == 0 else 0)

    monkeypatch.setattr(server_clock, "_SAMPLES", 3)
    assert abs(await measure(database, slow_at_first)) < 20


async def test_it_is_kept(database: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_clock, "_EVERY_SECONDS", 0.01)
    drift = [0.0]
    clock = CorrectedClock(SystemClock(), lambda: time.monotonic() - drift[0])
    keeper = ClockKeeper(database, clock)
    await keeper.start()
    try:
        drift[0] = 5.0
        await until(lambda: abs(clock.ms() - SystemClock().ms()) < 50, 5)
    finally:
        await keeper.close()


@pytest.mark.parametrize("ahead", [3.0, -3.0])
async def test_a_chat_opens_at_its_instant_though_the_machine_is_off(
    database_url: str, redis_url: str, tmp_path: Path, ahead: float
) -> None:
    async with Service.running(
        service_settings(tmp_path),
        database_url=database_url,
        redis_url=redis_url,
        clock=CorrectedClock(MovedClock(ahead)),
    ) as service:
        psychologist = await service.psychologist()
        client = service.person()
        starts_at = second_ahead(2)
        session_id = await client.book_session(
            starts_at, starts_at + timedelta(seconds=5), psychologistId=str(psychologist.id)
        )

        async def is_open() -> bool:
            return bool((await client.session(session_id))["status"] == "active")

        await until(is_open, 8, every=0.01)
        assert timedelta(0) <= datetime.now(UTC) - starts_at < timedelta(seconds=1)
        assert (await client.say(session_id, "Halo")).status == 201
        reply = await psychologist.put(f"/chat/sessions/{session_id}/end")
        assert reply.status == 200, reply.json
        await until(lambda: service.runtime.publisher.held == 0, 5)
        ready, metrics = await asyncio.gather(_page(service, "/readyz"), _page(service, "/metrics"))
        way = "ahead of" if ahead > 0 else "behind"
        assert f"this machine's clock is 3.0 s {way} PostgreSQL's" in ready
        assert '"status":"ready"' in ready
        [offset] = [line for line in metrics.splitlines() if line.startswith("rdchat_clock_offset_seconds ")]
        assert float(offset.split()[1]) == pytest.approx(ahead, abs=0.1)


async def _page(service: Service, path: str) -> str:
    async with service.client.get(service.base + path) as answer:
        text: Any = await answer.text()
        return str(text)

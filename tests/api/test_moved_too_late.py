"""A counselling whose start is due is moved no more, also while its chat is not open yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.envelope import assert_refused
from tests.support.service import Service, service_settings, whole_second
from tests.support.sessions import instant
from tests.support.soon import book_at, in_days
from tests.support.world import at_instant

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("method", ["chat", "online"])
async def test_what_should_have_begun_is_not_moved(
    database_url: str, redis_url: str, tmp_path: Path, method: str
) -> None:
    # Without a worker nobody opens it: as in the moment between the start and the timer.
    settings = service_settings(tmp_path, roles=frozenset({"api", "relay"}))
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        await service.psychologist()
        client = service.person()
        starts_at = whole_second(1)
        booked = (await book_at(client, starts_at, 60, method=method)).data
        path = f"/counselings/{booked['id']}"
        wish = {"date": f"{in_days(30):%Y-%m-%d}", "startTime": "10:00", "endTime": "11:00"}
        await at_instant(starts_at)
        assert_refused(await client.put(f"{path}/reschedule", wish), 409, "ILLEGAL_TRANSITION")
        after = (await client.get(path)).data
        assert (instant(after["scheduledAt"]), after["endsAt"]) == (starts_at, booked["endsAt"])
        if method == "chat":
            session = await client.session(booked["chatSession"]["sessionId"])
            assert (session["status"], session["scheduledAt"]) == ("pending", booked["scheduledAt"])

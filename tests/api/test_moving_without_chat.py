"""A counselling without chat is moved no more when its start is due: nobody else says that it has begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.envelope import assert_refused
from tests.support.sessions import instant
from tests.support.soon import book_at, in_days, second_ahead
from tests.support.world import at_instant

if TYPE_CHECKING:
    from tests.support.service import Service

pytestmark = pytest.mark.wall_time


async def test_what_has_begun_is_not_moved(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    starts_at = second_ahead(1)
    booked = (await book_at(client, starts_at, 60, method="online")).data
    path = f"/counselings/{booked['id']}"
    wish = {"date": f"{in_days(30):%Y-%m-%d}", "startTime": "10:00", "endTime": "11:00"}
    await at_instant(starts_at)
    assert_refused(await client.put(f"{path}/reschedule", wish), 409, "ILLEGAL_TRANSITION")
    after = (await client.get(path)).data
    assert (instant(after["scheduledAt"]), after["endsAt"]) == (starts_at, booked["endsAt"])

"""Notifications: kept in order, listed in pages, read once, and nobody else's."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tests.support import spoken
from tests.support.envelope import assert_refused
from tests.support.sessions import opened
from tests.support.soon import in_days
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.service import Person, Service

HOUR = timedelta(hours=1)


async def booked(service: Service, count: int) -> tuple[Person, list[str]]:
    """A psychologist who was told of so many bookings, and the counsellings in their order."""
    psychologist = await service.psychologist()
    ids = []
    for number in range(count):
        start = in_days(20 + number)
        ids.append((await service.person().book(start, start + HOUR)).data["id"])
    return psychologist, ids


async def pages(person: Person, limit: int) -> list[list[dict[str, Any]]]:
    found, cursor = [], None
    while True:
        more: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
        data = (await person.get("/notifications", limit=limit, **more)).data
        found.append(data["data"])
        cursor = data["nextCursor"]
        if cursor is None:
            return found


@spoken.both
async def test_pages_newest_first_skip_nothing_also_among_equals(service: Service) -> None:
    psychologist, counselings = await booked(service, 7)
    await service.runtime.pool.execute("UPDATE notifications SET created_at = date_trunc('minute', now())")
    whole = (await psychologist.get("/notifications", limit=100)).data
    assert (whole["unreadCount"], whole["nextCursor"]) == (7, None)
    for limit in (1, 2, 3, 7):
        parts = await pages(psychologist, limit)
        assert [one for part in parts for one in part] == whole["data"]
        assert [len(part) for part in parts] == [limit] * (7 // limit) + [7 % limit] * (7 % limit > 0)
    await service.runtime.pool.execute(
        "UPDATE notifications n SET created_at = c.created_at FROM counselings c WHERE c.id = n.counseling_id"
    )
    found = [one for part in await pages(psychologist, 2) for one in part]
    assert [one["data"]["counselingId"] for one in found] == counselings[::-1]
    # What comes while somebody pages is not in the way of what they have yet to see.
    first = (await psychologist.get("/notifications", limit=3)).data
    start = in_days(60)
    await service.person().book(start, start + HOUR)
    rest = (await psychologist.get("/notifications", limit=100, cursor=first["nextCursor"])).data
    assert first["data"] + rest["data"] == found
    for wrong in ("x", "MjAyNg==", "a" * 2000):
        assert_refused(await psychologist.get("/notifications", cursor=wrong), 400, "VALIDATION_FAILED")
    for limit in (0, -1, 101):
        assert_refused(await psychologist.get("/notifications", limit=limit), 400, "VALIDATION_FAILED")


async def test_read_once_by_whom_it_is_for(service: Service) -> None:
    psychologist, _ = await booked(service, 3)
    other = await service.psychologist("Rina")
    mine = (await psychologist.get("/notifications")).data["data"]
    assert {one["readAt"] for one in mine} == {None}
    path = f"/notifications/{mine[0]['id']}/read"
    first = await psychologist.put(path)
    assert (first.status, first.data["id"]) == (200, mine[0]["id"])
    assert first.data["readAt"] is not None
    assert (await psychologist.put(path)).data == first.data, "the first time counts"
    for person, one in ((other, mine[1]["id"]), (psychologist, str(uuid4())), (psychologist, "read")):
        assert_refused(await person.put(f"/notifications/{one}/read"), 404, "NOT_FOUND")
    assert (await psychologist.get("/notifications")).data["unreadCount"] == 2
    assert (await other.put("/notifications/read-all")).data == {"read": 0}
    counts = await asyncio.gather(*(psychologist.put("/notifications/read-all") for _ in range(5)))
    assert sum(reply.data["read"] for reply in counts) == 2
    after = (await psychologist.get("/notifications")).data
    assert after["unreadCount"] == 0
    assert after["data"][0] == first.data, "what was read stays read when it was"


async def test_who_is_told_what(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    await psychologist.put(f"/chat/sessions/{session_id}/extend", {"minutes": 1})
    told = {
        person: [one["type"] for one in (await person.get("/notifications")).data["data"]]
        for person in (client, psychologist)
    }
    assert told == {
        client: ["session_extended", "chat_enabled", "counseling_booked"],
        psychologist: ["chat_enabled", "counseling_booked"],
    }
    assert (await service.person().get("/notifications")).data["data"] == []


async def test_of_a_counselling_without_chat_the_other_is_told_as_well(service: Service) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    start = in_days(20)
    booked = (await client.book(start, start + HOUR, method="online")).data
    wish = {"date": f"{in_days(21):%Y-%m-%d}", "startTime": "09:00", "endTime": "10:00"}
    assert (await psychologist.put(f"/counselings/{booked['id']}/reschedule", wish)).status == 200
    assert (await client.put(f"/counselings/{booked['id']}/cancel")).status == 200
    assert (await client.put(f"/counselings/{booked['id']}/cancel")).status == 200
    of_psychologist = (await psychologist.get("/notifications")).data["data"]
    of_client = (await client.get("/notifications")).data["data"]
    assert [one["type"] for one in of_psychologist] == ["session_cancelled", "counseling_booked"]
    assert [one["type"] for one in of_client] == ["session_rescheduled", "counseling_booked"]
    for one in (*of_psychologist, *of_client):
        assert (one["data"]["sessionId"], one["data"]["counselingId"]) == (None, booked["id"])
    assert "02:00 (UTC)" in of_client[0]["message"], "said in Jakarta, read in UTC"

    def told() -> list[str]:
        endpoint = service.runtime.ably_local
        assert endpoint is not None
        return [message["name"] for channel, message in endpoint.published if "notifications:" in channel]

    await until(lambda: told() == ["notification"] * 4)


async def test_what_a_former_release_wrote_has_the_times_of_its_counselling(service: Service) -> None:
    psychologist, [counseling_id] = await booked(service, 1)
    (before,) = (await psychologist.get("/notifications")).data["data"]
    # That release knows neither times nor zone, and writes on until the last replica of it has stopped.
    await service.runtime.pool.execute(
        "UPDATE notifications SET starts_at = NULL, ends_at = NULL, timezone = NULL WHERE person_id = $1",
        psychologist.id,
    )
    (after,) = (await psychologist.get("/notifications")).data["data"]
    assert after == before
    read = (await psychologist.put(f"/notifications/{before['id']}/read")).data
    assert read["data"] == before["data"] | {"counselingId": counseling_id}

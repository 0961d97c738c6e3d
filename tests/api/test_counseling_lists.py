"""Lists of counsellings: pages, what they can be narrowed to, and where each counselling stands."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tests.support.envelope import assert_refused
from tests.support.sessions import reaches
from tests.support.soon import book_soon, in_days
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.service import Person, Service


HOUR = timedelta(hours=1)


async def listed(person: Person, **asked: Any) -> list[str]:
    data = (await person.get("/counselings", **asked)).data
    assert set(data) == {"data", "nextCursor"}
    return [one["id"] for one in data["data"]]


async def shift(service: Service, counseling_id: str, starts_in: timedelta) -> None:
    """Move an hour's counselling in time."""
    await service.runtime.pool.execute(
        "UPDATE counselings SET starts_at = now() + $2::interval, ends_at = now() + $2::interval + '1 hour' "
        "WHERE id = $1",
        UUID(counseling_id),
        starts_in,
    )


async def test_pages_are_complete_and_in_order(service: Service) -> None:
    psychologist = await service.psychologist()
    booked = []
    for day in (33, 31, 35, 32):
        start = in_days(day)
        reply = await service.person().book(start, start + HOUR, method="online" if day % 2 else "chat")
        booked.append((start, reply.data["id"]))
    # Three that start at the very same instant, so that only the id tells them apart.
    for _ in range(3):
        start = in_days(40)
        booked.append((start, (await service.person().book(start, start + HOUR)).data["id"]))
    expected = [counseling_id for _, counseling_id in sorted(booked, reverse=True)]
    for limit in (1, 2, 3, 7, 100):
        seen: list[str] = []
        more: dict[str, str] = {}
        while True:
            data = (await psychologist.get("/counselings", limit=limit, **more)).data
            assert len(data["data"]) <= limit
            seen += [one["id"] for one in data["data"]]
            if data["nextCursor"] is None:
                break
            more = {"cursor": data["nextCursor"]}
        assert seen == expected


@pytest.mark.wall_time
async def test_they_can_be_narrowed_to_a_time(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    noons = [in_days(day) for day in (30, 31, 32)]
    first, second, third = [(await client.book(noon, noon + HOUR)).data["id"] for noon in noons]
    days = [f"{noon:%Y-%m-%d}" for noon in noons]
    instants = [f"{noon:%Y-%m-%dT%H:%M:%SZ}" for noon in noons]
    for asked, expected in (
        ({"from": instants[1]}, [third, second]),
        ({"to": instants[1]}, [first]),
        ({"from": instants[0], "to": instants[2]}, [second, first]),
        ({"from": days[1]}, [third, second]),
        ({"to": days[1]}, [second, first]),
        ({"from": days[1], "to": days[1]}, [second]),
        ({"from": days[2], "to": days[0]}, []),
        # Noon in UTC is the next day on Kiritimati, and the same one in Jakarta.
        ({"from": days[1], "to": days[1], "timezone": "Pacific/Kiritimati"}, [first]),
        ({"from": f"{noons[1]:%Y-%m-%d}T19:00:00+07:00"}, [third, second]),
        ({"from": f"{noons[1]:%Y-%m-%d}T19:00:00.001+07:00"}, [third]),
        ({"from": "0001-01-02", "to": "9999-12-30"}, [third, second, first]),
    ):
        assert await listed(client, **asked) == expected, asked
    page = (await client.get("/counselings", to=days[1], limit=1)).data
    rest = await listed(client, to=days[1], limit=1, cursor=page["nextCursor"])
    assert ([one["id"] for one in page["data"]], rest) == ([second], [first])


async def test_what_cannot_be_asked(service: Service) -> None:
    client = service.person()
    for field, wrong in (
        ("from", "yesterday"),
        ("from", "2030-01-15T07:00:00"),
        ("from", "2030-02-30"),
        ("from", "0001-01-01T00:00:00+14:00"),
        ("from", "0001-01-01"),
        ("to", "9999-12-31"),
        ("to", "9999-12-31T23:59:59-14:00"),
        ("to", ""),
        ("status", "ending_soon"),
        ("timezone", "Mars/Olympus"),
        ("cursor", "!"),
        ("limit", "101"),
    ):
        reply = await client.get("/counselings", **{field: wrong})
        assert_refused(reply, 400, "VALIDATION_FAILED")
        assert set(reply.json["errors"]) == {field}, wrong


@pytest.mark.wall_time
async def test_a_chat_counselling_stands_where_its_session_does(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    booked = (await book_soon(client, 1, 60)).data
    session_id, counseling_id = booked["chatSession"]["sessionId"], booked["id"]
    others = [in_days(day) for day in (30, 31)]
    pending, cancelled = [(await client.book(start, start + HOUR)).data["id"] for start in others]
    assert (await client.put(f"/counselings/{cancelled}/cancel")).status == 200

    async def stand() -> dict[str, list[str]]:
        states = ("pending", "active", "completed", "cancelled")
        return {status: found for status in states if (found := await listed(client, status=status))}

    assert await stand() == {"pending": [pending, counseling_id], "cancelled": [cancelled]}
    await reaches(client, session_id, "active")
    assert await stand() == {"pending": [pending], "active": [counseling_id], "cancelled": [cancelled]}
    assert (await client.put(f"/chat/sessions/{session_id}/end")).status == 200
    assert await stand() == {"pending": [pending], "completed": [counseling_id], "cancelled": [cancelled]}


@pytest.mark.wall_time
async def test_without_a_chat_the_clock_says_where_a_counselling_stands(service: Service) -> None:
    psychologist = await service.psychologist()
    for method in ("online", "offline", "organization"):
        client = service.person()
        booked = (await client.book(in_days(30), in_days(30) + HOUR, method=method)).data
        path = f"/counselings/{booked['id']}"
        for starts_in, expected in (
            (timedelta(minutes=10), "pending"),
            (timedelta(minutes=-10), "active"),
            (timedelta(hours=-2), "completed"),
        ):
            await shift(service, booked["id"], starts_in)
            for person in (client, psychologist):
                shown = (await person.get(path)).data
                assert (shown["status"], shown["chatSession"]) == (expected, None)
            for status in ("pending", "active", "completed", "cancelled"):
                found = await listed(client, status=status)
                assert found == ([booked["id"]] if status == expected else [])
        refused = await client.put(f"{path}/cancel")
        assert_refused(
            refused, 409, "ILLEGAL_TRANSITION", "The counseling cannot be cancelled: it is completed"
        )
        assert (await client.get(path)).data["status"] == "completed"
        # While it goes on it can still be called off, and stays so.
        await shift(service, booked["id"], timedelta(minutes=-10))
        assert (await psychologist.put(f"{path}/cancel")).data["status"] == "cancelled"
        await shift(service, booked["id"], timedelta(hours=-2))
        assert (await client.get(path)).data["status"] == "cancelled"


@pytest.mark.wall_time
async def test_a_short_meeting_is_over_by_itself(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    booked = (await book_soon(client, 0.5, 2, method="offline")).data
    seen = [booked["status"]]

    async def over() -> bool:
        seen.append((await client.get(f"/counselings/{booked['id']}")).data["status"])
        return seen[-1] == "completed"

    await until(over)
    assert sorted(set(seen), key=seen.index) == ["pending", "active", "completed"]

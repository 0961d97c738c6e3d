"""Free slots: each can be booked as it is shown, and no other time of the grid can."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from rdchat.domain.person import Role
from tests.support.envelope import assert_refused
from tests.support.soon import in_days, sunday
from tests.support.spans import zone_around

if TYPE_CHECKING:
    from tests.support.service import Person, Reply, Service


DAY = in_days(30).date()
#: A year in which every day is still to come.
YEAR = in_days(366).year
OFFICE = [{"weekday": day, "startTime": "09:00", "endTime": "12:00"} for day in range(1, 8)]


async def slots(person: Person, psychologist: Person, **asked: Any) -> list[dict[str, Any]]:
    asked = {"date": DAY, **asked}
    reply = await person.get(f"/psychologists/{psychologist.id}/slots", **asked)
    assert reply.status == 200, reply.json
    data: list[dict[str, Any]] = reply.data
    return data


async def works(psychologist: Person, **said: Any) -> None:
    reply = await psychologist.put(f"/psychologists/{psychologist.id}/availability", said)
    assert reply.status == 200, reply.json


async def book(person: Person, psychologist: Person, start: str, end: str, **more: Any) -> Reply:
    body = {
        "method": "online",
        "date": DAY.isoformat(),
        "startTime": start,
        "endTime": end,
        "psychologistId": str(psychologist.id),
        **more,
    }
    return await person.post("/counselings/book", body)


def shown(found: list[dict[str, Any]]) -> list[str]:
    return [f"{one['startTime']}-{one['endTime']}" for one in found]


@pytest.mark.wall_time
async def test_slots_lie_within_hours_on_a_grid(service: Service) -> None:
    psychologist = await service.psychologist()
    await works(psychologist, weekly=OFFICE)
    client = service.person()
    found = await slots(client, psychologist)
    assert shown(found) == ["09:00-10:00", "09:30-10:30", "10:00-11:00", "10:30-11:30", "11:00-12:00"]
    assert found[0] == {
        "startTime": "09:00",
        "endDate": DAY.isoformat(),
        "endTime": "10:00",
        "startsAt": f"{DAY}T02:00:00.000Z",
        "endsAt": f"{DAY}T03:00:00.000Z",
        "free": 5,
    }
    assert shown(await slots(client, psychologist, step=60, duration=120)) == ["09:00-11:00", "10:00-12:00"]
    assert shown(await slots(client, psychologist, duration=170, step=5)) == [
        "09:00-11:50",
        "09:05-11:55",
        "09:10-12:00",
    ]
    assert shown(await slots(client, psychologist, timezone="UTC", step=60)) == [
        "02:00-03:00",
        "03:00-04:00",
        "04:00-05:00",
    ]
    # In Caracas, these hours begin in the evening and go over midnight, which no booking can.
    west = await slots(client, psychologist, timezone="America/Caracas", step=60)
    assert shown(west) == ["00:00-01:00", "22:00-23:00", "23:00-00:00"]
    assert west[0]["startsAt"] == f"{DAY}T04:00:00.000Z"


@pytest.mark.wall_time
async def test_what_is_booked_takes_places(service: Service) -> None:
    psychologist = await service.psychologist()
    await works(psychologist, weekly=OFFICE)
    for _ in range(4):
        assert (await book(service.person(), psychologist, "09:00", "10:00")).status == 201
    client = service.person()
    assert (await book(client, psychologist, "10:00", "10:20")).status == 201
    free = {one["startTime"]: one["free"] for one in await slots(client, psychologist)}
    assert free == {"09:00": 1, "09:30": 1, "10:00": 4, "10:30": 5, "11:00": 5}
    last = (await book(service.person(), psychologist, "09:45", "09:50")).data
    free = {one["startTime"]: one["free"] for one in await slots(client, psychologist)}
    assert free == {"10:00": 4, "10:30": 5, "11:00": 5}
    admin = service.person(Role.SUPER_ADMIN)
    assert (await admin.put(f"/counselings/{last['id']}/cancel")).status == 200
    assert len(await slots(client, psychologist)) == 5


@pytest.mark.wall_time
async def test_nothing_is_offered_that_is_past_or_too_far_ahead(service: Service) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    before = datetime.now(UTC)
    zone = zone_around(before, before)
    found = await slots(
        client, psychologist, date=before.astimezone(ZoneInfo(zone)).date(), timezone=zone, duration=5, step=5
    )
    starts = [datetime.fromisoformat(one["startsAt"]) for one in found]
    assert before < starts[0] <= datetime.now(UTC) + timedelta(minutes=5)
    assert starts == [starts[0] + number * timedelta(minutes=5) for number in range(len(starts))]
    assert (found[-1]["startTime"], found[-1]["endTime"]) == ("23:55", "00:00")
    days = (in_days(-1), in_days(-2), in_days(-400), in_days(803))
    for day in (*(one.date() for one in days), "0001-01-01", "9999-12-31"):
        for tz in ("Pacific/Kiritimati", "Etc/GMT+12", "UTC"):
            if day == in_days(-1).date() and tz == "Etc/GMT+12":
                continue
            assert await slots(client, psychologist, date=day, timezone=tz) == []
    reply = await book(client, psychologist, "09:00", "10:00", date=in_days(802).date().isoformat())
    assert_refused(reply, 400, "VALIDATION_FAILED")
    assert reply.json["errors"] == {"date": ["Must be within 800 days from now."]}


async def test_who_cannot_be_booked_has_no_slots(service: Service) -> None:
    psychologist = await service.psychologist()
    assert len(await slots(psychologist, psychologist)) == 48, "one each half hour of the day"
    admin = service.person(Role.SUPER_ADMIN)
    await admin.put(f"/psychologists/{psychologist.id}", {"fullName": "Sari", "isActive": False})
    assert await slots(psychologist, psychologist) == []


async def test_questions_that_are_refused(service: Service) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    for field, wrong in (
        ("date", {"date": "30-01-2027"}),
        ("duration", {"duration": 241}),
        ("duration", {"duration": 0}),
        ("duration", {"duration": "1.5"}),
        ("step", {"step": 7}),
        ("timezone", {"timezone": "Asia/Atlantis"}),
        ("limit", {"limit": 5}),
    ):
        asked = {"date": DAY} | wrong
        reply = await client.get(f"/psychologists/{psychologist.id}/slots", **asked)
        assert_refused(reply, 400, "VALIDATION_FAILED")
        assert set(reply.json["errors"]) == {field}
    assert_refused(await client.get(f"/psychologists/{psychologist.id}/slots"), 400, "VALIDATION_FAILED")


async def test_every_slot_of_a_day_on_which_the_clocks_change_is_booked_as_shown(service: Service) -> None:
    psychologist = await service.psychologist()
    days = (
        ("Europe/Berlin", sunday(YEAR, 3, -1), 21),
        ("Europe/Berlin", sunday(YEAR, 10, -1), 21),
        ("Australia/Lord_Howe", sunday(YEAR, 10, 1), 22),
        ("America/Havana", sunday(YEAR, 3, 2), 22),
    )
    for tz, day, least in days:
        found = await slots(service.person(), psychologist, date=day, timezone=tz, step=60)
        assert len(found) >= least
        for one in found:
            reply = await book(
                service.person(),
                psychologist,
                one["startTime"],
                one["endTime"],
                date=day.isoformat(),
                timezone=tz,
            )
            assert reply.status == 201, (tz, one, reply.json)
            assert (reply.data["scheduledAt"], reply.data["endsAt"]) == (one["startsAt"], one["endsAt"])
            length = datetime.fromisoformat(one["endsAt"]) - datetime.fromisoformat(one["startsAt"])
            assert length == timedelta(hours=1)


@pytest.mark.wall_time
async def test_in_an_hour_that_comes_twice_only_the_first_is_offered(service: Service) -> None:
    psychologist = await service.psychologist()
    day = sunday(YEAR, 10, -1)
    found = await slots(service.person(), psychologist, date=day, timezone="Europe/Berlin", duration=30)
    twice = [one for one in found if one["startTime"].startswith(("01", "02", "03"))]
    # 02:30 to 03:00 would be half an hour by the clock, and one and a half in fact.
    assert shown(twice) == ["01:00-01:30", "01:30-02:00", "02:00-02:30", "03:00-03:30", "03:30-04:00"]
    assert twice[2]["startsAt"] == f"{day}T00:00:00.000Z"
    spring: date = sunday(YEAR, 3, -1)
    found = await slots(service.person(), psychologist, date=spring, timezone="Europe/Berlin", duration=30)
    assert shown(found)[2:6] == ["01:00-01:30", "01:30-03:00", "03:00-03:30", "03:30-04:00"]


async def test_of_twenty_who_want_the_last_place_one_gets_it(service: Service) -> None:
    psychologist = await service.psychologist()
    await works(psychologist, weekly=OFFICE)
    watcher = service.person()
    # Three times: a service that has just started opens its connections only now.
    for number, (start, end) in enumerate((("09:00", "10:00"), ("10:00", "11:00"), ("11:00", "12:00"))):
        filling = [await book(service.person(), psychologist, start, end) for _ in range(4)]
        assert [reply.status for reply in filling] == [201] * 4
        free = {one["startTime"]: one["free"] for one in await slots(watcher, psychologist, step=60)}
        assert free[start] == 1
        wish = {"method": "chat", "date": DAY.isoformat(), "startTime": start, "endTime": end}
        replies = await asyncio.gather(
            *(book(service.person(), psychologist, start, end) for _ in range(10)),
            *(service.person().post("/counselings/book", wish) for _ in range(10)),
        )
        assert Counter(reply.status for reply in replies) == {201: 1, 409: 19}
        refused = {reply.code for reply in replies if reply.status == 409}
        assert refused <= {"PSYCHOLOGIST_LIMIT", "NO_PSYCHOLOGIST"}
        assert f"{start}-{end}" not in shown(await slots(watcher, psychologist, step=60))
        count = "SELECT count(*) FROM counselings WHERE status = 'pending'"
        assert await service.runtime.pool.fetchval(count) == 5 * (number + 1)

"""Free times of all psychologists in one call, and the notice that clients are held to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from rdchat.domain.person import Role
from tests.support.envelope import assert_refused
from tests.support.service import Service, service_settings, whole_second
from tests.support.soon import in_days
from tests.support.spans import zone_around

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.service import Person

DAY = in_days(30).date()
OFFICE = [{"weekday": day, "startTime": "09:00", "endTime": "12:00"} for day in range(1, 8)]


async def all_slots(person: Person, **asked: Any) -> list[dict[str, Any]]:
    days = {"from": DAY, "to": DAY} | asked
    reply = await person.get("/slots", **days)
    assert reply.status == 200, reply.json
    found: list[dict[str, Any]] = reply.data
    return found


@pytest.mark.wall_time
async def test_one_call_says_what_single_ones_say(service: Service) -> None:
    sari, ayu, idle = [await service.psychologist(name) for name in ("Sari", "Ayu", "Maya")]
    await sari.put(f"/psychologists/{sari.id}/availability", {"weekly": OFFICE})
    exceptions = [
        {"date": f"{DAY + timedelta(days=1)}", "isAvailable": False},
        {"date": f"{DAY}", "isAvailable": True, "startTime": "10:00", "endTime": "13:00"},
    ]
    # On the three days after DAY, whatever day of the week that is: what is said of DAY itself comes on top.
    weekly = [OFFICE[(DAY + timedelta(days=number)).isoweekday() - 1] for number in (1, 2, 3)]
    await ayu.put(f"/psychologists/{ayu.id}/availability", {"weekly": weekly, "exceptions": exceptions})
    admin = service.person(Role.SUPER_ADMIN)
    await admin.put(f"/psychologists/{idle.id}", {"isActive": False})
    start = datetime.fromisoformat(f"{DAY}T03:00:00Z")
    for _ in range(5):
        booked = await service.person().book(start, start + timedelta(hours=1), psychologistId=str(ayu.id))
        assert booked.status == 201
    client = service.person()
    days = [DAY + timedelta(days=number) for number in range(35)]
    for asked in ({}, {"duration": 45, "step": 15}, {"timezone": "America/New_York", "step": 60}):
        expected: dict[str, list[str]] = {}
        for person in (ayu, sari):
            for day in days:
                path = f"/psychologists/{person.id}/slots"
                for one in (await client.get(path, date=day, **asked)).data:
                    expected.setdefault(one["startsAt"], []).append(str(person.id))
        found = await all_slots(client, **{"from": days[0], "to": days[-1]}, **asked)
        assert {one["startsAt"]: [who["id"] for who in one["psychologists"]] for one in found} == expected
        assert [one["startsAt"] for one in found] == sorted(expected)
    first = (await all_slots(client))[0]
    assert first == {
        "date": f"{DAY}",
        "startTime": "09:00",
        "endDate": f"{DAY}",
        "endTime": "10:00",
        "startsAt": f"{DAY}T02:00:00.000Z",
        "endsAt": f"{DAY}T03:00:00.000Z",
        "psychologists": [{"id": str(sari.id), "fullName": "Sari"}],
    }
    both = [one for one in await all_slots(client) if len(one["psychologists"]) == 2]
    assert [one["startTime"] for one in both] == ["11:00"]
    names = [who["fullName"] for who in both[0]["psychologists"]]
    assert names == ["Ayu", "Sari"]
    # What is shown can be booked as it is shown.
    wish = {key: both[0][key] for key in ("date", "startTime", "endTime")}
    reply = await client.post("/counselings/book", {"method": "online", **wish})
    assert (reply.status, reply.data["scheduledAt"]) == (201, both[0]["startsAt"])


async def test_days_that_cannot_be_are_refused(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    wrong: dict[str, tuple[dict[str, Any], str]] = {
        "36 days": ({"to": DAY + timedelta(days=35)}, "to"),
        "all time": ({"from": "0001-01-01", "to": "9999-12-31"}, "to"),
        "from after to": ({"to": DAY - timedelta(days=1)}, "to"),
        "no zone": ({"timezone": "Asia/Atlantis"}, "timezone"),
        "too short": ({"duration": 0}, "duration"),
        "longer than a session": ({"duration": 1440}, "duration"),
        "too fine": ({"step": 5}, "step"),
        "no day": ({"from": "2030-02-30"}, "from"),
        "an instant": ({"from": "2030-01-01T00:00:00Z"}, "from"),
    }
    for name, (asked, blamed) in wrong.items():
        reply = await client.get("/slots", **({"from": DAY, "to": DAY} | asked))
        assert_refused(reply, 400, "VALIDATION_FAILED")
        assert set(reply.json["errors"]) == {blamed}, name
    for missing in ("from", "to"):
        reply = await client.get("/slots", **{key: DAY for key in ("from", "to") if key != missing})
        assert set(reply.json["errors"]) == {missing}
    # Days that are over, or too far ahead, have none; nor have the ends of the calendar.
    for day in (in_days(-20).date(), in_days(900).date(), "0001-01-01", "9999-12-31"):
        assert await all_slots(client, **{"from": day, "to": day}) == []


@pytest.mark.wall_time
async def test_clients_are_offered_nothing_within_the_notice(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    settings = service_settings(tmp_path, booking_notice=timedelta(hours=2))
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        psychologist = await service.psychologist()
        before = whole_second(0)
        zone = zone_around(before, before + timedelta(hours=4))
        today = before.astimezone(ZoneInfo(zone)).date()
        client, admin = service.person(), service.person(Role.SUPER_ADMIN)

        async def first(person: Person, path: str, **asked: Any) -> datetime:
            reply = await person.get(path, timezone=zone, step=15, duration=15, **asked)
            return datetime.fromisoformat(reply.data[0]["startsAt"])

        for path, asked in (
            (f"/psychologists/{psychologist.id}/slots", {"date": today}),
            ("/slots", {"from": today, "to": today}),
        ):
            offered = await first(client, path, **asked)
            assert before + timedelta(hours=2) <= offered <= before + timedelta(hours=2, minutes=16)
            for person in (psychologist, admin):
                assert await first(person, path, **asked) <= before + timedelta(minutes=16)
        # And who is free within it is no one, to a client.
        soon = (before + timedelta(hours=1)).astimezone(ZoneInfo(zone))
        at = {
            "date": f"{soon:%Y-%m-%d}",
            "startTime": f"{soon:%H:%M}",
            "endTime": f"{soon + timedelta(minutes=15):%H:%M}",
            "timezone": zone,
        }
        assert (await client.get("/psychologists", **at)).data["data"] == []
        assert len((await admin.get("/psychologists", **at)).data["data"]) == 1

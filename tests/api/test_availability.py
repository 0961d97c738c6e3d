"""Working hours: who says them, what they may say, and bookings that keep to them."""

from __future__ import annotations

import asyncio
from datetime import date, time, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from rdchat.common.errors import RdchatError
from rdchat.domain import booking
from rdchat.domain.person import Role
from rdchat.postgres import counselings
from rdchat.postgres.pool import transaction
from tests.support.calendars import without_calendar
from tests.support.envelope import assert_refused, envelope_fault
from tests.support.soon import in_days
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.service import Person, Reply, Service


DAY = in_days(30).date()
OFFICE = {"weekday": DAY.isoweekday(), "startTime": "09:00", "endTime": "17:00"}


def hours(weekday: int, start: str, end: str) -> dict[str, Any]:
    return {"weekday": weekday, "startTime": start, "endTime": end}


def exception(day: date, start: str | None = None, end: str | None = None, *, add: bool) -> dict[str, Any]:
    times = {} if start is None else {"startTime": start, "endTime": end}
    return {"date": day.isoformat(), "isAvailable": add, **times}


async def put(person: Person, psychologist: Person, **said: Any) -> Reply:
    return await person.put(f"/psychologists/{psychologist.id}/availability", said)


async def works(psychologist: Person, **said: Any) -> dict[str, Any]:
    reply = await put(psychologist, psychologist, **said)
    assert reply.status == 200, reply.json
    data: dict[str, Any] = reply.data
    # What does not fit any more is in test_supply_changes.py.
    del data["affected"]
    return data


async def book(person: Person, start: str, end: str, day: date = DAY, /, **more: Any) -> Reply:
    body = {"method": "online", "date": day.isoformat(), "startTime": start, "endTime": end, **more}
    return await person.post("/counselings/book", body)


# ---- setting them -----------------------------------------------------------------------------------------


async def test_who_has_said_nothing_has_no_hours_and_always_works(service: Service) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    reply = await client.get(f"/psychologists/{psychologist.id}/availability")
    assert reply.data == {"timezone": "Asia/Jakarta", "weekly": [], "exceptions": []}
    assert (await book(client, "03:00", "04:00", psychologistId=str(psychologist.id))).status == 201


async def test_what_was_put_is_what_is_got_and_can_be_put_again(service: Service) -> None:
    psychologist = await service.psychologist()
    later = DAY + timedelta(days=7)
    data = await works(
        psychologist,
        timezone="Asia/Makassar",
        weekly=[hours(7, "22:00", "00:00"), hours(1, "13:00", "17:00:30"), hours(1, "09:00", "12:00")],
        exceptions=[
            exception(later, "13:00", "15:00", add=False),
            exception(DAY, add=False),
            exception(DAY, "10:00", "11:00", add=True),
        ],
    )
    assert data == {
        "timezone": "Asia/Makassar",
        "weekly": [hours(1, "09:00", "12:00"), hours(1, "13:00", "17:00:30"), hours(7, "22:00", "00:00")],
        "exceptions": [
            exception(DAY, "00:00", "00:00", add=False),
            exception(DAY, "10:00", "11:00", add=True),
            exception(later, "13:00", "15:00", add=False),
        ],
    }
    path = f"/psychologists/{psychologist.id}"
    assert (await psychologist.get(f"{path}/availability")).data == data
    assert (await psychologist.get(path)).data["timezone"] == "Asia/Makassar"
    assert await works(psychologist, **data) == data
    # What is left out stays; an empty list empties its part.
    assert await works(psychologist) == data
    assert await works(psychologist, weekly=[]) == data | {"weekly": []}
    assert await works(psychologist, exceptions=[]) == data | {"weekly": [], "exceptions": []}


async def test_everybody_reads_but_only_they_and_administrators_write(service: Service) -> None:
    psychologist, other = await service.psychologist(), await service.psychologist("Maya")
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    assert (await put(admin, psychologist, weekly=[OFFICE])).data["weekly"] == [OFFICE]
    for role in (Role.CLIENT, Role.STUDENT, Role.EMPLOYEE):
        assert_refused(await put(service.person(role), psychologist), 403, "FORBIDDEN")
    assert_refused(await put(other, psychologist), 403, "FORBIDDEN")
    for person in (service.person(), other, psychologist, admin):
        shown = await person.get(f"/psychologists/{psychologist.id}/availability")
        assert shown.data["weekly"] == [OFFICE]


async def test_nobody_works_who_is_nobody(service: Service) -> None:
    admin, unsaved = service.person(Role.SUPER_ADMIN), service.person(Role.PSYCHOLOGIST)
    assert_refused(await put(admin, unsaved), 404, "NOT_FOUND", "Psychologist not found")
    assert_refused(await put(unsaved, unsaved), 404, "NOT_FOUND")
    for what in ("availability", f"slots?date={DAY}"):
        assert_refused(await admin.get(f"/psychologists/{uuid4()}/{what}"), 404, "NOT_FOUND")


async def test_hours_that_are_refused(service: Service) -> None:
    psychologist = await service.psychologist()
    await works(psychologist, weekly=[OFFICE])
    cases: dict[str, tuple[str, dict[str, Any]]] = {
        "overlap": ("weekly", {"weekly": [hours(1, "09:00", "12:00"), hours(1, "11:59", "13:00")]}),
        "overlap to midnight": (
            "weekly",
            {"weekly": [hours(1, "09:00", "00:00"), hours(1, "23:00", "23:30")]},
        ),
        "twice the same": ("weekly", {"weekly": [OFFICE, OFFICE]}),
        "empty": ("weekly", {"weekly": [hours(1, "09:00", "09:00")]}),
        "over midnight": ("weekly", {"weekly": [hours(1, "22:00", "02:00")]}),
        "24:00": ("weekly", {"weekly": [hours(1, "22:00", "24:00")]}),
        "weekday 0": ("weekly", {"weekly": [hours(0, "09:00", "10:00")]}),
        "weekday 8": ("weekly", {"weekly": [hours(8, "09:00", "10:00")]}),
        "weekday as a word": ("weekly", {"weekly": [OFFICE | {"weekday": "1"}]}),
        "unknown field": ("weekly", {"weekly": [OFFICE | {"note": "x"}]}),
        "no end": ("weekly", {"weekly": [{"weekday": 1, "startTime": "09:00"}]}),
        "no list": ("weekly", {"weekly": OFFICE}),
        "null": ("weekly", {"weekly": None}),
        "too many": ("weekly", {"weekly": [hours(1, f"10:{n % 60:02}", "11:00") for n in range(101)]}),
        "closed twice": ("exceptions", {"exceptions": [exception(DAY, add=False)] * 2}),
        "one time only": ("exceptions", {"exceptions": [exception(DAY, add=False) | {"startTime": "09:00"}]}),
        "added backwards": ("exceptions", {"exceptions": [exception(DAY, "12:00", "11:00", add=True)]}),
        "no date": ("exceptions", {"exceptions": [{"isAvailable": False}]}),
        "not said which": ("exceptions", {"exceptions": [{"date": DAY.isoformat()}]}),
        "too many days": (
            "exceptions",
            {"exceptions": [exception(DAY + timedelta(days=n), add=False) for n in range(367)]},
        ),
        "unknown zone": ("timezone", {"timezone": "Asia/Atlantis"}),
        "this machine's zone": ("timezone", {"timezone": "localtime"}),
        "unknown": ("hours", {"hours": []}),
    }
    faults = {}
    for name, (field, body) in cases.items():
        reply = await psychologist.put(f"/psychologists/{psychologist.id}/availability", body)
        fault = envelope_fault(reply)
        if fault is None and reply.json.get("errors", {}).keys() != {field}:
            fault = f"{reply.json['code']} {reply.json.get('errors')}"
        if fault is not None:
            faults[name] = fault
    assert faults == {}
    shown = await psychologist.get(f"/psychologists/{psychologist.id}/availability")
    assert shown.data["weekly"] == [OFFICE]


async def test_as_many_hours_as_are_allowed_fit_into_a_request(service: Service) -> None:
    psychologist = await service.psychologist()
    data = await works(
        psychologist,
        weekly=[hours(1 + n % 7, f"{n // 7:02}:00:00", f"{n // 7:02}:59:59") for n in range(100)],
        exceptions=[exception(DAY + timedelta(days=n), "10:00:00", "11:00:00", add=True) for n in range(366)],
    )
    assert (len(data["weekly"]), len(data["exceptions"])) == (100, 366)


# ---- keeping to them --------------------------------------------------------------------------------------


@pytest.mark.wall_time
async def test_a_named_psychologist_is_booked_only_within_hours(service: Service) -> None:
    psychologist = await service.psychologist()
    await works(
        psychologist,
        weekly=[OFFICE | {"endTime": "12:00"}, OFFICE | {"startTime": "13:00"}],
        exceptions=[
            exception(DAY, "14:00", "15:00", add=False),
            exception(DAY + timedelta(days=1), "20:00", "21:00", add=True),
            exception(DAY + timedelta(days=7), add=False),
        ],
    )
    named = {"psychologistId": str(psychologist.id)}
    for start, end, offset in (
        ("08:59", "09:30", 0),
        ("11:30", "12:01", 0),
        ("11:30", "13:30", 0),
        ("14:30", "15:30", 0),
        ("16:30", "17:00:01", 0),
        ("09:00", "10:00", 1),
        ("09:00", "10:00", 7),
    ):
        reply = await book(service.person(), start, end, DAY + timedelta(days=offset), **named)
        assert_refused(reply, 409, "NO_PSYCHOLOGIST", "No psychologist is available at this time")
    # The same instants in another zone: 09:00 in Jakarta is 02:00Z.
    assert_refused(await book(service.person(), "09:00", "10:30", timezone="UTC", **named), 409)
    assert (await book(service.person(), "02:00", "03:00", timezone="UTC", **named)).status == 201
    for start, end, offset in (("09:00", "12:00", 0), ("15:00", "17:00", 0), ("20:00", "21:00", 1)):
        reply = await book(service.person(), start, end, DAY + timedelta(days=offset), **named)
        assert reply.status == 201, reply.json


async def test_without_a_name_only_those_who_work_are_chosen(service: Service) -> None:
    early, late = await service.psychologist("Sari"), await service.psychologist("Maya")
    await works(early, weekly=[OFFICE | {"endTime": "12:00"}])
    await works(late, weekly=[OFFICE | {"startTime": "12:00"}])
    for _ in range(3):
        reply = await book(service.person(), "09:00", "10:00")
        assert reply.data["psychologist"]["id"] == str(early.id)
    # The one with more to do is the one who works.
    assert (await book(service.person(), "11:00", "12:00")).data["psychologist"]["id"] == str(early.id)
    assert (await book(service.person(), "12:00", "13:00")).data["psychologist"]["id"] == str(late.id)
    assert_refused(await book(service.person(), "11:30", "12:30"), 409, "NO_PSYCHOLOGIST")
    assert_refused(await book(service.person(), "17:00", "18:00"), 409, "NO_PSYCHOLOGIST")


@pytest.mark.wall_time
async def test_hours_follow_the_psychologists_zone(service: Service) -> None:
    psychologist = await service.psychologist()
    await works(psychologist, weekly=[OFFICE], timezone="America/New_York")
    named = {"psychologistId": str(psychologist.id)}
    assert_refused(await book(service.person(), "09:00", "10:00", **named), 409, "NO_PSYCHOLOGIST")
    tz = {"timezone": "America/New_York", **named}
    assert (await book(service.person(), "09:00", "17:00", **tz)).status == 400
    assert (await book(service.person(), "09:00", "13:00", **tz)).status == 201
    admin = service.person(Role.SUPER_ADMIN)
    await admin.put(f"/psychologists/{psychologist.id}", {"fullName": "Sari", "timezone": "Asia/Jakarta"})
    assert (await book(service.person(), "09:00", "10:00", **named)).status == 201
    assert_refused(await book(service.person(), "13:00", "14:00", **tz), 409, "NO_PSYCHOLOGIST")


async def test_a_change_of_hours_leaves_what_is_booked(service: Service) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    booked = (await book(client, "09:00", "10:00", psychologistId=str(psychologist.id))).data
    await works(psychologist, exceptions=[exception(DAY, add=False)])
    assert (await client.get(f"/counselings/{booked['id']}")).data.items() >= without_calendar(booked).items()


async def test_a_booking_that_waited_for_a_change_of_hours_keeps_to_the_new_ones(service: Service) -> None:
    psychologist = await service.psychologist()
    pool = service.runtime.pool
    await works(psychologist, exceptions=[exception(DAY, add=False)])
    closed = await pool.fetchval("SELECT availability FROM psychologists")
    for named in ({"psychologistId": str(psychologist.id)}, {}):
        await works(psychologist, exceptions=[])
        async with pool.acquire() as connection:
            change = connection.transaction()
            await change.start()
            await connection.execute("UPDATE psychologists SET availability = $1", closed)
            booking = asyncio.create_task(book(service.person(), "09:00", "10:00", **named))

            async def waits() -> bool:
                return await pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") > 0

            await until(waits)
            await change.commit()
        assert_refused(await booking, 409, "NO_PSYCHOLOGIST")


@pytest.mark.wall_time
async def test_what_is_to_be_moved_is_not_in_its_own_way(service: Service) -> None:
    psychologist, client = await service.psychologist(), service.person()
    named = {"psychologistId": str(psychologist.id)}
    for _ in range(4):
        assert (await book(service.person(), "09:00", "10:00", **named)).status == 201
    own = UUID((await book(client, "09:00", "10:00", **named)).data["id"])
    await works(psychologist, weekly=[OFFICE | {"endTime": "10:00"}])
    limits, now = service.runtime.limits, service.runtime.clock.now()

    async def refusal(start: time, ends: time, **more: Any) -> str | None:
        end = timedelta(hours=ends.hour, minutes=ends.minute)
        slot = booking.slot_by_clock(DAY, start, end, "Asia/Jakarta", limits=limits, now=now)
        try:
            async with transaction(service.runtime.pool) as connection:
                if "hours" not in more:
                    await counselings.check_client(connection, client.id, slot, limits, **more)
                await counselings.check_psychologist(connection, psychologist.id, slot, limits, **more)
        except RdchatError as error:
            return error.code
        return None

    nine, half, ten, late = time(9), time(9, 30), time(10), time(10, 30)
    assert await refusal(nine, ten) == "CLIENT_LIMIT"
    assert await refusal(nine, ten, hours=True) == "PSYCHOLOGIST_LIMIT"
    assert await refusal(nine, half, except_counseling=own) is None
    assert await refusal(half, late, except_counseling=own) == "NO_PSYCHOLOGIST"
    assert await refusal(half, late, except_counseling=own, hours=False) is None
    assert await refusal(half, late, hours=False) == "PSYCHOLOGIST_LIMIT"
    assert await refusal(ten, late, hours=False) is None
    # A psychologist who takes no more bookings still has those that there are.
    admin = service.person(Role.SUPER_ADMIN)
    await admin.put(f"/psychologists/{psychologist.id}", {"fullName": "Sari", "isActive": False})
    assert await refusal(nine, half, except_counseling=own) == "NO_PSYCHOLOGIST"
    assert await refusal(nine, half, except_counseling=own, hours=False) is None


# ---- who is free ------------------------------------------------------------------------------------------


@pytest.mark.wall_time
async def test_the_list_tells_who_is_free_at_a_time(service: Service) -> None:
    early, late, always = [await service.psychologist(name) for name in ("Sari", "Maya", "Ayu")]
    await works(early, weekly=[OFFICE | {"endTime": "12:00"}])
    await works(late, weekly=[OFFICE | {"startTime": "12:00"}])
    client = service.person()

    async def free(start: str, end: str, **more: str) -> list[str]:
        day = more.pop("date", DAY.isoformat())
        reply = await client.get("/psychologists", date=day, startTime=start, endTime=end, **more)
        return [one["fullName"] for one in reply.data]

    assert await free("09:00", "10:00") == ["Ayu", "Sari"]
    assert await free("12:00", "13:00") == ["Ayu", "Maya"]
    assert await free("11:30", "12:30") == ["Ayu"]
    assert await free("02:00", "03:00", timezone="UTC") == ["Ayu", "Sari"]
    for _ in range(5):
        booked = await book(service.person(), "09:00", "10:00", psychologistId=str(always.id))
        assert booked.status == 201
    assert await free("09:30", "10:30") == ["Sari"]
    assert await free("10:00", "11:00") == ["Ayu", "Sari"]
    admin = service.person(Role.SUPER_ADMIN)
    await admin.put(f"/psychologists/{early.id}", {"fullName": "Sari", "isActive": False})
    assert await free("09:30", "10:30") == []
    assert [one["fullName"] for one in (await client.get("/psychologists")).data] == ["Ayu", "Maya"]


async def test_a_part_of_a_time_is_refused(service: Service) -> None:
    client = service.person()
    whole = {"date": DAY.isoformat(), "startTime": "09:00", "endTime": "10:00"}
    for missing in whole:
        reply = await client.get("/psychologists", **{name: whole[name] for name in whole if name != missing})
        assert_refused(reply, 400, "VALIDATION_FAILED")
        assert set(reply.json["errors"]) == {missing}
    reply = await client.get("/psychologists", timezone="UTC")
    assert set(reply.json["errors"]) == set(whole)
    for wrong in ({"endTime": "08:00"}, {"date": "2020-01-01"}, {"timezone": "x"}, {"startTime": "9"}):
        assert_refused(await client.get("/psychologists", **whole | wrong), 400, "VALIDATION_FAILED")

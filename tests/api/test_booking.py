"""Booking: wall times and zones, limits under concurrency, and all or nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from rdchat.domain.person import Role
from tests.support import spoken
from tests.support.automations import LONG_BEFORE
from tests.support.calendars import without_calendar
from tests.support.database_users import planting
from tests.support.envelope import assert_refused, envelope_fault
from tests.support.pair import a_pair
from tests.support.soon import in_days, sunday
from tests.support.spans import zone_around

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.service import Person, Reply, Service


DAY = in_days(30).date()
#: A year in which every day is still to come.
YEAR = in_days(366).year


def wish(start: str = "14:00", end: str = "15:00", **more: Any) -> dict[str, Any]:
    return {"method": "chat", "date": DAY.isoformat(), "startTime": start, "endTime": end, **more}


async def book(person: Person, start: str = "14:00", end: str = "15:00", **more: Any) -> Reply:
    return await person.post("/counselings/book", wish(start, end, **more))


async def count(service: Service, table: str = "counselings") -> int:
    return await service.runtime.pool.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - our tables


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


@spoken.both
async def test_the_answer_has_exactly_the_fields_of_the_contract(service: Service) -> None:
    psychologist = await service.psychologist("Dr. Sari")
    reply = await book(service.person(), timezone="Asia/Jakarta", notes="Rahasia")
    assert reply.status == 201
    assert set(reply.json) == {"success", "data", "message"}
    assert reply.json["message"] == "Counseling booked successfully"
    data = reply.data
    session_id, counseling_id = data["chatSession"]["sessionId"], data["id"]
    assert data == {
        "id": counseling_id,
        "method": "chat",
        "status": "pending",
        "scheduledAt": f"{DAY}T07:00:00.000Z",
        "endsAt": f"{DAY}T08:00:00.000Z",
        "date": DAY.isoformat(),
        "startTime": "14:00",
        "endDate": DAY.isoformat(),
        "endTime": "15:00",
        "timezone": "Asia/Jakarta",
        "psychologist": {"id": str(psychologist.id), "fullName": "Dr. Sari"},
        "chatSession": {
            "sessionId": session_id,
            "status": "pending",
            "isChatEnabled": False,
            "scheduledAt": f"{DAY}T07:00:00.000Z",
            "endsAt": f"{DAY}T08:00:00.000Z",
        },
        # Beyond it: the same for a calendar.
        "ics": data["ics"],
    }
    assert reply.headers["Content-Type"].startswith("application/json")


@spoken.both
async def test_what_was_booked_can_be_read_by_both_and_is_listed(service: Service) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    data = without_calendar((await book(client)).data)
    for person in (client, psychologist):
        listed = data | {"client": {"id": str(client.id), "fullName": "Budi"}, "cancelReason": None}
        assert (await person.get("/counselings")).data == {"data": [listed], "nextCursor": None}
        looked_at = (await person.get(f"/counselings/{data['id']}")).data
        assert without_calendar(looked_at) == listed | {"notes": None}


async def test_jakarta_is_the_zone_unless_another_is_named(service: Service) -> None:
    await service.psychologist()
    for zone, start in (
        (None, "07:00"),
        ("Asia/Jayapura", "05:00"),
        ("UTC", "14:00"),
        ("Etc/GMT+5", "19:00"),
    ):
        reply = await book(service.person(), **({} if zone is None else {"timezone": zone}))
        assert reply.data["scheduledAt"] == f"{DAY}T{start}:00.000Z"
        assert reply.data["timezone"] == (zone or "Asia/Jakarta")


async def test_times_are_taken_with_and_without_seconds(service: Service) -> None:
    await service.psychologist()
    forms = {("14:00", "15:00"): ("14:00", "15:00"), ("14:00:30", "14:00:59"): ("14:00:30", "14:00:59")}
    forms[("14:00:00", "15:00:00")] = ("14:00", "15:00")
    for given, shown in forms.items():
        data = (await book(service.person(), *given)).data
        assert (data["startTime"], data["endTime"]) == shown


@pytest.mark.wall_time
async def test_times_and_dates_that_are_refused(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    yesterday, now = in_days(-1).date(), datetime.now(UTC)
    zone = zone_around(now, now)
    now = now.astimezone(ZoneInfo(zone))
    cases: dict[str, tuple[str, dict[str, Any]]] = {
        "yesterday": ("startTime", wish(date=yesterday.isoformat())),
        "long ago": ("startTime", wish(date="1970-01-01")),
        "just now": (
            "startTime",
            wish(f"{now:%H:%M:%S}", "23:59:59", date=now.date().isoformat(), timezone=zone),
        ),
        "end before start": ("endTime", wish("15:00", "14:00")),
        "end at start": ("endTime", wish("14:00", "14:00:00")),
        "too short": ("endTime", wish("14:00:00", "14:00:01")),
        "too long": ("endTime", wish("14:00", "18:00:01")),
        "unknown zone": ("timezone", wish(timezone="Asia/Atlantis")),
        "zone in lower case": ("timezone", wish(timezone="asia/jakarta")),
        "an offset for a zone": ("timezone", wish(timezone="+07:00")),
        "a path for a zone": ("timezone", wish(timezone="../../etc/passwd")),
        "an absolute path": ("timezone", wish(timezone="/etc/localtime")),
        "empty zone": ("timezone", wish(timezone="")),
        "24:01": ("endTime", wish("23:00", "24:01")),
        "24:00 to start": ("startTime", wish("24:00", "15:00")),
        "9:00": ("startTime", wish("9:00", "10:00")),
        "09:0": ("startTime", wish("09:0", "10:00")),
        "0900": ("startTime", wish("0900", "10:00")),
        "fractions": ("startTime", wish("14:00:00.5", "15:00")),
        "an offset": ("startTime", wish("14:00+07:00", "15:00")),
        "Z": ("startTime", wish("14:00Z", "15:00")),
        "second 60": ("endTime", wish("14:00", "14:59:60")),
        "minute 60": ("endTime", wish("14:00", "14:60")),
        "blank before": ("startTime", wish(" 14:00", "15:00")),
        "newline behind": ("startTime", wish("14:00\n", "15:00")),
        "30 February": ("date", wish(date=f"{YEAR}-02-30")),
        "29 February of no leap year": ("date", wish(date="2027-02-29")),
        "month 13": ("date", wish(date=f"{YEAR}-13-01")),
        "day 0": ("date", wish(date=f"{YEAR}-01-00")),
        "year 0": ("date", wish(date="0000-01-01")),
        "year 10000": ("date", wish(date="10000-01-01")),
        "short month": ("date", wish(date=f"{YEAR}-1-1")),
        "basic form": ("date", wish(date=f"{YEAR}0101")),
        "week date": ("date", wish(date=f"{YEAR}-W01-1")),
        "an instant": ("date", wish(date=f"{YEAR}-01-01T00:00:00Z")),
        "the last day, west": ("date", wish("23:00", "23:59", date="9999-12-31", timezone="Etc/GMT+12")),
        "the first day, east": ("date", wish("00:00", "00:59", date="0001-01-01", timezone="Etc/GMT-14")),
    }
    faults = {}
    for name, (field, body) in cases.items():
        reply = await client.post("/counselings/book", body)
        fault = envelope_fault(reply)
        if fault is None and reply.json.get("errors", {}).keys() != {field}:
            fault = f"{reply.json['code']} {reply.json.get('errors')}"
        if fault is not None:
            faults[name] = fault
    assert faults == {}
    assert await count(service) == 0


@pytest.mark.wall_time
async def test_the_longest_and_the_shortest_session_are_taken(service: Service) -> None:
    await service.psychologist()
    for start, end in (("14:00", "18:00"), ("14:00:00", "14:00:02")):
        assert (await book(service.person(), start, end)).status == 201


@pytest.mark.wall_time
async def test_an_hour_that_the_clocks_leave_out_is_refused(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    for zone, day in (("Europe/Berlin", sunday(YEAR, 3, -1)), ("America/New_York", sunday(YEAR, 3, 2))):
        where = {"date": day.isoformat(), "timezone": zone}
        start = await book(client, "02:30", "03:30", **where)
        assert_refused(start, 400, "VALIDATION_FAILED")
        assert set(start.json["errors"]) == {"startTime"}
        end = await book(client, "01:30", "02:30", **where)
        assert_refused(end, 400, "VALIDATION_FAILED")
        assert set(end.json["errors"]) == {"endTime"}
        # Around it there is one hour less than the clocks show.
        around = (await book(client, "01:59", "03:00", **where)).data
        assert instant(around["endsAt"]) - instant(around["scheduledAt"]) == timedelta(minutes=1)


@pytest.mark.wall_time
async def test_an_hour_that_comes_twice_means_the_first(service: Service) -> None:
    await service.psychologist()
    day = sunday(YEAR, 10, -1)
    where = {"date": day.isoformat(), "timezone": "Europe/Berlin"}
    reply = await book(service.person(), "02:15", "02:45", **where)
    assert reply.status == 201
    assert reply.data["scheduledAt"] == f"{day}T00:15:00.000Z"
    assert reply.data["endsAt"] == f"{day}T00:45:00.000Z"
    across = await book(service.person(), "02:30", "03:00", **where)
    assert across.data["scheduledAt"] == f"{day}T00:30:00.000Z"
    assert across.data["endsAt"] == f"{day}T02:00:00.000Z"


# ---- the limits -------------------------------------------------------------------------------------------


async def test_a_client_has_one_counselling_at_a_time_and_touching_ones_are_two_times(
    service: Service,
) -> None:
    await service.psychologist()
    client = service.person()
    assert (await book(client, "14:00", "15:00")).status == 201
    for start, end in (
        ("14:00", "15:00"),
        ("13:30", "14:00:01"),
        ("14:59:57", "16:00"),
        ("14:20", "14:40"),
        ("13:00", "16:00"),
    ):
        for method in ("chat", "offline"):
            assert_refused(await book(client, start, end, method=method), 409, "CLIENT_LIMIT")
    assert_refused(await book(client, "07:20", "07:40", timezone="UTC"), 409, "CLIENT_LIMIT")
    assert (await book(client, "15:00", "16:00")).status == 201
    assert (await book(client, "13:00", "14:00")).status == 201
    assert await count(service) == 3


async def test_what_was_cancelled_leaves_its_time_free(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    first = (await book(client)).data
    assert (await client.put(f"/counselings/{first['id']}/cancel", {"reason": "Sakit"})).status == 200
    assert (await book(client)).status == 201


async def test_a_psychologist_is_full_only_where_five_overlap_at_one_instant(service: Service) -> None:
    psychologist = await service.psychologist()
    named = {"psychologistId": str(psychologist.id)}
    for _ in range(4):
        assert (await book(service.person(), "14:00", "15:00", **named)).status == 201
    assert (await book(service.person(), "14:00", "14:30", **named)).status == 201
    assert_refused(await book(service.person(), "14:29", "14:40", **named), 409, "PSYCHOLOGIST_LIMIT")
    assert (await book(service.person(), "14:30", "15:00", **named)).status == 201
    assert_refused(await book(service.person(), "13:00", "16:00", **named), 409, "PSYCHOLOGIST_LIMIT")
    assert (await book(service.person(), "15:00", "16:00", **named)).status == 201


async def test_of_fifty_clients_at_once_exactly_five_get_the_psychologist(service: Service) -> None:
    psychologist = await service.psychologist()
    replies = await asyncio.gather(
        *(book(service.person(), psychologistId=str(psychologist.id)) for _ in range(50))
    )
    assert Counter(reply.status for reply in replies) == {201: 5, 409: 45}
    for reply in replies:
        if reply.status == 409:
            assert_refused(reply, 409, "PSYCHOLOGIST_LIMIT")
    assert await count(service) == await count(service, "chat_sessions") == 5


async def test_of_forty_overlapping_bookings_of_one_client_exactly_one_succeeds(service: Service) -> None:
    for name in ("Sari", "Maya", "Rizky"):
        await service.psychologist(name)
    client = service.person()
    replies = await asyncio.gather(
        *(book(client, f"14:{number:02}", f"15:{number:02}") for number in range(40))
    )
    assert Counter(reply.status for reply in replies) == {201: 1, 409: 39}
    for reply in replies:
        if reply.status == 409:
            assert_refused(reply, 409, "CLIENT_LIMIT")
    assert await count(service) == 1


async def test_of_twenty_overlapping_bookings_of_a_client_who_may_have_two_exactly_two_succeed(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """No constraint of the database helps here: what two replicas share is the lock on the client's row."""
    stores = {"database_url": database_url, "redis_url": redis_url}
    async with a_pair(tmp_path, **stores, max_active_per_client=2) as pair:
        for name in ("Sari", "Maya", "Rizky"):
            await pair.one.psychologist(name)
        client = pair.one.person()
        # Known beforehand: otherwise all of them would wait for the first to write the row.
        assert (await book(client, "09:00", "10:00")).status == 201
        replies = await asyncio.gather(
            *(
                book((client, pair.elsewhere(client))[number % 2], f"14:{number:02}", f"15:{number:02}")
                for number in range(20)
            )
        )
        assert Counter(reply.status for reply in replies) == {201: 2, 409: 18}
        for reply in replies:
            if reply.status == 409:
                assert_refused(reply, 409, "CLIENT_LIMIT")
        assert await count(pair.one) == 3


async def test_of_fifty_clients_at_once_three_psychologists_take_fifteen(service: Service) -> None:
    psychologists = [await service.psychologist(name) for name in ("Sari", "Maya", "Rizky")]
    replies = await asyncio.gather(*(book(service.person()) for _ in range(50)))
    assert Counter(reply.status for reply in replies) == {201: 15, 409: 35}
    taken = Counter(reply.data["psychologist"]["id"] for reply in replies if reply.status == 201)
    assert taken == {str(psychologist.id): 5 for psychologist in psychologists}
    for reply in replies:
        if reply.status == 409:
            assert_refused(reply, 409, "NO_PSYCHOLOGIST")


async def test_whoever_has_least_to_do_that_day_is_chosen(service: Service) -> None:
    busy, idle, away = [await service.psychologist(name) for name in ("Sari", "Maya", "Rizky")]
    admin = service.person(Role.SUPER_ADMIN)
    await admin.put(f"/psychologists/{away.id}", {"fullName": "Rizky", "isActive": False})
    at_eight, other_day = {"start": "08:00", "end": "09:00"}, (DAY + timedelta(days=1)).isoformat()
    assert (await book(service.person(), **at_eight, psychologistId=str(busy.id))).status == 201
    # Another day does not count, nor does what was cancelled.
    for _ in range(3):
        person = service.person()
        reply = await book(person, psychologistId=str(idle.id), date=other_day)
        assert reply.status == 201
        reply = await book(person, psychologistId=str(idle.id))
        assert (await person.put(f"/counselings/{reply.data['id']}/cancel")).status == 200
    chosen = [(await book(service.person(), "14:00", "15:00")).data["psychologist"]["id"]]
    assert chosen == [str(idle.id)]
    assert (await book(service.person(), "14:00", "15:00", psychologistId=str(idle.id))).status == 201
    chosen = (await book(service.person(), "14:00", "15:00")).data["psychologist"]["id"]
    assert chosen == str(busy.id)


@pytest.mark.wall_time
async def test_the_day_is_the_one_of_the_booked_zone(service: Service) -> None:
    one, other = [await service.psychologist(name) for name in ("Sari", "Maya")]
    # 23:00 UTC of the day before is the morning of the day in Jakarta.
    before = (DAY - timedelta(days=1)).isoformat()
    late = {"date": before, "timezone": "UTC", "psychologistId": str(one.id)}
    assert (await book(service.person(), "23:00", "23:30", **late)).status == 201
    for _ in range(3):
        assert (await book(service.person())).data["psychologist"]["id"] in (str(one.id), str(other.id))
    counts = await service.runtime.pool.fetch(
        "SELECT psychologist_id, count(*) FROM counselings GROUP BY 1 ORDER BY 2"
    )
    assert [row["count"] for row in counts] == [2, 2]


async def test_who_cannot_be_booked(service: Service) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    for nobody in (uuid4(), client.id):
        reply = await book(client, psychologistId=str(nobody))
        assert_refused(reply, 400, "VALIDATION_FAILED")
        assert set(reply.json["errors"]) == {"psychologistId"}
    admin = service.person(Role.SUPER_ADMIN)
    await admin.put(f"/psychologists/{psychologist.id}", {"fullName": "Sari", "isActive": False})
    assert_refused(await book(client, psychologistId=str(psychologist.id)), 400, "VALIDATION_FAILED")
    assert_refused(await book(client), 409, "NO_PSYCHOLOGIST")
    assert (await client.get("/psychologists")).data == {"data": [], "nextCursor": None}


# ---- all or nothing ---------------------------------------------------------------------------------------


async def test_only_a_chat_gets_a_session(service: Service) -> None:
    psychologist = await service.psychologist()
    for method in ("online", "offline", "organization"):
        client = service.person()
        reply = await book(client, method=method)
        assert reply.status == 201
        assert reply.data["chatSession"] is None
        assert reply.data["method"] == method
        assert (await client.get("/chat/sessions")).data["data"] == []
        cancelled = await psychologist.put(f"/counselings/{reply.data['id']}/cancel")
        assert cancelled.data == without_calendar(reply.data) | {"status": "cancelled"}
        again = await client.put(f"/counselings/{reply.data['id']}/cancel")
        assert (again.status, again.data) == (200, cancelled.data)
    for table in ("chat_sessions", "automations", "timeline"):
        assert await count(service, table) == 0
    # The psychologist is told of each booking, the client of each cancellation.
    assert await count(service, "notifications") == 9


async def test_counselling_session_automations_and_events_are_written_together(service: Service) -> None:
    await service.psychologist()
    assert (await book(service.person())).status == 201
    assert [await count(service, table) for table in ("counselings", "chat_sessions")] == [1, 1]
    assert await count(service, "automations") == len(LONG_BEFORE)
    assert await count(service, "timeline") == 1


async def test_there_is_no_counselling_without_its_chat(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    pool = service.runtime.pool
    tables = ("chat_sessions", "automations", "timeline", "outbox")
    for table in tables:
        async with planting(pool) as owner:
            await owner.execute(f"ALTER TABLE {table} ADD CONSTRAINT broken CHECK (false) NOT VALID")
        reply = await book(client)
        assert (reply.status, reply.code) == (500, "INTERNAL")
        assert "broken" not in str(reply.json)
        assert [await count(service, one) for one in ("counselings", *tables)] == [0] * 5
        async with planting(pool) as owner:
            await owner.execute(f"ALTER TABLE {table} DROP CONSTRAINT broken")
    assert (await book(client)).status == 201


async def test_a_refused_booking_leaves_nothing(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    assert (await book(client)).status == 201
    before = [await count(service, table) for table in ("counselings", "chat_sessions", "automations")]
    assert_refused(await book(client), 409, "CLIENT_LIMIT")
    assert_refused(await book(client, psychologistId=str(uuid4())), 409, "CLIENT_LIMIT")
    after = [await count(service, table) for table in ("counselings", "chat_sessions", "automations")]
    assert after == before


async def test_notes_are_encrypted_in_the_database_and_shown_to_the_two_alone(service: Service) -> None:
    psychologist = await service.psychologist()
    client, admin = service.person(), service.person(Role.SUPER_ADMIN, "Admin")
    reply = await book(client, notes="Sangat rahasia")
    assert "rahasia" not in str(reply.json)
    stored = await service.runtime.pool.fetchval("SELECT notes FROM counselings")
    assert b"rahasia" not in stored
    path = f"/counselings/{reply.data['id']}"
    for person, seen in ((client, "Sangat rahasia"), (psychologist, "Sangat rahasia"), (admin, None)):
        assert (await person.get(path)).data["notes"] == seen
        assert "rahasia" not in str((await person.get("/counselings")).json)
    await client.put(f"/counselings/{reply.data['id']}/cancel", {"reason": "Sakit"})
    assert await service.runtime.pool.fetchval("SELECT notes FROM counselings") == stored

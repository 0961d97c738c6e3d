"""A client in New York and a psychologist in Jayapura: each reads the time by their own clock, over midnight.

On 10 March 2031 New York is four hours behind UTC, Jayapura nine hours ahead, always: thirteen hours apart.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from rdchat.domain.person import Caller, Role
from rdchat.services.wall_times import TZDATA
from tests.support.envelope import assert_refused
from tests.support.service import Person, Service, service_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NEW_YORK, JAYAPURA = "America/New_York", "Asia/Jayapura"


@pytest.fixture
async def service(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Service]:
    settings = service_settings(tmp_path, booking_horizon=service_settings(tmp_path).booking_horizon * 20)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as running:
        yield running


@pytest.fixture
async def dewi(service: Service) -> Person:
    return await service.psychologist("Dewi", timezone=JAYAPURA)


@pytest.fixture
def anna(service: Service) -> Person:
    return service.person(name="Anna")


def wall(shown: dict[str, Any]) -> tuple[str, str, str, str, str]:
    return shown["date"], shown["startTime"], shown["endDate"], shown["endTime"], shown["timezone"]


async def told(person: Person) -> str:
    text: str = (await person.get("/notifications")).data["data"][0]["message"]
    return text


async def test_each_reads_is_told_and_prints_the_time_by_their_own_clock(
    service: Service, anna: Person, dewi: Person
) -> None:
    # Anna books 23:30 to 00:30 of her evening: 12:30 to 13:30 of the next day for Dewi.
    wish = {"method": "chat", "date": "2031-03-10", "startTime": "23:30", "endTime": "00:30"}
    reply = await anna.post(
        "/counselings/book", wish | {"timezone": NEW_YORK, "psychologistId": str(dewi.id), "language": "en"}
    )
    assert reply.status == 201, reply.json
    booked = reply.data
    path = f"/counselings/{booked['id']}"
    assert (booked["scheduledAt"], booked["endsAt"]) == (
        "2031-03-11T03:30:00.000Z",
        "2031-03-11T04:30:00.000Z",
    )
    evening = ("2031-03-10", "23:30", "2031-03-11", "00:30", NEW_YORK)
    noon = ("2031-03-11", "12:30", "2031-03-11", "13:30", JAYAPURA)
    assert wall(booked) == evening
    assert wall((await anna.get(path)).data) == evening
    assert wall((await dewi.get(path)).data) == noon
    assert wall((await dewi.get("/counselings")).data["data"][0]) == noon
    assert "12:30 (Asia/Jayapura)" in await told(dewi)

    # Dewi moves it by an hour, in words of her own clock; no one's zone changes.
    reply = await dewi.put(
        f"{path}/reschedule", {"date": "2031-03-11", "startTime": "13:30", "endTime": "14:30"}
    )
    assert reply.status == 200, reply.json
    assert wall(reply.data) == ("2031-03-11", "13:30", "2031-03-11", "14:30", JAYAPURA)
    later = ("2031-03-11", "00:30", "2031-03-11", "01:30", NEW_YORK)
    assert wall((await anna.get(path)).data) == later
    assert "Tuesday, 11 March 2031, 00:30 (America/New_York)" in await told(anna)

    # Anna moves it back, by hers; 24:00 is the end of her day.
    reply = await anna.put(
        f"{path}/reschedule", {"date": "2031-03-10", "startTime": "23:00", "endTime": "24:00"}
    )
    assert reply.status == 200, reply.json
    assert wall(reply.data) == ("2031-03-10", "23:00", "2031-03-11", "00:00", NEW_YORK)
    assert wall((await dewi.get(path)).data) == ("2031-03-11", "12:00", "2031-03-11", "13:00", JAYAPURA)
    assert "Tuesday, 11 March 2031, 12:00 (Asia/Jayapura)" in await told(dewi)

    # Each prints it by their own clock.
    transcript = f"/chat/sessions/{booked['chatSession']['sessionId']}/transcript"
    hers, mine = (
        (await dewi.get(transcript, format="txt")).json,
        (await anna.get(transcript, format="txt")).json,
    )
    assert "12:00\u201313:00 (Asia/Jayapura, UTC+09:00)" in hers
    assert "23:00\u201300:00 (America/New_York, UTC-04:00)" in mine
    assert "Tuesday, 11 March 2031" in hers
    assert "Monday, 10 March 2031" in mine

    # An administrator sees it as the client does.
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    assert wall((await admin.get(path)).data)[-1] == NEW_YORK


@pytest.mark.usefixtures("dewi")
async def test_instants_reach_the_second_pass_of_a_repeated_hour(service: Service) -> None:
    # Berlin, 26 October 2031: at 01:00Z, 03:00 becomes 02:00.
    jens = service.person(name="Jens")
    for starts_at, ends_at, start, end in (
        ("2031-10-26T02:30:00+02:00", "2031-10-26T02:50:00+02:00", "02:30", "02:50"),
        ("2031-10-26T02:30:00+01:00", "2031-10-26T02:50:00+01:00", "02:30", "02:50"),
    ):
        reply = await jens.post(
            "/counselings/book",
            {"method": "online", "startsAt": starts_at, "endsAt": ends_at, "timezone": "Europe/Berlin"},
        )
        assert reply.status == 201, reply.json
        assert (reply.data["startTime"], reply.data["endTime"]) == (start, end)
        assert datetime.fromisoformat(reply.data["scheduledAt"]) == datetime.fromisoformat(starts_at)
    # Both passes are kept to: nothing has shifted.
    assert await service.runtime.wall_times.keep(dry_run=True) == []


@pytest.mark.usefixtures("dewi")
async def test_null_is_left_out_in_both_ways_of_saying_times(anna: Person) -> None:
    by_clock = {"date": "2031-03-10", "startTime": "10:00", "endTime": "11:00", "timezone": "UTC"}
    by_instants = {"startsAt": "2031-03-11T10:00:00Z", "endsAt": "2031-03-11T11:00:00Z"}
    none = dict.fromkeys(("date", "startTime", "endTime", "endDate", "startsAt", "endsAt"))
    for said in (by_clock, by_instants):
        reply = await anna.post("/counselings/book", {"method": "online"} | none | said)
        assert reply.status == 201, reply.json
    refused = await anna.post("/counselings/book", {"method": "online"} | none)
    assert set(refused.json["errors"]) == {"date", "startTime", "endTime"}


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({"startTime": "24:00", "endTime": "01:00"}, {"startTime"}),
        ({"startTime": "10:00", "endTime": "24:01"}, {"endTime"}),
        ({"startTime": "10:00", "endTime": "25:00"}, {"endTime"}),
        ({"startTime": "10:00", "endTime": "11:00", "endDate": "2031-03-09"}, {"endDate"}),
        ({"startTime": "10:00", "endTime": "11:00", "endDate": "2031-03-12"}, {"endTime"}),
        ({"startTime": "10:00", "endTime": "10:00"}, {"endTime"}),
        ({"startTime": "10:00"}, {"endTime"}),
        ({"startsAt": "2031-03-10T10:00:00Z"}, {"date"}),
        (
            {"startTime": "10:00", "endTime": "11:00", "startsAt": "2031-03-10T10:00:00Z"},
            {"date", "startTime", "endTime"},
        ),
    ],
)
async def test_times_that_cannot_be_are_refused_by_name(
    anna: Person, said: dict[str, str], fields: set[str]
) -> None:
    body = {"method": "online", "date": "2031-03-10", "timezone": "UTC"} | said
    reply = await anna.post("/counselings/book", body)
    assert_refused(reply, 400, "VALIDATION_FAILED")
    assert set(reply.json["errors"]) == fields


@pytest.mark.parametrize(
    "pair",
    [
        ("2031-03-10T10:00:00", "2031-03-10T11:00:00"),
        ("2031-03-10", "2031-03-11"),
        ("2031-03-10T10:00:00+25:00", "2031-03-10T11:00:00Z"),
        ("2031-02-30T10:00:00Z", "2031-03-10T11:00:00Z"),
        ("0001-01-01T00:00:00+14:00", "2031-03-10T11:00:00Z"),
        (1930000000, 1930003600),
        ("2031-03-10T11:00:00Z", "2031-03-10T10:00:00Z"),
    ],
)
async def test_instants_that_cannot_be_are_refused(anna: Person, pair: tuple[Any, Any]) -> None:
    body = {"method": "online", "startsAt": pair[0], "endsAt": pair[1]}
    reply = await anna.post("/counselings/book", body)
    assert_refused(reply, 400, "VALIDATION_FAILED")
    assert set(reply.json["errors"]) <= {"startsAt", "endsAt"}


async def test_the_last_hour_of_a_day_can_be_booked_and_moved_onto_itself(
    service: Service, anna: Person, dewi: Person
) -> None:
    query = {"date": "2031-03-10", "duration": 60, "step": 30, "timezone": "UTC"}
    shown = (await anna.get(f"/psychologists/{dewi.id}/slots", **query)).data
    last = shown[-1]
    assert (last["startTime"], last["endTime"], last["endDate"]) == ("23:30", "00:30", "2031-03-11")
    assert (shown[-2]["startTime"], shown[-2]["endTime"]) == ("23:00", "00:00")
    # The same slots seen from Jayapura begin the day nine hours earlier.
    elsewhere = (await anna.get(f"/psychologists/{dewi.id}/slots", **query | {"timezone": JAYAPURA})).data
    assert elsewhere[0]["startsAt"] == "2031-03-09T15:00:00.000Z"

    for number in range(5):
        guest = service.person(name=f"Tamu {number}")
        body = {"method": "online", "startsAt": last["startsAt"], "endsAt": last["endsAt"]}
        reply = await guest.post("/counselings/book", body | {"psychologistId": str(dewi.id)})
        assert reply.status == 201, reply.json
    full = (await guest.get(f"/psychologists/{dewi.id}/slots", **query)).data
    assert last["startsAt"] not in [one["startsAt"] for one in full]
    own = (await guest.get(f"/psychologists/{dewi.id}/slots", **query, **{"except": reply.data["id"]})).data
    assert last["startsAt"] in [one["startsAt"] for one in own]
    stranger = await anna.get(f"/psychologists/{dewi.id}/slots", **query, **{"except": reply.data["id"]})
    assert_refused(stranger, 403, "FORBIDDEN")


@pytest.mark.parametrize("method", ["chat", "online"])
async def test_when_the_tz_database_changes_the_wall_time_stays(
    service: Service, anna: Person, dewi: Person, method: str
) -> None:
    wish = {"method": method, "date": "2031-03-10", "startTime": "10:00", "endTime": "11:00"}
    booked = (
        await anna.post(
            "/counselings/book",
            wish | {"timezone": NEW_YORK, "psychologistId": str(dewi.id), "language": "en"},
        )
    ).data
    # As if it had been booked before New York gave up its summer time: an hour later.
    pool = service.runtime.pool
    hour = "interval '1 hour'"
    counseling_id = UUID(booked["id"])
    for table, column in (("counselings", "id"), ("chat_sessions", "counseling_id")):
        await pool.execute(
            f"UPDATE {table} SET starts_at = starts_at + {hour}, ends_at = ends_at + {hour} "  # noqa: S608 - constant text
            f"WHERE {column} = $1",
            counseling_id,
        )
    assert wall((await anna.get(f"/counselings/{booked['id']}")).data)[1] == "11:00"

    wall_times = service.runtime.wall_times
    [found] = await wall_times.keep(dry_run=True)
    assert (found.counseling_id, found.fault) == (counseling_id, None)
    assert wall((await anna.get(f"/counselings/{booked['id']}")).data)[1] == "11:00", "only looked at"
    [moved] = await wall_times.keep()
    assert moved.fault is None
    shown = (await anna.get(f"/counselings/{booked['id']}")).data
    assert wall(shown) == ("2031-03-10", "10:00", "2031-03-10", "11:00", NEW_YORK)
    assert shown["scheduledAt"] == booked["scheduledAt"]
    assert "10:00 (America/New_York)" in await told(anna)
    assert "23:00 (Asia/Jayapura)" in await told(dewi)
    if method == "chat":
        session = await anna.session(booked["chatSession"]["sessionId"])
        assert session["scheduledAt"] == booked["scheduledAt"]
        [start] = [one for one in session["automations"] if one["kind"] == "enable_chat"]
        assert start["dueAt"] == booked["scheduledAt"]

    before = len((await anna.get("/notifications")).data["data"])
    assert await wall_times.keep() == [], "what keeps its time is left alone"
    assert len((await anna.get("/notifications")).data["data"]) == before
    assert await pool.fetchval("SELECT value FROM facts WHERE name = 'tzdata'") == TZDATA


async def test_zones_are_those_of_the_release_not_of_the_machine(anna: Person) -> None:
    body = {"method": "online", "date": "2031-03-10", "startTime": "10:00", "endTime": "11:00"}
    for name in ("posixrules", "localtime", "right/UTC", "Etc/../UTC", "utc"):
        assert_refused(
            await anna.post("/counselings/book", body | {"timezone": name}), 400, "VALIDATION_FAILED"
        )


async def test_a_zone_that_the_token_names_is_the_one_that_its_person_reads(
    service: Service, dewi: Person
) -> None:
    caller = Caller(uuid4(), Role.CLIENT, "Anna", timezone=NEW_YORK)
    token = service.runtime.tokens.issue(caller, lifetime=timedelta(hours=1))
    anna = Person(service.client, service.base, caller, token)
    with_her = {"method": "online", "psychologistId": str(dewi.id)}
    instants = {"startsAt": "2031-03-11T03:30:00Z", "endsAt": "2031-03-11T04:30:00Z"}
    reply = await anna.post("/counselings/book", with_her | instants)
    assert reply.status == 201, reply.json
    assert wall(reply.data) == ("2031-03-10", "23:30", "2031-03-11", "00:30", NEW_YORK)
    # Wall times without a zone are those of Jakarta, whichever role says them.
    by_clock = {"date": "2031-03-12", "startTime": "14:00", "endTime": "15:00"}
    reply = await anna.post("/counselings/book", with_her | by_clock)
    assert reply.data["scheduledAt"] == "2031-03-12T07:00:00.000Z"
    assert wall(reply.data) == ("2031-03-12", "03:00", "2031-03-12", "04:00", NEW_YORK)

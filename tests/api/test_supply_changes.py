"""Psychologists who stop, or work less: what does not fit any more is shown, and those concerned are told."""

from __future__ import annotations

import asyncio
from datetime import time, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from rdchat.domain.person import Role
from tests.support.adding_up import adds_up
from tests.support.envelope import assert_refused
from tests.support.handing_over import hand_over, told
from tests.support.soon import book_soon, in_days
from tests.support.waiting import until

if TYPE_CHECKING:
    from datetime import datetime

    from tests.support.service import Person, Reply, Service

HOUR = timedelta(hours=1)
UNAVAILABLE = "psychologist_unavailable"


async def book(client: Person, start: datetime, psychologist: Person, **more: Any) -> dict[str, Any]:
    reply = await client.book(start, start + HOUR, psychologistId=str(psychologist.id), **more)
    assert reply.status == 201, reply.json
    booking: dict[str, Any] = reply.data
    return booking


async def put_hours(person: Person, psychologist: Person, **hours: Any) -> Reply:
    return await person.put(f"/psychologists/{psychologist.id}/availability", hours)


def ids(reply: Reply) -> list[str]:
    assert reply.status in (200, 201), reply.json
    return [one["id"] for one in reply.data["affected"]]


async def test_six_are_left_three_are_handed_over_and_three_cancelled(service: Service) -> None:
    """A psychologist stops: over HTTP alone, everybody knows, limits hold, and the numbers add up."""
    organization = uuid4()
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    supervisor = service.person(Role.SUPERVISOR, "Penyelia", organization_id=organization)
    sari, rina = await service.psychologist("Sari"), await service.psychologist("Rina")
    start = in_days(30)
    clients = [service.person(name=f"Klien {number}", organization_id=organization) for number in range(6)]
    # At one time, as many as there is room for, and one an hour later; by chat and otherwise.
    bookings = [
        await book(client, start + HOUR * (number == 5), sari, method=("chat", "online")[number % 2])
        for number, client in enumerate(clients)
    ]
    # Three of the other psychologist's five places are taken then.
    others = [service.person(organization_id=organization) for _ in range(3)]
    for other in others:
        await book(other, start, rina)
    reply = await admin.put(f"/psychologists/{sari.id}", {"isActive": False})
    names = {one["id"]: one["client"]["fullName"] for one in reply.data["affected"]}
    assert names == {
        booking["id"]: client.caller.full_name for booking, client in zip(bookings, clients, strict=True)
    }
    assert {(one["id"], one["method"], one["startsAt"], one["endsAt"]) for one in reply.data["affected"]} == {
        (one["id"], one["method"], one["scheduledAt"], one["endsAt"]) for one in bookings
    }
    for client, booking in zip(clients, bookings, strict=True):
        [note] = await told(client, UNAVAILABLE)
        assert note["data"]["counselingId"] == booking["id"]
    assert len(await told(sari, UNAVAILABLE)) == 6
    assert_refused(
        await service.person().book(in_days(40), in_days(40) + HOUR, psychologistId=str(sari.id)),
        400,
        "VALIDATION_FAILED",
    )
    # The supervisor hands over what there is room for: two of the five, and the one that is later.
    replies = [await hand_over(supervisor, booking, rina) for booking in bookings]
    assert [one.status for one in replies] == [200, 200, 409, 409, 409, 200]
    assert {one.code for one in replies if one.status == 409} == {"PSYCHOLOGIST_LIMIT"}
    left = [booking for booking, one in zip(bookings, replies, strict=True) if one.status == 409]
    again = await admin.put(f"/psychologists/{sari.id}", {"isActive": False})
    assert sorted(ids(again)) == sorted(one["id"] for one in left)
    for booking in left:
        assert (await admin.put(f"/counselings/{booking['id']}/cancel", {"reason": "Sakit"})).status == 200
    assert ids(await admin.put(f"/psychologists/{sari.id}", {"isActive": False})) == []
    # Everybody knows, once.
    for number, client in enumerate(clients):
        kinds = [one["type"] for one in (await client.get("/notifications")).data["data"]]
        became = "session_cancelled" if number in (2, 3, 4) else "counseling_reassigned"
        assert sorted(kinds) == sorted(["counseling_booked", UNAVAILABLE, became])
    assert len(await told(sari)) == len(await told(rina)) == 3
    assert len(await told(sari, "session_cancelled")) == 3
    assert len((await rina.get("/counselings", status="pending")).data["data"]) == 6
    refused = await service.person().book(start, start + HOUR, psychologistId=str(rina.id))
    assert_refused(refused, 409, "PSYCHOLOGIST_LIMIT")
    # And the numbers add up.
    day = f"{start:%Y-%m-%d}"
    report = (await supervisor.get("/reports/organization", **{"from": day, "to": day})).data
    assert adds_up(report)
    assert (report["booked"], report["ahead"], report["cancelled"]["byAdministrator"]) == (9, 6, 3)
    assert {
        one["psychologist"]["fullName"]: (one["booked"], one["ahead"]) for one in report["psychologists"]
    } == {"Rina": (6, 6), "Sari": (3, 0)}


async def test_only_what_fitted_and_does_not_now_is_told(service: Service) -> None:
    sari = await service.psychologist("Sari", timezone="UTC")
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    early, late = service.person(name="Pagi"), service.person(name="Sore")
    morning, evening = in_days(30, time(9)), in_days(30, time(18))
    first, second = await book(early, morning, sari), await book(late, evening, sari, method="online")
    day, all_of_them = f"{morning:%Y-%m-%d}", [first["id"], second["id"]]
    path = f"/psychologists/{sari.id}"

    async def counted() -> tuple[int, int, int]:
        of_each = [len(await told(person, UNAVAILABLE)) for person in (early, late, sari)]
        return of_each[0], of_each[1], of_each[2]

    # Nothing that was booked is touched.
    elsewhere = {"date": f"{in_days(31):%Y-%m-%d}", "isAvailable": False}
    assert ids(await put_hours(sari, sari, exceptions=[elsewhere])) == []
    assert await counted() == (0, 0, 0)
    # By themselves: they know it. Saved again, it is shown again, and no one is told.
    away = {"date": day, "isAvailable": False, "startTime": "17:00", "endTime": "20:00"}
    for _ in range(2):
        assert ids(await put_hours(sari, sari, exceptions=[away])) == [second["id"]]
        assert await counted() == (0, 1, 0)
    # A whole day, by an administrator: the one that did not fit is no news.
    for _ in range(2):
        reply = await put_hours(admin, sari, exceptions=[{"date": day, "isAvailable": False}])
        assert ids(reply) == all_of_them
        assert await counted() == (1, 1, 1)
    # Other things that are saved tell no one, and neither does what fits again.
    assert ids(await admin.put(path, {"fullName": "Sari W."})) == all_of_them
    assert ids(await admin.put(path, {"isActive": False})) == all_of_them
    assert ids(await put_hours(admin, sari, exceptions=[])) == all_of_them, "inactive still"
    assert await counted() == (1, 1, 1)
    assert ids(await admin.put(path, {"isActive": True})) == []
    assert await counted() == (1, 1, 1)
    # Hours are wall times: in another zone, they mean other instants.
    weekly = [{"weekday": number, "startTime": "08:00", "endTime": "20:00"} for number in range(1, 8)]
    assert ids(await put_hours(admin, sari, weekly=weekly)) == []
    assert ids(await admin.put(path, {"timezone": "Asia/Jayapura"})) == [second["id"]]
    assert await counted() == (1, 2, 2)
    assert ids(await put_hours(admin, sari, timezone="UTC")) == []
    # What fitted again and does not once more, is told once more.
    assert ids(await admin.put(path, {"isActive": False})) == all_of_them
    assert await counted() == (2, 3, 4)


@pytest.mark.wall_time
async def test_what_has_begun_or_is_over_is_not_affected(service: Service) -> None:
    sari = await service.psychologist("Sari")
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    client = service.person()
    for method in ("chat", "offline"):
        booking = (await book_soon(service.person(), 0.5, 60, method=method)).data
        path = f"/counselings/{booking['id']}"

        async def has_begun(path: str = path) -> bool:
            return bool((await admin.get(path)).data["status"] == "active")

        await until(has_begun)
    cancelled = await book(client, in_days(30), sari)
    assert (await client.put(f"/counselings/{cancelled['id']}/cancel")).status == 200
    ahead = await book(client, in_days(30), sari)
    assert ids(await admin.put(f"/psychologists/{sari.id}", {"isActive": False})) == [ahead["id"]]
    assert len(await told(sari, UNAVAILABLE)) == 1


async def test_no_booking_slips_in_while_a_psychologist_stops(service: Service) -> None:
    """Whatever is booked is either affected, or was refused."""
    sari = await service.psychologist("Sari")
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    asked = {"psychologistId": str(sari.id), "method": "online"}
    clients = [service.person() for _ in range(6)]
    wishes = [(client, in_days(30) + HOUR * (number // 3)) for number, client in enumerate(clients)]
    *replies, stopped = await asyncio.gather(
        *(client.book(start, start + HOUR, **asked) for client, start in wishes),
        admin.put(f"/psychologists/{sari.id}", {"isActive": False}),
    )
    booked = {one.data["id"] for one in replies if one.status == 201}
    assert {one.status for one in replies} <= {201, 400, 409}
    assert set(ids(stopped)) == booked
    for client, one in zip(clients, replies, strict=True):
        assert len(await told(client, UNAVAILABLE)) == (one.status == 201)


# ---- entity tags ------------------------------------------------------------------------------------------


async def test_of_two_who_change_the_same_hours_the_second_looks_again(service: Service) -> None:
    sari = await service.psychologist("Sari")
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    path = f"/psychologists/{sari.id}/availability"
    weekly = [{"weekday": 1, "startTime": "09:00", "endTime": "12:00"}]
    exceptions = [{"date": f"{in_days(90):%Y-%m-%d}", "isAvailable": False}]

    async def put(person: Person, body: dict[str, Any], tag: str) -> Reply:
        return await person.call("PUT", path, json=body, headers={"If-Match": tag})

    seen = (await admin.get(path)).headers["ETag"]
    assert (await sari.get(path)).headers["ETag"] == seen
    first = await put(admin, {"weekly": weekly}, seen)
    assert first.status == 200
    assert first.headers["ETag"] != seen
    refused = await put(sari, {"exceptions": exceptions}, seen)
    assert_refused(refused, 412, "PRECONDITION_FAILED")
    found = await sari.get(path)
    assert found.headers["ETag"] == first.headers["ETag"]
    assert (len(found.data["weekly"]), found.data["exceptions"]) == (1, [])
    # A proxy that compresses makes tags weak; several may be named; `*` is whatever there is.
    for tag in (f"W/{first.headers['ETag']}", f'"other", {first.headers["ETag"]}', "*"):
        assert (await put(sari, {"weekly": weekly}, tag)).status == 200
    for tag in ('"other"', "", first.headers["ETag"].strip('"'), "W/"):
        assert_refused(await put(sari, {"weekly": weekly}, tag), 412, "PRECONDITION_FAILED")
    # The same state has the same tag, also when it comes again; and of many at once, one is the first.
    present = (await sari.get(path)).headers["ETag"]
    replies = await asyncio.gather(
        *(put(sari, {"weekly": [{**weekly[0], "weekday": day}]}, present) for day in range(2, 8))
    )
    assert sorted(one.status for one in replies) == [200, 412, 412, 412, 412, 412]
    assert (await sari.put(path, {"weekly": weekly})).headers["ETag"] == present


async def test_what_one_has_is_not_sent_again(service: Service) -> None:
    sari = await service.psychologist("Sari")
    path = f"/psychologists/{sari.id}/availability"
    tag = (await sari.get(path)).headers["ETag"]
    for named in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        reply = await sari.call("GET", path, headers={"If-None-Match": named})
        assert (reply.status, reply.json, reply.headers["ETag"]) == (304, "", tag)
    for named in ('"x"', "", "W/"):
        assert (await sari.call("GET", path, headers={"If-None-Match": named})).status == 200
    assert (await sari.put(path, {"timezone": "Asia/Makassar"})).status == 200
    assert (await sari.call("GET", path, headers={"If-None-Match": tag})).status == 200

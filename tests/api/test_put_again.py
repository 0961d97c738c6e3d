"""PUT means PUT: what is left out stays, and the same again changes nothing and is told to no one."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from rdchat.domain.person import Role
from tests.support.calendars import without_calendar
from tests.support.envelope import assert_refused
from tests.support.sessions import CLOSING, instant, opened, reaches
from tests.support.soon import book_soon, in_days
from tests.support.spans import on_the_clock

if TYPE_CHECKING:
    from tests.support.service import Person, Reply, Service

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


async def present(service: Service) -> list[Any]:
    """Read all that a change would leave behind: rows, their versions, notifications, events."""
    pool = service.runtime.pool
    rows = [
        await pool.fetch("SELECT * FROM counselings ORDER BY id"),
        await pool.fetch("SELECT id, version, schedule_version, ends_at FROM chat_sessions ORDER BY id"),
        await pool.fetch("SELECT * FROM psychologists ORDER BY id"),
        # Those who only ask get their row as well: it is no change of what is asked about.
        await pool.fetch(
            "SELECT id, role, sealed_name FROM people "
            "WHERE id IN (SELECT client_id FROM counselings UNION SELECT id FROM psychologists) ORDER BY id"
        ),
        await pool.fetch("SELECT id, type FROM notifications ORDER BY id"),
        await pool.fetch("SELECT command_id, trigger FROM timeline ORDER BY session_id, version, position"),
        await pool.fetch("SELECT count(*) FROM automations"),
        await pool.fetch("SELECT id FROM messages ORDER BY id"),
    ]
    return [[dict(row) for row in of] for of in rows]


# ---- psychologists ----------------------------------------------------------------------------------------


async def test_what_is_left_out_of_a_psychologist_stays(service: Service) -> None:
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    path = f"/psychologists/{uuid4()}"
    nameless = await admin.put(path, {"timezone": "Asia/Makassar"})
    assert_refused(nameless, 400, "VALIDATION_FAILED")
    assert set(nameless.json["errors"]) == {"fullName"}
    assert_refused(await admin.get(path), 404, "NOT_FOUND")
    created = await admin.put(path, {"fullName": "Maya", "isActive": False})
    assert (created.status, created.data["timezone"]) == (201, "Asia/Jakarta")
    shown = created.data
    affected = {"affected": shown.pop("affected")}
    assert affected["affected"] == []
    for body in (
        {"timezone": "Asia/Makassar"},
        {"isActive": True},
        {"fullName": " Maya Putri "},
        {"isActive": False, "timezone": "Asia/Jayapura"},
        {},
    ):
        reply = await admin.put(path, body)
        shown = shown | body | ({"fullName": "Maya Putri"} if "fullName" in body else {})
        assert (reply.status, reply.data) == (200, shown | affected)
        assert (await admin.get(path)).data == shown
    for wrong in ({"fullName": None}, {"fullName": " "}, {"timezone": "Asia/Atlantis"}, {"isActive": None}):
        refused = await admin.put(path, wrong)
        assert_refused(refused, 400, "VALIDATION_FAILED")
        assert refused.json["errors"].keys() == wrong.keys()
    assert (await admin.get(path)).data == shown


async def test_the_same_psychologist_again_is_no_change(service: Service) -> None:
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    path = f"/psychologists/{uuid4()}"
    body = {"fullName": "Maya", "timezone": "Asia/Makassar", "isActive": True}
    replies = await asyncio.gather(*(admin.put(path, body) for _ in range(6)))
    assert Counter(reply.status for reply in replies) == {201: 1, 200: 5}
    before = await present(service)
    for again in (body, {"fullName": "Maya "}, {"timezone": "Asia/Makassar"}, {"isActive": True}, {}):
        assert (await admin.put(path, again)).status == 200
        assert await present(service) == before
    assert (await admin.put(path, {"fullName": "Rina"})).status == 200
    assert await present(service) != before


async def test_no_client_becomes_a_psychologist(service: Service) -> None:
    await service.psychologist()
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    known = [service.person(role) for role in (Role.CLIENT, Role.STUDENT, Role.EMPLOYEE)]
    for person in known:
        assert (await person.book(in_days(30), in_days(30) + HOUR, method="online")).status == 201
    before = await present(service)
    for person in known:
        for body in ({"fullName": "Dokter"}, {"isActive": True}, {}):
            refused = await admin.put(f"/psychologists/{person.id}", body)
            assert_refused(refused, 409, "ILLEGAL_TRANSITION")
            assert "psychologist" in refused.json["message"]
    assert await present(service) == before


# ---- working hours ----------------------------------------------------------------------------------------


async def test_what_is_left_out_of_working_hours_stays(service: Service) -> None:
    psychologist = await service.psychologist()
    path = f"/psychologists/{psychologist.id}/availability"
    weekly = [{"weekday": 2, "startTime": "09:00", "endTime": "17:00"}]
    exceptions = [
        {"date": "2030-01-15", "isAvailable": False, "startTime": "00:00", "endTime": "00:00"},
        {"date": "2030-01-16", "isAvailable": True, "startTime": "10:00", "endTime": "12:00"},
    ]
    shown: dict[str, Any] = {"timezone": "Asia/Jakarta", "weekly": [], "exceptions": []}
    bodies: tuple[dict[str, Any], ...] = (
        {"weekly": weekly},
        {"exceptions": exceptions},
        {"timezone": "Asia/Makassar"},
        {},
        {"weekly": []},
        {"weekly": weekly, "exceptions": []},
    )
    for body in bodies:
        reply = await psychologist.put(path, body)
        shown = shown | body
        assert (reply.status, reply.data) == (200, shown | {"affected": []})
        assert (await psychologist.get(path)).data == shown


async def test_the_same_working_hours_again_are_no_change(service: Service) -> None:
    psychologist = await service.psychologist()
    path = f"/psychologists/{psychologist.id}/availability"
    weekly = [{"weekday": day, "startTime": "09:00", "endTime": "17:00"} for day in (1, 2)]
    closed = [{"date": "2030-01-15", "isAvailable": False}]
    body = {"weekly": weekly, "exceptions": closed, "timezone": "Asia/Makassar"}
    said = await psychologist.put(path, body)
    before = await present(service)
    for again in (body, {"weekly": weekly[::-1]}, {"exceptions": closed}, {"timezone": "Asia/Makassar"}, {}):
        reply = await psychologist.put(path, again)
        assert (reply.status, reply.data) == (200, said.data)
        assert await present(service) == before
    assert (await psychologist.put(path, {"weekly": weekly[:1]})).status == 200
    assert await present(service) != before


async def test_of_two_who_change_two_parts_of_the_hours_at_once_both_do(service: Service) -> None:
    psychologist = await service.psychologist()
    path = f"/psychologists/{psychologist.id}/availability"
    for number in range(5):
        parts: list[dict[str, Any]] = [
            {"weekly": [{"weekday": 1 + number, "startTime": "09:00", "endTime": "17:00"}]},
            {"exceptions": [{"date": f"2030-01-1{number}", "isAvailable": False}]},
            {"timezone": ("Asia/Makassar", "Asia/Jakarta")[number % 2]},
        ]
        replies = await asyncio.gather(*(psychologist.put(path, part) for part in parts))
        assert [reply.status for reply in replies] == [200] * 3
        shown = (await psychologist.get(path)).data
        assert shown["weekly"] == parts[0]["weekly"]
        assert [one["date"] for one in shown["exceptions"]] == [f"2030-01-1{number}"]
        assert shown["timezone"] == parts[2]["timezone"]


# ---- moving -----------------------------------------------------------------------------------------------


async def move(person: Person, counseling: dict[str, Any], **more: Any) -> Reply:
    starts_at, ends_at = (instant(counseling[name]) for name in ("scheduledAt", "endsAt"))
    body = on_the_clock(starts_at, ends_at)
    return await person.call("PUT", f"/counselings/{counseling['id']}/reschedule", json=body, **more)


async def test_a_move_to_the_time_that_it_has_is_none(service: Service) -> None:
    # All read one clock, so that all answers are the same.
    psychologist = await service.psychologist(timezone="UTC")
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    stranger = service.person()
    for number, method in enumerate(("chat", "online")):
        client = service.person()
        start = in_days(30 + number)
        hours = f"/psychologists/{psychologist.id}/availability"
        assert (await psychologist.put(hours, {"exceptions": []})).status == 200
        booked = (await client.book(start, start + HOUR, method=method, timezone="UTC")).data
        path = f"/counselings/{booked['id']}"
        # Closed by now, and still no reason to refuse what changes nothing.
        days = [f"{start + n * 24 * HOUR:%Y-%m-%d}" for n in (-1, 0, 1)]
        closed = {"exceptions": [{"date": day, "isAvailable": False} for day in days]}
        assert (await psychologist.put(hours, closed)).status == 200
        before = await present(service)
        for person in (client, psychologist, admin):
            for headers in ({}, {"Idempotency-Key": f"sama-{method}"}, {"Idempotency-Key": f"sama-{method}"}):
                reply = await move(person, booked, headers=headers)
                assert (reply.status, reply.data) == (200, without_calendar(booked))
                assert reply.json["message"] == "Counseling rescheduled successfully"
        assert_refused(await move(stranger, booked), 403, "FORBIDDEN")
        assert await present(service) == before
        assert (await client.put(f"{path}/cancel")).status == 200
        assert_refused(await move(client, booked), 409, "ILLEGAL_TRANSITION")


async def test_of_many_who_move_it_to_one_time_one_does(service: Service) -> None:
    psychologist = await service.psychologist()
    for number, method in enumerate(("chat", "online")):
        client = service.person()
        start = in_days(30 + number)
        booked = (await client.book(start, start + HOUR, method=method, timezone="UTC")).data
        wish = on_the_clock(start + 2 * HOUR, start + 3 * HOUR)
        path = f"/counselings/{booked['id']}/reschedule"
        replies = await asyncio.gather(*(client.put(path, wish) for _ in range(8)))
        assert Counter(reply.status for reply in replies) == {200: 8}, [reply.json for reply in replies]
        assert {instant(reply.data["scheduledAt"]) for reply in replies} == {start + 2 * HOUR}
        found = (await psychologist.get("/notifications", limit=100)).data["data"]
        moved = [one for one in found if one["type"] == "session_rescheduled"]
        assert len(moved) == number + 1


# ---- extending --------------------------------------------------------------------------------------------


async def extend(person: Person, session_id: str, **said: Any) -> Reply:
    return await person.put(f"/chat/sessions/{session_id}/extend", said)


def shift(ends_at: str, by: timedelta) -> str:
    return (instant(ends_at) + by).isoformat()


async def test_an_end_is_said_twice_and_moved_once(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    ends_at = (await client.session(session_id))["endsAt"]
    wish = shift(ends_at, 7 * MINUTE)
    extended = await extend(psychologist, session_id, endsAt=wish)
    assert (extended.status, extended.json["message"]) == (200, "Chat session extended successfully")
    assert instant(extended.data["endsAt"]) == instant(ends_at) + 7 * MINUTE
    before = await present(service)
    elsewhere = instant(extended.data["endsAt"]).astimezone(in_days(1, zone="Asia/Jakarta").tzinfo)
    for same in (wish, extended.data["endsAt"], elsewhere.isoformat()):
        again = await extend(psychologist, session_id, endsAt=same)
        assert (again.status, again.data) == (200, extended.data)
    assert_refused(await extend(client, session_id, endsAt=wish), 403, "FORBIDDEN")
    assert_refused(await extend(service.person(), session_id, endsAt=wish), 403, "NOT_PARTICIPANT")
    assert await present(service) == before
    [told] = [
        one for one in (await client.get("/notifications")).data["data"] if one["type"] == "session_extended"
    ]
    assert told["data"]["sessionId"] == session_id
    # The next is measured from the end that it has by now.
    assert (await extend(psychologist, session_id, endsAt=shift(ends_at, 8 * MINUTE))).status == 200
    assert (await psychologist.put(f"/chat/sessions/{session_id}/end")).status == 200
    assert_refused(
        await extend(psychologist, session_id, endsAt=shift(ends_at, 8 * MINUTE)), 400, "SESSION_ENDED"
    )


async def test_of_many_who_say_one_end_all_get_it_and_it_is_told_once(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    ends_at = (await client.session(session_id))["endsAt"]
    wish = shift(ends_at, 3 * MINUTE)
    replies = await asyncio.gather(*(extend(psychologist, session_id, endsAt=wish) for _ in range(8)))
    assert Counter(reply.status for reply in replies) == {200: 8}, [reply.json for reply in replies]
    assert {instant(reply.data["endsAt"]) for reply in replies} == {instant(ends_at) + 3 * MINUTE}
    types = Counter(one["type"] for one in (await client.get("/notifications")).data["data"])
    assert types["session_extended"] == 1


async def test_an_end_is_later_and_a_step_away_and_not_too_far(service: Service) -> None:
    client, psychologist, session_id = await opened(service, lasts=120)
    ends_at = (await client.session(session_id))["endsAt"]
    before = await present(service)
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "minutes"),
        ({"minutes": 1, "endsAt": shift(ends_at, MINUTE)}, "endsAt"),
        ({"endsAt": (instant(ends_at) + MINUTE).replace(tzinfo=None).isoformat()}, "endsAt"),
        ({"endsAt": "2030-01-15"}, "endsAt"),
        ({"endsAt": "nanti"}, "endsAt"),
        ({"endsAt": None}, "endsAt"),
        ({"endsAt": 1}, "endsAt"),
        ({"endsAt": "9999-12-31T23:59:59-14:00"}, "endsAt"),
        ({"endsAt": shift(ends_at, -MINUTE)}, "endsAt"),
        ({"endsAt": shift(ends_at, timedelta(seconds=90))}, "endsAt"),
        ({"endsAt": shift(ends_at, timedelta(milliseconds=1))}, "endsAt"),
        # It lasts two minutes, and may last four hours.
        ({"endsAt": shift(ends_at, 239 * MINUTE)}, "endsAt"),
        ({"endsAt": "9999-12-31T23:59:00+00:00"}, "endsAt"),
    ]
    for body, field in cases:
        refused = await extend(psychologist, session_id, **body)
        assert_refused(refused, 400, "VALIDATION_FAILED")
        assert set(refused.json["errors"]) == {field}, (body, refused.json)
    assert await present(service) == before
    assert (await extend(psychologist, session_id, endsAt=shift(ends_at, 238 * MINUTE))).status == 200


# ---- ending and cancelling --------------------------------------------------------------------------------


async def test_whoever_has_ended_a_session_may_say_so_again(service: Service) -> None:
    for ender in (0, 1):
        client, psychologist, session_id = await opened(service)
        people = client, psychologist
        path = f"/chat/sessions/{session_id}/end"
        ended = await people[ender].put(path)
        before = await present(service)
        for _ in range(2):
            again = await people[ender].put(path)
            assert (again.status, again.json) == (200, ended.json)
        other = await people[1 - ender].put(path)
        assert_refused(other, 409, "ILLEGAL_TRANSITION")
        assert "completed" in other.json["message"]
        assert_refused(await service.person(Role.SUPER_ADMIN).put(path), 403, "NOT_PARTICIPANT")
        assert_refused(await service.person().put(path), 403, "NOT_PARTICIPANT")
        assert await present(service) == before
        assert [one["message"] for one in await client.history(session_id)].count(CLOSING) == 1


@pytest.mark.wall_time
async def test_nobody_has_ended_what_ended_by_itself_or_was_called_off(service: Service) -> None:
    client, psychologist, session_id = await opened(service, lasts=2)
    await reaches(client, session_id, "completed")
    for person in (client, psychologist):
        assert_refused(await person.put(f"/chat/sessions/{session_id}/end"), 409, "ILLEGAL_TRANSITION")
    client, psychologist, session_id = await opened(service)
    counseling = (await client.session(session_id))["counselingId"]
    assert (await client.put(f"/counselings/{counseling}/cancel")).status == 200
    assert_refused(await client.put(f"/chat/sessions/{session_id}/end"), 409, "ILLEGAL_TRANSITION")


async def test_what_is_cancelled_may_be_cancelled_again(service: Service) -> None:
    # All read one clock, so that all answers are the same.
    psychologist = await service.psychologist(timezone="UTC")
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    for number, method in enumerate(("chat", "online") * 3):
        client = service.person()
        start = in_days(30 + number)
        booked = (await client.book(start, start + HOUR, method=method, timezone="UTC")).data
        path = f"/counselings/{booked['id']}/cancel"
        canceller = (client, psychologist, admin)[number // 2]
        cancelled = await canceller.put(path, {"reason": "Sakit"})
        assert cancelled.status == 200
        before = await present(service)
        for person in (client, psychologist, admin):
            for body in ({"reason": "Sakit"}, {"reason": "Lain"}, {}):
                again = await person.put(path, body)
                assert (again.status, again.json) == (200, cancelled.json)
        assert_refused(await service.person().put(path), 403, "FORBIDDEN")
        assert await present(service) == before
        kept = await client.get(f"/counselings/{booked['id']}")
        assert kept.data["cancelReason"] == "Sakit"


@pytest.mark.wall_time
async def test_what_the_service_has_called_off_or_is_over_is_not_cancelled_again(service: Service) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    booked = (await book_soon(client, 60, 60)).data
    session_id = UUID(booked["chatSession"]["sessionId"])
    for reason in ("missed", "over_limit"):
        await service.runtime.pool.execute(
            "WITH s AS (UPDATE chat_sessions SET status = 'cancelled', end_reason = $2,"
            " ended_at = now() WHERE id = $1)"
            " UPDATE counselings SET status = 'cancelled' WHERE id = $3",
            session_id,
            reason,
            UUID(booked["id"]),
        )
        service.runtime.engine.passivate(idle_seconds=-1)
        for person in (client, psychologist):
            assert_refused(await person.put(f"/counselings/{booked['id']}/cancel"), 409, "ILLEGAL_TRANSITION")
    client, psychologist, ended = await opened(service)
    counseling = (await client.session(ended))["counselingId"]
    assert (await client.put(f"/chat/sessions/{ended}/end")).status == 200
    refused = await client.put(f"/counselings/{counseling}/cancel")
    assert_refused(refused, 409, "ILLEGAL_TRANSITION")
    assert "completed" in refused.json["message"]

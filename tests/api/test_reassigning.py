"""Handing a counselling over: who may, to whom, who is told, and what the one who had it loses at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from rdchat.domain.person import Role
from tests.support.calendars import calendar_link, events_in, open_calendar
from tests.support.envelope import assert_refused
from tests.support.handing_over import REASSIGNED, hand_over, told
from tests.support.keys import reassign_row
from tests.support.pair import a_pair
from tests.support.service import Service, service_settings
from tests.support.sessions import instant, reaches
from tests.support.soon import book_at, book_soon, in_days, second_ahead
from tests.support.spans import on_the_clock
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from tests.support.service import Person, Reply

HOUR = timedelta(hours=1)
_AT_ONCE = """
SELECT count(*) FROM counselings WHERE psychologist_id = $1 AND starts_at <= $2 AND ends_at > $2
"""
_WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
both_ways = pytest.mark.parametrize("method", ["chat", "online"])


class Practice:
    """Two psychologists in different zones, those who may hand over, and one counselling of the first."""

    sari: Person
    rina: Person
    client: Person
    supervisor: Person
    admin: Person
    booking: dict[str, Any]

    @property
    def session_id(self) -> str:
        session_id: str = self.booking["chatSession"]["sessionId"]
        return session_id


async def practice(service: Service, method: str = "chat", **more: Any) -> Practice:
    made, organization = Practice(), uuid4()
    made.sari = await service.psychologist("Sari")
    made.rina = await service.psychologist("Rina", timezone="Asia/Makassar")
    made.client = service.person(organization_id=organization)
    made.supervisor = service.person(Role.SUPERVISOR, "Penyelia", organization_id=organization)
    made.admin = service.person(Role.SUPER_ADMIN, "Admin")
    start = in_days(30)
    asked = {"method": method, "psychologistId": str(made.sari.id), **more}
    booked = await made.client.book(start, start + HOUR, timezone="Asia/Jayapura", **asked)
    made.booking = booked.data
    return made


@both_ways
@pytest.mark.parametrize("by", ["sari", "supervisor", "admin"])
async def test_it_is_handed_over_and_all_others_are_told(service: Service, method: str, by: str) -> None:
    here = await practice(service, method)
    mover: Person = getattr(here, by)
    reply = await hand_over(mover, here.booking, here.rina)
    assert (reply.status, reply.json["message"]) == (200, "Counseling reassigned successfully")
    assert reply.data["psychologist"] == {"id": str(here.rina.id), "fullName": "Rina"}
    assert reply.data["scheduledAt"] == here.booking["scheduledAt"]
    path = f"/counselings/{here.booking['id']}"
    for person, zone in ((here.client, "Asia/Jayapura"), (here.rina, "Asia/Makassar")):
        shown = (await person.get(path)).data
        assert (shown["psychologist"]["fullName"], shown["timezone"]) == ("Rina", zone)
    for person, zone in (
        (here.client, "Asia/Jayapura"),
        (here.rina, "Asia/Makassar"),
        (here.sari, "Asia/Jakarta"),
    ):
        notifications = await told(person)
        assert len(notifications) == (person is not mover), person.caller.full_name
        for one in notifications:
            assert one["data"]["counselingId"] == here.booking["id"]
            assert one["data"]["timezone"] == zone
    assert [one["message"].split(":")[0] for one in await told(here.rina)] == [
        "Anda mengambil alih sesi konseling dengan Budi"
    ]
    assert ["Rina" in one["message"] for one in await told(here.client)] == [True]
    if method == "chat":
        lines = (await here.client.get(f"/chat/sessions/{here.session_id}/timeline")).data
        assert [(one["trigger"], one["actorId"]) for one in lines] == [
            ("book", str(here.client.id)),
            ("reassign", str(mover.id)),
        ]
    # To the one who has it, nothing happens, and no one is told again.
    for person in (here.supervisor, here.admin):
        again = await hand_over(person, here.booking, here.rina)
        assert (again.status, again.data["psychologist"]["fullName"]) == (200, "Rina")
    assert len(await told(here.client)) == 1


async def test_calendars_follow_a_hand_over(service: Service) -> None:
    here = await practice(service, "online")
    links = {person: await calendar_link(person) for person in (here.client, here.sari, here.rina)}
    assert (await hand_over(here.admin, here.booking, here.rina)).status == 200
    shown = {person: events_in((await open_calendar(service, url)).json) for person, url in links.items()}
    assert [len(shown[person]) for person in links] == [1, 0, 1]
    for person in (here.client, here.rina):
        (event,) = shown[person]
        assert event["SEQUENCE"] == "1"
    assert shown[here.client] == shown[here.rina]


async def while_handed_over(service: Service, here: Practice, work: Coroutine[Any, Any, Reply]) -> Reply:
    """Let something begin before a hand-over of a counselling without chat, and go on after it."""
    async with service.runtime.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM people WHERE id = $1 FOR NO KEY UPDATE", here.client.id)
        task = asyncio.create_task(work)

        async def waits() -> bool:
            return bool(await service.runtime.pool.fetchval(_WAITING))

        await until(waits, 10)
        await reassign_row(connection, UUID(here.booking["id"]), here.rina.id)
    return await task


async def test_who_cancels_meanwhile_tells_the_one_who_has_it_now(service: Service) -> None:
    here = await practice(service, "online")
    reply = await while_handed_over(
        service, here, here.client.put(f"/counselings/{here.booking['id']}/cancel", {"reason": "Saya sakit"})
    )
    assert reply.status == 200
    assert await told(here.sari, "session_cancelled") == []
    assert [one["data"]["reason"] for one in await told(here.rina, "session_cancelled")] == ["Saya sakit"]


@pytest.mark.parametrize("what", ["cancel", "reschedule"])
async def test_who_has_it_no_more_neither_cancels_nor_moves_it(service: Service, what: str) -> None:
    here = await practice(service, "online")
    body: dict[str, Any] = {}
    if what == "reschedule":
        start = instant(here.booking["scheduledAt"]) + HOUR
        body = {"startsAt": start.isoformat(), "endsAt": (start + HOUR).isoformat()}
    path = f"/counselings/{here.booking['id']}/{what}"
    assert_refused(await while_handed_over(service, here, here.sari.put(path, body)), 403, "FORBIDDEN")
    shown = (await here.client.get(f"/counselings/{here.booking['id']}")).data
    assert (shown["status"], shown["scheduledAt"]) == ("pending", here.booking["scheduledAt"])
    for person in (here.client, here.rina):
        assert await told(person, "session_cancelled") == await told(person, "session_rescheduled") == []


@both_ways
async def test_the_one_who_had_it_takes_no_part_any_more(service: Service, method: str) -> None:
    here = await practice(service, method)
    assert (await hand_over(here.sari, here.booking, here.rina)).status == 200
    path = f"/counselings/{here.booking['id']}"
    for refused in (
        await here.sari.get(path),
        await here.sari.put(f"{path}/cancel"),
        await hand_over(here.sari, here.booking, here.sari),
        await hand_over(here.sari, here.booking, here.rina),
    ):
        assert_refused(refused, 403, "FORBIDDEN")
    assert (await here.sari.get("/counselings")).data["data"] == []
    assert len((await here.rina.get("/counselings")).data["data"]) == 1
    if method == "chat":
        for refused in (
            await here.sari.get(f"/chat/sessions/{here.session_id}"),
            await here.sari.get("/chat/ably-token", sessionId=here.session_id),
            await here.sari.get("/chat/history", sessionId=here.session_id),
            await here.sari.say(here.session_id, "Halo"),
        ):
            assert_refused(refused, 403, "NOT_PARTICIPANT")
        assert (await here.rina.get("/chat/ably-token", sessionId=here.session_id)).status == 200
    # What it took of their time is theirs again: and the new one's is taken.
    assert (await hand_over(here.rina, here.booking, here.sari)).status == 200
    assert (await here.sari.get(path)).status == 200
    assert_refused(await here.rina.get(path), 403, "FORBIDDEN")


@both_ways
async def test_what_is_refused_changes_nothing(service: Service, method: str) -> None:
    here = await practice(service, method)
    stranger, other_supervisor = service.person(), service.person(Role.SUPERVISOR, organization_id=uuid4())
    of_none = service.person(Role.SUPERVISOR)
    for person in (here.client, stranger, here.rina, other_supervisor, of_none):
        assert_refused(await hand_over(person, here.booking, here.rina), 403, "FORBIDDEN")
    nowhere = {"id": str(uuid4())}
    assert_refused(await hand_over(here.admin, nowhere, here.rina), 404, "NOT_FOUND")
    away = await service.psychologist("Dewi")
    await here.admin.put(f"/psychologists/{away.id}", {"isActive": False})
    for person, to in (
        (here.sari, here.sari),
        (here.sari, here.client),
        (here.admin, stranger),
        (here.admin, here.admin),
        (here.supervisor, uuid4()),
        (here.supervisor, away),
    ):
        refused = await hand_over(person, here.booking, to)
        assert_refused(refused, 400, "VALIDATION_FAILED")
        assert set(refused.json["errors"]) == {"psychologistId"}
    right = {"psychologistId": str(here.rina.id)}
    for body in ({}, {"psychologistId": None}, {"psychologistId": "Rina"}, {**right, "unknown": 1}):
        refused = await here.admin.put(f"/counselings/{here.booking['id']}/reassign", body)
        assert_refused(refused, 400, "VALIDATION_FAILED")
    # Full then, or not at work.
    start = in_days(30)
    for _ in range(5):
        booked = await service.person().book(
            start + HOUR / 2, start + 2 * HOUR, psychologistId=str(here.rina.id)
        )
        assert booked.status == 201
    assert_refused(await hand_over(here.sari, here.booking, here.rina), 409, "PSYCHOLOGIST_LIMIT")
    elsewhere = await service.psychologist("Elok")
    hours = {"exceptions": [{"date": f"{start:%Y-%m-%d}", "isAvailable": False}]}
    assert (await elsewhere.put(f"/psychologists/{elsewhere.id}/availability", hours)).status == 200
    assert_refused(await hand_over(here.sari, here.booking, elsewhere), 409, "NO_PSYCHOLOGIST")
    shown = (await here.sari.get(f"/counselings/{here.booking['id']}")).data
    assert shown["psychologist"]["fullName"] == "Sari"
    for person in (here.client, here.sari, here.rina, elsewhere):
        assert await told(person) == []


async def test_a_psychologist_who_is_the_client_gets_it_from_no_one(service: Service) -> None:
    """An administrator books for themselves, and becomes a psychologist later."""
    sari = await service.psychologist("Sari")
    admin, both = service.person(Role.SUPER_ADMIN, "Admin"), service.person(Role.SUPER_ADMIN, "Keduanya")
    booking = (await both.book(in_days(30), in_days(30) + HOUR)).data
    assert (await admin.put(f"/psychologists/{both.id}", {"fullName": "Keduanya"})).status == 201
    for person in (sari, admin, both):
        assert_refused(await hand_over(person, booking, both), 400, "VALIDATION_FAILED")


@pytest.mark.wall_time
@both_ways
async def test_only_what_has_not_begun_is_handed_over(service: Service, method: str) -> None:
    here = await practice(service, method)
    client = service.person()
    asked = {"method": method, "psychologistId": str(here.sari.id)}
    open_one = (await book_soon(client, 0.5, 60, **asked)).data
    over = (await book_soon(service.person(), 86_400, 60, **asked)).data
    assert (await here.sari.put(f"/counselings/{over['id']}/cancel")).status == 200

    async def has_begun() -> bool:
        return bool((await client.get(f"/counselings/{open_one['id']}")).data["status"] == "active")

    await until(has_begun)
    for booking, status in ((open_one, "active"), (over, "cancelled")):
        for person in (here.sari, here.admin):
            refused = await hand_over(person, booking, here.rina)
            assert_refused(refused, 409, "ILLEGAL_TRANSITION")
            assert status in refused.json["message"]
    if method == "chat":
        await client.put(f"/chat/sessions/{open_one['chatSession']['sessionId']}/end")
        assert_refused(await hand_over(here.admin, open_one, here.rina), 409, "ILLEGAL_TRANSITION")


@pytest.mark.wall_time
async def test_what_was_sent_stays_the_formers_and_the_rest_comes_from_the_new_one(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """Handed over between the first message and the start, through a replica that has not seen it yet."""
    async with a_pair(tmp_path, database_url=database_url, redis_url=redis_url) as pair:
        service = pair.one
        sari, rina = await service.psychologist("Sari"), await service.psychologist("Rina")
        client = service.person()
        start = second_ahead(2.5)
        booking = (await book_at(client, start, 60, psychologistId=str(sari.id))).data
        session_id = booking["chatSession"]["sessionId"]

        async def announced() -> bool:
            return len(await client.history(session_id)) == 1

        await until(announced)
        reply = await hand_over(pair.elsewhere(sari), booking, rina)
        assert reply.status == 200, reply.json
        session = await reaches(client, session_id, "active")
        assert session["psychologist"]["fullName"] == "Rina"
        assert instant(session["startedAt"]) - start < timedelta(seconds=1)
        assert (await rina.say(session_id, "Saya Rina")).status == 201
        assert_refused(await sari.say(session_id, "Saya Sari"), 403, "NOT_PARTICIPANT")
        for person in (client, rina):
            shown = await person.history(session_id)
            assert [(one["sender"]["fullName"], one["sender"]["role"]) for one in shown] == [
                ("Sari", "psychologist"),
                ("Rina", "psychologist"),
                ("Rina", "psychologist"),
            ]
        page = (await client.get(f"/chat/sessions/{session_id}/transcript", format="txt")).json
        assert page.index("Sari") < page.index("Saya Rina")
        kinds = [one["type"] for one in (await rina.get("/notifications")).data["data"]]
        assert sorted(kinds) == ["chat_enabled", REASSIGNED]
        assert await told(sari, "chat_enabled") == []
        assert (await client.put(f"/chat/sessions/{session_id}/end")).data["outcome"] == "held"


async def test_many_at_once_keep_the_limits(service: Service) -> None:
    """Ten counsellings are handed over to one psychologist, while others book the same time with them."""
    sari, rina = await service.psychologist("Sari"), await service.psychologist("Rina")
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    start = in_days(30)
    clients = [service.person() for _ in range(10)]
    bookings = []
    for place, client in enumerate(clients):
        begins = start + HOUR * (place // 5)
        booked = await client.book(begins, begins + HOUR, psychologistId=str(sari.id))
        bookings.append(booked.data)
    newcomers = [service.person() for _ in range(5)]
    replies = await asyncio.gather(
        *(hand_over(admin if place % 2 else sari, one, rina) for place, one in enumerate(bookings)),
        *(one.book(start, start + 2 * HOUR, psychologistId=str(rina.id)) for one in newcomers),
    )
    refused = [one for one in replies if one.status >= 400]
    assert {(one.status, one.code) for one in refused} == {(409, "PSYCHOLOGIST_LIMIT")}
    for hour in range(2):
        at = start + hour * HOUR
        assert await service.runtime.pool.fetchval(_AT_ONCE, rina.id, at) == 5
    # What a counselling and its session say is the same.
    assert not await service.runtime.pool.fetchval(
        "SELECT count(*) FROM counselings c JOIN chat_sessions s ON s.counseling_id = c.id "
        "WHERE (c.psychologist_id, c.starts_at) <> (s.psychologist_id, s.starts_at)"
    )


@both_ways
async def test_of_several_at_once_one_is_the_last(service: Service, method: str) -> None:
    """Handed over to three, moved and cancelled at the same time: what is told fits what is."""
    here = await practice(service, method)
    others = [here.rina, await service.psychologist("Dewi"), await service.psychologist("Elok")]
    path = f"/counselings/{here.booking['id']}"
    times = {"date": f"{in_days(31):%Y-%m-%d}", "startTime": "12:00", "endTime": "13:00"}
    replies = await asyncio.gather(
        *(hand_over(here.admin, here.booking, other) for other in others),
        *(hand_over(here.sari, here.booking, other) for other in others),
        here.client.put(f"{path}/reschedule", times),
    )
    assert {one.status for one in replies} <= {200, 403}
    shown = (await here.client.get(path)).data
    last = next(one for one in others if str(one.id) == shown["psychologist"]["id"])
    assert (await last.get(path)).status == 200
    assert shown["date"] == times["date"]
    for one in others:
        if one is not last:
            assert_refused(await one.get(path), 403, "FORBIDDEN")
    assert (await here.client.put(f"{path}/cancel")).status == 200


@both_ways
async def test_the_same_at_once_is_done_once(service: Service, method: str) -> None:
    here = await practice(service, method)
    replies = await asyncio.gather(
        *(hand_over(person, here.booking, here.rina) for person in (here.admin, here.supervisor) * 3)
    )
    assert {one.status for one in replies} == {200}
    for person in (here.client, here.sari, here.rina):
        assert len(await told(person)) == 1


@both_ways
async def test_a_move_that_waited_for_a_hand_over_is_held_to_the_new_psychologist(
    service: Service, method: str
) -> None:
    """Both wait for the client's row, in whichever order: one of them finds that there is no room."""
    here = await practice(service, method)
    later = in_days(31)
    for _ in range(5):
        booked = await service.person().book(later, later + HOUR, psychologistId=str(here.rina.id))
        assert booked.status == 201
    times = on_the_clock(later, later + HOUR, "UTC")
    async with service.runtime.pool.acquire() as held:
        lock = held.transaction()
        await lock.start()
        await held.execute("SELECT 1 FROM people WHERE id = $1 FOR UPDATE", here.client.id)
        path = f"/counselings/{here.booking['id']}/reschedule"
        moving = asyncio.create_task(here.sari.put(path, times))

        async def waiting(number: int) -> bool:
            return bool(await service.runtime.pool.fetchval(_WAITING) >= number)

        await until(lambda: waiting(1))
        handing = asyncio.create_task(hand_over(here.admin, here.booking, here.rina))

        async def waits_or_is_done() -> bool:
            return handing.done() or await waiting(2)

        await until(waits_or_is_done)
        await lock.rollback()
        replies = [await moving, await handing]
    assert sorted(one.status for one in replies) == [200, 409]
    assert [one.code for one in replies if one.status == 409] == ["PSYCHOLOGIST_LIMIT"]
    assert await service.runtime.pool.fetchval(_AT_ONCE, here.rina.id, later) == 5


@pytest.mark.parametrize("method", ["chat", "online"])
async def test_a_key_makes_it_once(service: Service, method: str) -> None:
    here = await practice(service, method)
    headers = {"Idempotency-Key": "serah-terima-1"}
    first = await hand_over(here.sari, here.booking, here.rina, **headers)
    again = await hand_over(here.sari, here.booking, here.rina, **headers)
    assert (first.status, again.status) == (200, 200)
    assert again.headers["Idempotency-Replayed"] == "true"
    # They may not see it any more: they are answered what they were answered.
    assert again.data == first.data
    other = await hand_over(here.sari, here.booking, here.client, **headers)
    assert_refused(other, 422, "IDEMPOTENCY_MISMATCH")
    assert len(await told(here.client)) == 1
    back = await hand_over(here.admin, here.booking, here.sari)
    assert back.status == 200
    shown = await hand_over(here.sari, here.booking, here.rina, **headers)
    assert shown.data["psychologist"]["fullName"] == "Sari", "as it is by now"


@pytest.mark.wall_time
async def test_who_has_it_then_is_reminded(tmp_path: Path, database_url: str, redis_url: str) -> None:
    settings = service_settings(tmp_path, reminders=(timedelta(seconds=2),))
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        sari, rina = await service.psychologist("Sari"), await service.psychologist("Rina")
        client = service.person()
        booking = (await book_soon(client, 4, 60, method="online", psychologistId=str(sari.id))).data
        assert (await hand_over(sari, booking, rina)).status == 200

        async def reminded() -> bool:
            return len(await told(rina, "reminder")) == len(await told(client, "reminder")) == 1

        await until(reminded)
        assert await told(sari, "reminder") == []

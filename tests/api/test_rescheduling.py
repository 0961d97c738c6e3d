"""Moving a counselling: who may, where to, what moves with it, and what happens when others act meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from rdchat.domain.person import Role
from tests.support.calendars import without_calendar
from tests.support.envelope import assert_refused
from tests.support.pair import a_pair
from tests.support.service import whole_second
from tests.support.sessions import instant, opened, reaches
from tests.support.soon import book_at, in_days, second_ahead, sunday
from tests.support.spans import on_the_clock
from tests.support.waiting import until
from tests.support.world import at_instant

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.service import Person, Reply, Service


HOUR = timedelta(hours=1)


async def move(
    person: Person, booking: dict[str, Any], starts_at: datetime, lasts: timedelta = HOUR, **more: Any
) -> Reply:
    """Move to another range; `zone`, and what else the request has, or None to leave it out."""
    body = on_the_clock(starts_at, starts_at + lasts, more.pop("zone", None)) | more
    body = {name: value for name, value in body.items() if value is not None}
    return await person.put(f"/counselings/{booking['id']}/reschedule", body)


def session_of(booking: dict[str, Any]) -> str:
    session_id: str = booking["chatSession"]["sessionId"]
    return session_id


@pytest.mark.wall_time
async def test_whoever_takes_part_and_administrators_move_it_and_the_others_are_told(
    service: Service,
) -> None:
    # Both read the clock of one zone here; what they read in two is in test_two_zones.py.
    psychologist = await service.psychologist(timezone="UTC")
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    client = service.person()
    start = in_days(30)
    booking = (await client.book(start, start + HOUR, timezone="UTC")).data
    session_id = session_of(booking)
    before = await client.session(session_id)
    told: dict[str, int] = {"client": 0, "psychologist": 0}
    for days, mover in ((31, client), (32, psychologist), (33, admin)):
        tz = in_days(days, time(9, 30))
        reply = await move(mover, booking, tz, 2 * HOUR)
        assert (reply.status, reply.json["message"]) == (200, "Counseling rescheduled successfully")
        moved = reply.data
        assert (instant(moved["scheduledAt"]), instant(moved["endsAt"])) == (tz, tz + 2 * HOUR)
        assert (moved["date"], moved["startTime"], moved["endTime"]) == (
            f"{tz:%Y-%m-%d}",
            "09:30",
            "11:30",
        ), moved
        assert moved["psychologist"]["id"] == str(psychologist.id)
        for person in (client, psychologist, admin):
            assert (await person.get(f"/counselings/{booking['id']}")).data.items() >= moved.items()
        session = await client.session(session_id)
        assert (session["scheduledAt"], session["endsAt"]) == (moved["scheduledAt"], moved["endsAt"])
        assert session["status"] == "pending"
        assert [one["kind"] for one in session["automations"]] == [
            one["kind"] for one in before["automations"]
        ]
        assert [instant(one["dueAt"]) - tz for one in session["automations"]] == [
            timedelta(seconds=-1),
            timedelta(0),
            2 * HOUR - timedelta(seconds=1),
            2 * HOUR,
        ]
        assert {one["status"] for one in session["automations"]} == {"scheduled"}
        for name, person in (("client", client), ("psychologist", psychologist)):
            told[name] += person is not mover
            found = (await person.get("/notifications")).data["data"]
            kinds = Counter(one["type"] for one in found)
            assert kinds["session_rescheduled"] == told[name], name
    lines = (await client.get(f"/chat/sessions/{session_id}/timeline")).data
    assert [line["actorId"] for line in lines if line["trigger"] == "reschedule"] == [
        str(person.id) for person in (client, psychologist, admin)
    ]


async def test_nobody_else_moves_it_and_nothing_is_moved_by_being_refused(service: Service) -> None:
    psychologist = await service.psychologist()
    client, stranger = service.person(), service.person()
    other = await service.psychologist("Rina")
    start = in_days(30)
    booking = (await client.book(start, start + HOUR, psychologistId=str(psychologist.id))).data
    for person in (stranger, other):
        assert_refused(await move(person, booking, in_days(31)), 403, "FORBIDDEN")
    nowhere = {"id": "00000000-0000-4000-8000-000000000000"}
    assert_refused(await move(client, nowhere, in_days(31)), 404, "NOT_FOUND")
    gap = sunday(datetime.now(UTC).year + 1, 3, -1)
    berlin = "Europe/Berlin"
    for body, field in (
        ({"date": "2020-01-01"}, "startTime"),
        ({"timezone": "Asia/Atlantis"}, "timezone"),
        ({"timezone": berlin, "date": f"{gap}", "startTime": "02:30", "endTime": "04:00"}, "startTime"),
        ({"endTime": "11:00"}, "endTime"),
        ({"endTime": "12:00:01"}, "endTime"),
        ({"endTime": "23:00"}, "endTime"),
        ({"date": "9999-12-31"}, "date"),
        ({"date": "30-01-2030"}, "date"),
        ({"startTime": "25:00"}, "startTime"),
        ({"psychologistId": str(other.id)}, "psychologistId"),
        ({"timezone": 7}, "timezone"),
    ):
        reply = await move(client, booking, in_days(31), **body)
        assert_refused(reply, 400, "VALIDATION_FAILED")
        assert set(reply.json["errors"]) == {field}, (body, reply.json)
    assert (await client.get(f"/counselings/{booking['id']}")).data.items() >= without_calendar(
        booking
    ).items()
    assert (await psychologist.get("/notifications")).data["unreadCount"] == 1, "the booking's"


@pytest.mark.wall_time
async def test_only_what_has_not_begun_is_moved(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    counseling = {"id": (await client.session(session_id))["counselingId"]}
    refused = await move(client, counseling, in_days(5))
    assert_refused(refused, 409, "ILLEGAL_TRANSITION")
    assert "active" in refused.json["message"]
    await client.put(f"/chat/sessions/{session_id}/end")
    assert_refused(await move(psychologist, counseling, in_days(5)), 409, "ILLEGAL_TRANSITION")
    for method in ("chat", "online"):
        booking = (await client.book(in_days(9), in_days(9) + HOUR, method=method)).data
        await client.put(f"/counselings/{booking['id']}/cancel")
        assert_refused(await move(client, booking, in_days(5)), 409, "ILLEGAL_TRANSITION")


@pytest.mark.wall_time
async def test_a_counselling_without_chat_is_moved_until_it_begins(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    starts_at = whole_second(1.5)
    booking = (await book_at(client, starts_at, 3600, method="online")).data
    moved = (await move(client, booking, in_days(5))).data
    assert instant(moved["scheduledAt"]) == in_days(5)
    assert moved["chatSession"] is None
    starts_at = whole_second(1)
    back = await move(client, booking, starts_at, HOUR)
    assert back.status == 200, back.json
    await at_instant(starts_at)
    assert_refused(await move(client, booking, in_days(5)), 409, "ILLEGAL_TRANSITION")


async def test_it_is_not_counted_against_itself_and_all_others_are(service: Service) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    start = in_days(20)
    booking = (await client.book(start, start + HOUR)).data
    # Over its own old range, to and fro, and to where it is.
    for minutes in (15, -15, 0, 0):
        assert (await move(client, booking, start + timedelta(minutes=minutes))).status == 200
    later = (await client.book(start + 2 * HOUR, start + 3 * HOUR)).data
    assert_refused(await move(client, later, start + HOUR / 2), 409, "CLIENT_LIMIT")
    assert_refused(await move(psychologist, booking, start + 1.5 * HOUR), 409, "CLIENT_LIMIT")
    assert (await move(client, later, start + HOUR)).status == 200, "one after the other"
    full = in_days(21)
    for _ in range(5):
        assert (await service.person().book(full, full + HOUR)).status == 201
    assert_refused(await move(client, booking, full + HOUR / 2), 409, "PSYCHOLOGIST_LIMIT")
    assert (await move(client, booking, full + HOUR)).status == 200
    hours = {"timezone": "UTC", "weekly": [{"weekday": 1, "startTime": "01:00", "endTime": "02:00"}]}
    reply = await psychologist.put(f"/psychologists/{psychologist.id}/availability", hours)
    assert reply.status == 200, reply.json
    assert_refused(await move(client, booking, in_days(23)), 409, "NO_PSYCHOLOGIST")


@pytest.mark.wall_time
async def test_a_move_is_said_in_the_own_zone_or_in_another_and_changes_none(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    start = in_days(10, time(9), "Asia/Makassar")
    booking = (await client.book(start, start + HOUR, timezone="Asia/Makassar")).data
    moved = (await move(client, booking, start + 2 * HOUR, zone="Asia/Makassar", timezone=None)).data
    assert instant(moved["scheduledAt"]) == start + 2 * HOUR
    assert moved["timezone"] == "Asia/Makassar"
    moved = (await move(client, booking, start + HOUR, zone="America/Lima")).data
    assert (instant(moved["scheduledAt"]), moved["timezone"]) == (start + HOUR, "Asia/Makassar")


@pytest.mark.wall_time
async def test_the_former_plan_does_nothing_and_the_new_one_is_on_time(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """From near to far and back, also within the worker's look-ahead, through another replica."""
    async with a_pair(tmp_path, database_url=database_url, redis_url=redis_url) as pair:
        await pair.one.psychologist()
        near, far, claimed = (pair.one.person() for _ in range(3))
        first = second_ahead(2.5)
        bookings = {}
        for person in (near, claimed):
            bookings[person.id] = (await book_at(person, first, 4)).data
        bookings[far.id] = (await far.book(in_days(40), in_days(40) + HOUR)).data
        # Claimed by a worker already: its start is less than the look-ahead away.
        await at_instant(first, offset=-1)
        assert (await move(pair.elsewhere(claimed), bookings[claimed.id], in_days(3))).status == 200
        soon = second_ahead(2)
        reply = await move(pair.elsewhere(near), bookings[near.id], soon, timedelta(seconds=3))
        assert reply.status == 200, reply.json
        reply = await move(far, bookings[far.id], soon, timedelta(seconds=3))
        assert reply.status == 200, reply.json
        for person in (near, far):
            session_id = session_of(bookings[person.id])
            session = await reaches(person, session_id, "completed", 8)
            assert instant(session["scheduledAt"]) == soon
            for one in session["automations"]:
                assert (one["status"], one["latenessMs"] < 500) == ("done", True), session["automations"]
            assert instant(session["startedAt"]) >= soon
            channel = f"chat:session:{session_id}"

            def all_published(channel: str = channel) -> bool:
                return len(pair.world.events(channel, "session-status")) == 4

            await until(all_published)
            statuses = [one["status"] for one in pair.world.events(channel, "session-status")]
            assert statuses == ["rescheduled", "chat_enabled", "ending_soon", "completed"]
        session_id = session_of(bookings[claimed.id])
        session = await claimed.session(session_id)
        assert (session["status"], session["startedAt"]) == ("pending", None)
        assert {one["status"] for one in session["automations"]} == {"scheduled"}
        moved = pair.world.events(f"chat:session:{session_id}", "session-status")
        assert [one["status"] for one in moved] == ["rescheduled"]
        assert moved[0]["endsAt"] == session["endsAt"]
        await until(lambda: _queue_holds_none_of(pair, [bookings[near.id], bookings[far.id]]))


async def _queue_holds_none_of(pair: Any, bookings: list[dict[str, Any]]) -> bool:
    gone = [UUID(session_of(one)) for one in bookings]
    rows = await pair.world.fetch(
        "SELECT 1 FROM automations WHERE session_id = ANY($1) AND status = 'scheduled'", gone
    )
    return not rows and await pair.world.in_queue() == 0


@pytest.mark.wall_time
async def test_at_the_start_it_is_either_moved_or_opened(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    async with a_pair(tmp_path, database_url=database_url, redis_url=redis_url) as pair:
        # Twenty bookings are made before it.
        starts_at = whole_second(5)
        people = []
        for _ in range(4):
            psychologist = await pair.one.psychologist()
            for _ in range(5):
                client = pair.one.person()
                reply = await book_at(client, starts_at, 30, psychologistId=str(psychologist.id))
                people.append((client, reply.data))

        async def try_to(number: int, client: Person, booking: dict[str, Any]) -> Reply:
            await at_instant(starts_at, offset=(number - 10) / 1000)
            who = client if number % 2 else pair.elsewhere(client)
            return await move(who, booking, in_days(3))

        replies = await asyncio.gather(*(try_to(n, *one) for n, one in enumerate(people)))
        assert {reply.status for reply in replies} <= {200, 409}
        for (client, booking), reply in zip(people, replies, strict=True):
            counseling = (await client.get(f"/counselings/{booking['id']}")).data
            if reply.status == 200:
                session = await client.session(session_of(booking))
                assert session["status"] == "pending"
                assert {one["status"] for one in session["automations"]} == {"scheduled"}
            else:
                assert reply.code == "ILLEGAL_TRANSITION"
                session = await reaches(client, session_of(booking), "active")
                assert instant(session["scheduledAt"]) == starts_at
            assert counseling["scheduledAt"] == session["scheduledAt"]
            assert counseling["endsAt"] == session["endsAt"]


@pytest.mark.wall_time
async def test_one_whose_start_is_overdue_moves_as_a_whole(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    roles = frozenset({"api", "relay"})
    async with a_pair(tmp_path, database_url=database_url, redis_url=redis_url, roles=roles) as pair:
        await pair.one.psychologist()
        client = pair.one.person()
        starts_at = whole_second(0.5)
        booking = (await book_at(client, starts_at, 60)).data
        await at_instant(starts_at, offset=0.01)
        moved = await move(client, booking, in_days(3))
        assert moved.status == 200, moved.json
        session = await client.session(session_of(booking))
        assert moved.data["scheduledAt"] == session["scheduledAt"]
        assert instant(session["scheduledAt"]) == in_days(3)


async def test_against_a_cancellation_and_a_second_move_one_order_holds(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    async with a_pair(tmp_path, database_url=database_url, redis_url=redis_url) as pair:
        psychologist = await pair.one.psychologist()
        for day in range(20, 26):
            client = pair.one.person()
            booking = (await client.book(in_days(day), in_days(day) + HOUR)).data
            elsewhere = pair.elsewhere(client)
            replies = await asyncio.gather(
                move(client, booking, in_days(day, time(14))),
                move(pair.elsewhere(psychologist), booking, in_days(day, time(16))),
                elsewhere.put(f"/counselings/{booking['id']}/cancel"),
                move(elsewhere, booking, in_days(day, time(18))),
            )
            assert replies[2].status == 200, replies[2].json
            assert {reply.status for reply in replies} <= {200, 409}
            moves = [one for n, one in enumerate(replies) if n != 2]
            assert {one.code for one in moves if one.status == 409} <= {"ILLEGAL_TRANSITION"}
            session = await client.session(session_of(booking))
            counseling = (await client.get(f"/counselings/{booking['id']}")).data
            assert (session["status"], counseling["status"]) == ("cancelled", "cancelled")
            assert counseling["scheduledAt"] == session["scheduledAt"]
            assert {one["status"] for one in session["automations"]} == {"cancelled"}
            left = await pair.world.fetch(
                "SELECT 1 FROM automations WHERE session_id = $1 AND status = 'scheduled'",
                UUID(session["id"]),
            )
            assert not left


async def test_many_who_want_the_last_place_get_exactly_what_there_is(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """Bookings and moves, through two replicas; and one client who wants to be twice at one time."""
    async with a_pair(tmp_path, database_url=database_url, redis_url=redis_url) as pair:
        psychologist = await pair.one.psychologist()
        only = {"psychologistId": str(psychologist.id)}
        wanted = in_days(30)
        movers = []
        for number in range(10):
            client = pair.one.person()
            at = in_days(10 + number)
            movers.append((client, (await client.book(at, at + HOUR, **only)).data))
        replies = await asyncio.gather(
            *(
                move(client if n % 2 else pair.elsewhere(client), booking, wanted)
                for n, (client, booking) in enumerate(movers)
            ),
            *(
                (pair.one if n % 2 else pair.other).person().book(wanted, wanted + HOUR, **only)
                for n in range(10)
            ),
        )
        assert Counter(reply.status for reply in replies) in (
            Counter({409: 15, 200: won, 201: 5 - won}) for won in range(6)
        )
        assert {reply.code for reply in replies if reply.status == 409} == {"PSYCHOLOGIST_LIMIT"}
        rows = await pair.world.fetch(
            "SELECT count(*) AS n FROM counselings WHERE starts_at = $1 AND status = 'pending'", wanted
        )
        assert rows[0]["n"] == 5

        client = pair.one.person()
        first, second = [(await client.book(in_days(day), in_days(day) + HOUR)).data for day in (40, 41)]
        tz = in_days(42)
        three = await asyncio.gather(
            move(client, first, tz),
            move(pair.elsewhere(client), second, tz + HOUR / 2),
            client.book(tz + HOUR / 4, tz + HOUR),
        )
        assert sorted(reply.status for reply in three)[1:] == [409, 409]
        assert {reply.code for reply in three if reply.status == 409} == {"CLIENT_LIMIT"}


@pytest.mark.wall_time
async def test_a_token_follows_and_who_still_listens_has_come(service: Service) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    starts_at = whole_second(20)
    booking = (await book_at(client, starts_at, 10)).data
    session_id = session_of(booking)
    early = (await client.get("/chat/ably-token", sessionId=session_id)).data
    assert instant(early["expiresAt"]) == starts_at + timedelta(seconds=10, minutes=5)
    soon = whole_second(1.2)
    moved = await move(psychologist, booking, soon, timedelta(seconds=2))
    assert moved.status == 200, moved.json
    session = await reaches(client, session_id, "completed")
    assert session["outcome"] == "psychologist_absent", "the client's token serves at the new time as well"


async def test_the_others_are_told_of_a_move_in_their_own_zone(service: Service) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    start = in_days(10, time(9), "Asia/Makassar")
    for method in ("chat", "online"):
        booking = (await client.book(start, start + HOUR, timezone="Asia/Makassar", method=method)).data
        assert (await move(client, booking, start + 2 * HOUR, zone="America/Lima")).status == 200
        told = (await psychologist.get("/notifications")).data["data"][0]
        assert told["type"] == "session_rescheduled"
        assert "10:00 (Asia/Jakarta)" in told["message"], method
        assert (await client.put(f"/counselings/{booking['id']}/cancel")).status == 200


async def test_of_ten_moves_of_a_client_who_may_have_two_at_once_exactly_two_succeed(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """No constraint of the database helps here, and the psychologists differ: the client's row is locked."""
    stores = {"database_url": database_url, "redis_url": redis_url}
    async with a_pair(tmp_path, **stores, max_active_per_client=2) as pair:
        client = pair.one.person()
        bookings = []
        for number in range(10):
            psychologist, at = await pair.one.psychologist(), in_days(10 + number)
            only = {"psychologistId": str(psychologist.id)}
            bookings.append((await client.book(at, at + HOUR, **only)).data)
        moved_to = in_days(30)
        replies = await asyncio.gather(
            *(
                move((client, pair.elsewhere(client))[n % 2], booking, moved_to + timedelta(minutes=n))
                for n, booking in enumerate(bookings)
            )
        )
        assert Counter(reply.status for reply in replies) == {200: 2, 409: 8}
        assert {reply.code for reply in replies if reply.status == 409} == {"CLIENT_LIMIT"}
        [row] = await pair.world.fetch(
            "SELECT count(*) AS n FROM counselings WHERE starts_at >= $1 AND status = 'pending'", moved_to
        )
        assert row["n"] == 2

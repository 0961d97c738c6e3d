"""Rules that bind clients: how early they book, move and cancel, and how many counsellings lie ahead."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from rdchat.common.clock import SystemClock, iso
from rdchat.domain.person import Role
from tests.support.calendars import without_calendar
from tests.support.envelope import assert_refused
from tests.support.pair import a_pair
from tests.support.service import Service, service_settings
from tests.support.sessions import opened
from tests.support.soon import in_days
from tests.support.spans import on_the_clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.service import Person, Reply

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
NOTICE, DEADLINE = timedelta(hours=2), timedelta(hours=24)
CLIENTS = (Role.CLIENT, Role.STUDENT, Role.EMPLOYEE)
METHODS = ("chat", "online")
MANY = "You have too many counselings ahead"


class StoppedClock(SystemClock):
    """A clock that stands still at a whole second, so that a limit can be met exactly. Timers go on."""

    def __init__(self) -> None:
        self.stands_at = datetime.now(UTC).replace(microsecond=0)

    def now(self) -> datetime:
        return self.stands_at


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
async def ruled(
    tmp_path: Path, database_url: str, redis_url: str, clock: StoppedClock
) -> AsyncIterator[Service]:
    """A replica with a notice and a deadline, at which no time passes."""
    settings = service_settings(tmp_path, booking_notice=NOTICE, cancel_deadline=DEADLINE)
    async with Service.running(
        settings, database_url=database_url, redis_url=redis_url, clock=clock
    ) as running:
        yield running


@pytest.fixture
async def limited(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Service]:
    """A replica at which three counsellings may lie ahead of a client."""
    settings = service_settings(tmp_path, max_pending_per_client=3)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as running:
        yield running


async def booked(person: Person, starts_at: datetime, **more: Any) -> dict[str, Any]:
    reply = await person.book(starts_at, starts_at + HOUR, **more)
    assert reply.status == 201, reply.json
    data: dict[str, Any] = reply.data
    return data


async def move(
    person: Person, booking: dict[str, Any], starts_at: datetime, lasts: timedelta = HOUR
) -> Reply:
    body = on_the_clock(starts_at, starts_at + lasts)
    return await person.put(f"/counselings/{booking['id']}/reschedule", body)


async def cancel(person: Person, booking: dict[str, Any]) -> Reply:
    return await person.put(f"/counselings/{booking['id']}/cancel")


async def seen(person: Person, booking: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = (await person.get(f"/counselings/{booking['id']}")).data
    return data


# ---- the notice of a booking ------------------------------------------------------------------------------


@pytest.mark.wall_time
@pytest.mark.parametrize("method", METHODS)
async def test_a_client_books_until_the_notice_begins(
    ruled: Service, clock: StoppedClock, method: str
) -> None:
    psychologist = await ruled.psychologist()
    nearest = clock.stands_at + NOTICE
    for role in CLIENTS:
        client = ruled.person(role)
        late = await client.book(nearest - SECOND, nearest + HOUR, method=method)
        until = iso(clock.stands_at - SECOND)
        assert_refused(late, 409, "TOO_LATE", f"This time could be booked until {until}")
        assert (await client.get("/counselings")).data["data"] == []
        assert (await booked(client, nearest, method=method))["status"] == "pending"
    assert (await psychologist.get("/notifications")).data["unreadCount"] == len(CLIENTS)


@pytest.mark.wall_time
async def test_an_administrator_books_without_notice(ruled: Service, clock: StoppedClock) -> None:
    await ruled.psychologist()
    admin = ruled.person(Role.SUPER_ADMIN, "Admin")
    assert (await booked(admin, clock.stands_at + SECOND))["status"] == "pending"


# ---- the deadline of a cancellation -----------------------------------------------------------------------


@pytest.mark.wall_time
@pytest.mark.parametrize("method", METHODS)
async def test_a_client_cancels_until_the_deadline(ruled: Service, clock: StoppedClock, method: str) -> None:
    await ruled.psychologist()
    deadline = clock.stands_at + DEADLINE
    for role in CLIENTS:
        client = ruled.person(role)
        late = await booked(client, deadline - SECOND, method=method)
        refused = await cancel(client, late)
        until = iso(clock.stands_at - SECOND)
        assert_refused(refused, 409, "TOO_LATE", f"The counseling could be cancelled until {until}")
        assert (await seen(client, late)).items() >= without_calendar(late).items()
        other = ruled.person(role)
        assert (await cancel(other, await booked(other, deadline, method=method))).data[
            "status"
        ] == "cancelled"


@pytest.mark.wall_time
@pytest.mark.parametrize("method", METHODS)
async def test_psychologists_and_administrators_cancel_and_move_after_it(
    ruled: Service, clock: StoppedClock, method: str
) -> None:
    psychologist = await ruled.psychologist()
    admin = ruled.person(Role.SUPER_ADMIN, "Admin")
    near = clock.stands_at + NOTICE
    for person in (psychologist, admin):
        client = ruled.person()
        booking = await booked(client, near, method=method)
        # Also to a time of which the client would have to give notice.
        moved = await move(person, booking, near - HOUR)
        assert (moved.status, moved.data["scheduledAt"]) == (200, iso(near - HOUR)), moved.json
        assert (await cancel(person, booking)).data["status"] == "cancelled"


@pytest.mark.wall_time
async def test_whoever_takes_no_part_is_told_nothing_of_the_deadline(
    ruled: Service, clock: StoppedClock
) -> None:
    await ruled.psychologist()
    client, stranger = ruled.person(), ruled.person()
    booking = await booked(client, clock.stands_at + NOTICE)
    assert_refused(await cancel(stranger, booking), 403, "FORBIDDEN")
    assert_refused(await move(stranger, booking, clock.stands_at + 2 * DEADLINE), 403, "FORBIDDEN")
    nowhere = {"id": str(uuid4())}
    assert_refused(await cancel(client, nowhere), 404, "NOT_FOUND")


@pytest.mark.wall_time
async def test_an_open_chat_is_not_cancelled_by_its_client_where_there_is_a_deadline(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    settings = service_settings(tmp_path, cancel_deadline=SECOND)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        client, psychologist, session_id = await opened(service)
        counseling = {"id": (await client.session(session_id))["counselingId"]}
        assert_refused(await cancel(client, counseling), 409, "TOO_LATE")
        # That it has begun is why it is not moved, whichever of them asks.
        for person in (client, psychologist):
            assert_refused(await move(person, counseling, in_days(3)), 409, "ILLEGAL_TRANSITION")
        assert (await client.put(f"/chat/sessions/{session_id}/end")).status == 200, "it can be ended"
        other, psychologist, session_id = await opened(service)
        counseling = {"id": (await other.session(session_id))["counselingId"]}
        assert (await cancel(psychologist, counseling)).data["status"] == "cancelled"


@pytest.mark.wall_time
async def test_without_a_deadline_an_open_chat_is_cancelled_by_its_client(service: Service) -> None:
    client, _, session_id = await opened(service)
    counseling = {"id": (await client.session(session_id))["counselingId"]}
    assert (await cancel(client, counseling)).data["status"] == "cancelled"


@pytest.mark.wall_time
@pytest.mark.parametrize("method", METHODS)
async def test_what_is_cancelled_is_not_too_late(ruled: Service, clock: StoppedClock, method: str) -> None:
    """A cancellation that is sent again is answered as it is without a deadline."""
    psychologist = await ruled.psychologist()
    client = ruled.person()
    booking = await booked(client, clock.stands_at + NOTICE, method=method)
    assert (await cancel(psychologist, booking)).status == 200
    answers = [await cancel(person, booking) for person in (client, psychologist)]
    assert answers[0].status == answers[1].status
    assert answers[0].json.get("code") == answers[1].json.get("code")
    refused = await move(client, booking, clock.stands_at + 2 * DEADLINE)
    assert_refused(refused, 409, "ILLEGAL_TRANSITION")


# ---- moving -----------------------------------------------------------------------------------------------


@pytest.mark.wall_time
@pytest.mark.parametrize("method", METHODS)
async def test_a_client_moves_until_the_deadline_to_a_time_that_has_the_notice(
    ruled: Service, clock: StoppedClock, method: str
) -> None:
    await ruled.psychologist()
    deadline, nearest = clock.stands_at + DEADLINE, clock.stands_at + NOTICE
    until = iso(clock.stands_at - SECOND)
    for role in CLIENTS:
        client = ruled.person(role)
        booking = await booked(client, deadline, method=method)
        refused = await move(client, booking, nearest - SECOND)
        expected = f"The counseling could be moved to this time until {until}"
        assert_refused(refused, 409, "TOO_LATE", expected)
        assert (await seen(client, booking)).items() >= without_calendar(booking).items()
        moved = await move(client, booking, nearest)
        assert (moved.status, moved.data["scheduledAt"]) == (200, iso(nearest)), moved.json
        # Now it is inside the deadline, and is not moved any more, nor made longer; where it is, it may stay.
        for wanted, lasts in ((deadline + HOUR, HOUR), (nearest, 2 * HOUR)):
            refused = await move(client, booking, wanted, lasts)
            expected = f"The counseling could be moved until {iso(nearest - DEADLINE)}"
            assert_refused(refused, 409, "TOO_LATE", expected)
        assert (await move(client, booking, nearest)).status == 200
        late = await booked(ruled.person(role), deadline - SECOND, method=method)
        assert late["scheduledAt"] == iso(deadline - SECOND)


# ---- what is ahead ----------------------------------------------------------------------------------------


async def test_a_client_has_so_many_counsellings_ahead_and_no_more(limited: Service) -> None:
    await limited.psychologist()
    for role in CLIENTS:
        client = limited.person(role)
        bookings = [
            await booked(client, in_days(30 + number), method=METHODS[number % 2]) for number in range(3)
        ]
        for method in METHODS:
            refused = await client.book(in_days(40), in_days(40) + HOUR, method=method)
            assert_refused(refused, 409, "PENDING_LIMIT", MANY)
        # Moving adds none.
        assert (await move(client, bookings[0], in_days(41))).status == 200
        for booking in bookings:
            assert (await cancel(client, booking)).status == 200
            await booked(client, in_days(50) + HOUR * bookings.index(booking))
            assert_refused(await client.book(in_days(40), in_days(40) + HOUR), 409, "PENDING_LIMIT", MANY)


async def test_administrators_are_not_bound_by_it(limited: Service) -> None:
    await limited.psychologist()
    admin = limited.person(Role.SUPER_ADMIN, "Admin")
    for number in range(5):
        await booked(admin, in_days(30 + number))


@pytest.mark.wall_time
async def test_what_has_begun_or_is_over_is_not_ahead(limited: Service) -> None:
    client, _, session_id = await opened(limited)
    bookings = [await booked(client, in_days(30 + number), method="online") for number in range(3)]
    for _ in range(2):
        assert_refused(await client.book(in_days(40), in_days(40) + HOUR), 409, "PENDING_LIMIT", MANY)
        await client.put(f"/chat/sessions/{session_id}/end")
    for number, (booking, begun) in enumerate(zip(bookings, (2 * HOUR, HOUR / 2), strict=False)):
        await _shift(limited, booking, -begun)
        await booked(client, in_days(40 + number))
        refused = await client.book(in_days(50), in_days(50) + HOUR)
        assert_refused(refused, 409, "PENDING_LIMIT", MANY)


async def _shift(service: Service, booking: dict[str, Any], starts_in: timedelta) -> None:
    """Move an hour's counselling in time."""
    await service.runtime.pool.execute(
        "UPDATE counselings SET starts_at = now() + $2::interval, ends_at = now() + $2::interval + '1 hour' "
        "WHERE id = $1",
        UUID(booking["id"]),
        starts_in,
    )


async def test_of_thirty_at_once_three_are_booked(tmp_path: Path, database_url: str, redis_url: str) -> None:
    """Different times, psychologists, methods and replicas: what they share is the client's row."""
    stores = {"database_url": database_url, "redis_url": redis_url}
    async with a_pair(tmp_path, **stores, max_pending_per_client=3) as pair:
        psychologists = [await pair.one.psychologist(name) for name in ("Sari", "Maya", "Rizky")]
        for known in (False, True):
            client = pair.one.person()
            if known:
                # Otherwise all of them wait for the first to write the client's row.
                assert (await cancel(client, await booked(client, in_days(20)))).status == 200

            async def ask(number: int, client: Person = client) -> Reply:
                person = (client, pair.elsewhere(client))[number % 2]
                start = in_days(30 + number)
                return await person.book(
                    start,
                    start + HOUR,
                    method=METHODS[number // 2 % 2],
                    psychologistId=str(psychologists[number % 3].id),
                )

            replies = await asyncio.gather(*(ask(number) for number in range(30)))
            assert Counter(reply.status for reply in replies) == {201: 3, 409: 27}
            for reply in replies:
                if reply.status == 409:
                    assert_refused(reply, 409, "PENDING_LIMIT", MANY)
            assert len((await client.get("/counselings", status="pending")).data["data"]) == 3


# ---- which refusal is told, and asking again --------------------------------------------------------------


@pytest.mark.wall_time
async def test_the_rules_of_the_person_are_told_before_the_limits_of_the_time(
    tmp_path: Path, database_url: str, redis_url: str, clock: StoppedClock
) -> None:
    settings = service_settings(
        tmp_path,
        max_pending_per_client=1,
        max_active_per_psychologist=1,
        booking_notice=NOTICE,
        cancel_deadline=DEADLINE,
    )
    async with Service.running(
        settings, database_url=database_url, redis_url=redis_url, clock=clock
    ) as service:
        psychologist = await service.psychologist()
        client, free = service.person(), service.person()
        start = clock.stands_at + 2 * DEADLINE
        own = await booked(client, start)
        named = {"psychologistId": str(psychologist.id)}
        # What no one could book is said first.
        refused = await client.book(clock.stands_at - HOUR, clock.stands_at)
        assert_refused(refused, 400, "VALIDATION_FAILED")
        # Too near, too many, the client's own time, a full psychologist: in this order.
        near = clock.stands_at + NOTICE - SECOND
        assert_refused(await client.book(near, near + HOUR, **named), 409, "TOO_LATE")
        assert_refused(await client.book(start, start + HOUR, **named), 409, "PENDING_LIMIT")
        assert_refused(await free.book(start, start + HOUR, **named), 409, "PSYCHOLOGIST_LIMIT")
        assert_refused(await free.book(start, start + HOUR), 409, "NO_PSYCHOLOGIST")
        # Of a move as well.
        other = await booked(free, start + HOUR)
        await service.runtime.pool.execute("UPDATE psychologists SET is_active = false")
        assert_refused(await move(free, other, near), 409, "TOO_LATE")
        assert_refused(await move(free, other, start), 409, "NO_PSYCHOLOGIST")
        assert (await seen(client, own)).items() >= without_calendar(own).items()


@pytest.mark.wall_time
async def test_a_refusal_does_not_use_a_key_up(
    tmp_path: Path, database_url: str, redis_url: str, clock: StoppedClock
) -> None:
    settings = service_settings(
        tmp_path, max_pending_per_client=1, booking_notice=NOTICE, cancel_deadline=DEADLINE
    )
    async with Service.running(
        settings, database_url=database_url, redis_url=redis_url, clock=clock
    ) as service:
        await service.psychologist()
        client, other = service.person(), service.person()
        first = await booked(client, clock.stands_at + 3 * DEADLINE)

        async def send(person: Person, method: str, path: str, start: datetime, key: str) -> Reply:
            body = on_the_clock(start, start + HOUR) | ({"method": "chat"} if method == "POST" else {})
            return await person.call(method, path, json=body, headers={"Idempotency-Key": key})

        wish = (client, "POST", "/counselings/book", clock.stands_at + 2 * DEADLINE, "a")
        for _ in range(2):
            assert_refused(await send(*wish), 409, "PENDING_LIMIT", MANY)
        near = (other, "POST", "/counselings/book", clock.stands_at + HOUR, "b")
        for _ in range(2):
            assert_refused(await send(*near), 409, "TOO_LATE")
        path = f"/counselings/{first['id']}/reschedule"
        moving = (client, "PUT", path, clock.stands_at + HOUR, "c")
        for _ in range(2):
            assert_refused(await send(*moving), 409, "TOO_LATE")
        assert (await cancel(client, first)).status == 200
        answers = [await send(*wish) for _ in range(2)]
        assert [answer.status for answer in answers] == [201, 201]
        assert ["Idempotency-Replayed" in answer.headers for answer in answers] == [False, True]
        assert answers[0].json == answers[1].json


@pytest.mark.wall_time
@pytest.mark.parametrize("method", METHODS)
async def test_what_was_carried_out_in_time_is_answered_after_the_limit(
    ruled: Service, clock: StoppedClock, method: str
) -> None:
    """A crash before the answer was noted; a client who asks again later hears that it was done."""
    await ruled.psychologist()
    client = ruled.person()
    start = clock.stands_at + DEADLINE
    forgotten = "UPDATE idempotency SET status = NULL, answer = NULL, started_at = $1"

    async def send(kind: str, starts_at: datetime, path: str, **more: str) -> Reply:
        body = on_the_clock(starts_at, starts_at + HOUR) | more
        return await client.call(kind, path, json=body, headers={"Idempotency-Key": path})

    async def twice(kind: str, starts_at: datetime, path: str, **more: str) -> dict[str, Any]:
        first = await send(kind, starts_at, path, **more)
        assert first.status in (200, 201), first.json
        await ruled.runtime.pool.execute(forgotten, clock.stands_at - HOUR)
        clock.stands_at += SECOND
        again = await send(kind, starts_at, path, **more)
        assert (again.status, again.data) == (first.status, first.data), again.json
        data: dict[str, Any] = first.data
        return data

    booking = await twice("POST", clock.stands_at + NOTICE, "/counselings/book", method=method)
    assert booking["status"] == "pending"
    other = await booked(client, start + 2 * SECOND + HOUR, method=method)
    nearest = clock.stands_at + NOTICE + 2 * HOUR
    moved = await twice("PUT", nearest, f"/counselings/{other['id']}/reschedule")
    assert moved["scheduledAt"] == iso(nearest)

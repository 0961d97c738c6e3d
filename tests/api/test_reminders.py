"""Reminders: both are reminded in time, once, and of nothing that is gone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import pytest

from handlers.schemas import parts
from rdchat.common.clock import iso, to_ms
from rdchat.common.errors import UnavailableError
from rdchat.common.stores import Addresses
from rdchat.domain.reminder import plan_reminders
from rdchat.operations import administration
from rdchat.postgres import reminders as reminder_rows
from rdchat.redis.delay_queue import Job, ReminderKind
from rdchat.services.notifier import Notifier
from tests.support.database_users import planting
from tests.support.keys import reassign_row
from tests.support.service import Service, service_settings, whole_second
from tests.support.soon import in_days
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.service import Person

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
#: With a session and without one; what is quick is tried with every method.
METHODS = ("chat", "offline")


@asynccontextmanager
async def reminding(
    *leads: timedelta, database_url: str, redis_url: str, tmp_path: Path, **changes: Any
) -> AsyncIterator[Service]:
    settings = service_settings(tmp_path, reminders=leads, **changes)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        yield service


@pytest.fixture
async def service(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """A replica that reminds a day and an hour before."""
    async with reminding(DAY, HOUR, database_url=database_url, redis_url=redis_url, tmp_path=tmp_path) as one:
        yield one


async def book(person: Person, starts_at: datetime, method: str = "chat") -> dict[str, Any]:
    body = {"method": method, "startsAt": iso(starts_at), "endsAt": iso(starts_at + HOUR)}
    reply = await person.post("/counselings/book", body)
    assert reply.status == 201, reply.json
    booked: dict[str, Any] = reply.data
    return booked


async def rows(service: Service, counseling_id: str) -> list[tuple[int, timedelta, str, str | None]]:
    found = await service.runtime.pool.fetch(
        "SELECT * FROM reminders WHERE counseling_id = $1 ORDER BY number", UUID(counseling_id)
    )
    return [(row["number"], row["lead"], row["status"], row["reason"]) for row in found]


async def waiting(service: Service) -> int:
    return sum(depth.waiting + depth.leased for depth in await service.runtime.queue.depth())


async def reminded(person: Person) -> list[dict[str, Any]]:
    found = (await person.get("/notifications", limit=100)).data["data"]
    return [one for one in found if one["type"] == "reminder"][::-1]


async def fall_due(service: Service, counseling_id: str, *numbers: int, starts_in: float = 600) -> list[Job]:
    """Let reminders of a counselling be due by now, which begins that far from now."""
    starts_at = datetime.now(UTC) + timedelta(seconds=starts_in)
    pool, one = service.runtime.pool, UUID(counseling_id)
    await pool.execute(
        "UPDATE counselings SET starts_at = $2, ends_at = $3 WHERE id = $1", one, starts_at, starts_at + HOUR
    )
    await pool.execute(
        "UPDATE reminders SET due_at = now() - interval '10 seconds' + number * interval '1 second' "
        "WHERE counseling_id = $1 AND number = ANY($2)",
        one,
        numbers,
    )
    return [Job(one, ReminderKind.REMINDER, number) for number in numbers]


def test_only_what_lies_ahead_is_planned() -> None:
    now = datetime(2030, 1, 1, 12, tzinfo=UTC)
    of = UUID(int=1)
    planned = plan_reminders(of, now + 2 * HOUR, (HOUR, 2 * HOUR, DAY), now, first=4)
    assert [(one.number, one.lead, one.due_at) for one in planned] == [(4, HOUR, now + HOUR)]
    both = plan_reminders(of, now + 2 * DAY, (HOUR, DAY), now)
    assert [(one.number, one.lead) for one in both] == [(1, DAY), (2, HOUR)], "the earliest first"
    assert plan_reminders(of, now + 2 * DAY, (), now) == []


@pytest.mark.wall_time
@pytest.mark.parametrize("method", METHODS)
async def test_both_are_reminded_in_time(
    database_url: str, redis_url: str, tmp_path: Path, method: str
) -> None:
    leads = timedelta(seconds=4), timedelta(seconds=3)
    async with reminding(
        *leads, database_url=database_url, redis_url=redis_url, tmp_path=tmp_path
    ) as service:
        psychologist = await service.psychologist(timezone="Asia/Makassar")
        client = service.person()
        starts_at = whole_second(6)
        booked = await book(client, starts_at, method)
        for person in (client, psychologist):

            async def has_both(person: Person = person) -> bool:
                return len(await reminded(person)) == 2

            await until(has_both)
        other = {client: "Sari", psychologist: "Budi"}
        for person in (client, psychologist):
            for one, lead in zip(await reminded(person), leads, strict=True):
                late = datetime.fromisoformat(one["createdAt"]) - (starts_at - lead)
                assert timedelta(0) <= late < timedelta(seconds=2)
                assert f"dengan {other[person]}: " in one["message"]
                assert one["data"]["counselingId"] == booked["id"]
                assert one["data"]["sessionId"] == (
                    booked["chatSession"]["sessionId"] if method == "chat" else None
                )
                assert one["data"]["startsAt"] == iso(starts_at)
        assert [row[2:] for row in await rows(service, booked["id"])] == [("done", None)] * 2
        counted = service.runtime.metrics.page().decode()
        assert 'rdchat_automations_total{kind="reminder",status="done"} 2.0' in counted
        if method == "chat":
            # It is no transition: nothing of the session has changed, and no one was fenced.
            version = await service.runtime.pool.fetchval("SELECT version FROM chat_sessions")
            assert version == 0


@pytest.mark.parametrize("method", parts.METHODS)
async def test_a_move_replaces_them_and_a_cancellation_cancels_them(service: Service, method: str) -> None:
    await service.psychologist()
    client = service.person()
    booked = await book(client, in_days(3), method)
    assert await rows(service, booked["id"]) == [
        (1, DAY, "scheduled", None),
        (2, HOUR, "scheduled", None),
    ]
    path = f"/counselings/{booked['id']}"
    later = whole_second(3 * 3600)
    wish = {"startsAt": iso(later), "endsAt": iso(later + HOUR)}
    assert (await client.put(f"{path}/reschedule", wish)).status == 200
    assert (await client.put(f"{path}/reschedule", wish)).status == 200, "again, nothing happens"
    moved = [(1, DAY, "cancelled", "rescheduled"), (2, HOUR, "cancelled", "rescheduled")]
    assert await rows(service, booked["id"]) == [*moved, (3, HOUR, "scheduled", None)]
    automations = 4 if method == "chat" else 0
    assert await waiting(service) == automations + 1
    assert (await client.put(f"{path}/cancel")).status == 200
    assert await rows(service, booked["id"]) == [*moved, (3, HOUR, "cancelled", "counseling_cancelled")]

    async def nothing_waits() -> bool:
        return await waiting(service) == 0

    await until(nothing_waits)


async def test_an_extension_leaves_them_alone(service: Service) -> None:
    """They are of the start, and that does not move."""
    await service.psychologist()
    client = service.person()
    booked = await book(client, in_days(3))
    before = await rows(service, booked["id"])
    session_id = booked["chatSession"]["sessionId"]
    psychologist = service.person(person_id=UUID(booked["psychologist"]["id"]))
    await psychologist.put(f"/chat/sessions/{session_id}/extend", {"minutes": 1})
    assert await rows(service, booked["id"]) == before


@pytest.mark.parametrize("method", METHODS)
async def test_of_two_that_are_due_together_only_the_nearest_is_sent(service: Service, method: str) -> None:
    psychologist = await service.psychologist()
    booked = await book(service.person(), in_days(3), method)
    jobs = await fall_due(service, booked["id"], 1, 2)
    reminders = service.runtime.counselings.reminders
    # Each by a call of its own, as by two workers, and in either order.
    for job in jobs:
        assert await reminders.remind([job]) == [None]
    assert [row[2:] for row in await rows(service, booked["id"])] == [
        ("skipped", "nearer_was_due"),
        ("done", None),
    ]
    assert len(await reminded(psychologist)) == 1
    other = await book(service.person(), in_days(4), method)
    first, second = await fall_due(service, other["id"], 1, 2)
    assert await reminders.remind([second]) == [None]
    assert await reminders.remind([first]) == [None]
    assert [row[2:] for row in await rows(service, other["id"])] == [
        ("skipped", "nearer_was_due"),
        ("done", None),
    ]


async def test_nobody_is_reminded_of_what_has_begun_or_is_cancelled(service: Service) -> None:
    psychologist = await service.psychologist()
    begun = await book(service.person(), in_days(3), "offline")
    client = service.person()
    gone = await book(client, in_days(4))
    assert (await client.put(f"/counselings/{gone['id']}/cancel")).status == 200
    # As after a crash between the two: cancelled, and its reminders were left.
    await service.runtime.pool.execute("UPDATE reminders SET status = 'scheduled', reason = NULL")
    jobs = [
        *await fall_due(service, begun["id"], 2, starts_in=-1),
        *await fall_due(service, gone["id"], 2),
    ]
    assert await service.runtime.counselings.reminders.remind(jobs) == [None, None]
    assert (await rows(service, begun["id"]))[1][2:] == ("skipped", "start_was_due")
    assert (await rows(service, gone["id"]))[1][2:] == ("cancelled", "not_pending")
    for person in (psychologist, client):
        assert await reminded(person) == []


async def test_a_double_claim_sends_nothing_twice(service: Service) -> None:
    psychologist = await service.psychologist()
    clients = [service.person() for _ in range(5)]
    jobs = []
    for number, client in enumerate(clients):
        booked = await book(client, in_days(3 + number))
        jobs += await fall_due(service, booked["id"], 2, starts_in=600 + 4000 * number)
    reminders = service.runtime.counselings.reminders
    batches = (jobs, jobs[::-1], jobs[2:], jobs)
    for results in await asyncio.gather(*(reminders.remind(batch) for batch in batches)):
        # What another one works on is to be tried again.
        assert all(one is None or isinstance(one, UnavailableError) for one in results)
    assert set(await reminders.remind(jobs)) == {None}
    assert [len(await reminded(client)) for client in clients] == [1] * 5
    assert len(await reminded(psychologist)) == 5


async def test_one_that_is_cancelled_at_that_moment_is_tried_again_and_not_sent(
    service: Service, database_url: str
) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    booked = await book(client, in_days(3), "offline")
    jobs = await fall_due(service, booked["id"], 2)
    connection = await asyncpg.connect(database_url)
    try:
        cancelling = connection.transaction()
        await cancelling.start()
        await connection.execute(
            "UPDATE counselings SET status = 'cancelled' WHERE id = $1", UUID(booked["id"])
        )
        (result,) = await service.runtime.counselings.reminders.remind(jobs)
        assert isinstance(result, UnavailableError)
        await cancelling.commit()
        assert await service.runtime.counselings.reminders.remind(jobs) == [None]
    finally:
        await connection.close()
    assert (await rows(service, booked["id"]))[1][2:] == ("cancelled", "not_pending")
    for person in (psychologist, client):
        assert await reminded(person) == []


async def test_one_that_is_handed_over_at_that_moment_is_told_to_the_one_who_has_it_then(
    service: Service, database_url: str
) -> None:
    former, client = await service.psychologist(), service.person()
    booked = await book(client, in_days(3), "offline")
    latter = await service.psychologist("Rina")
    jobs = await fall_due(service, booked["id"], 2)
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await reassign_row(connection, UUID(booked["id"]), latter.id)
            (result,) = await service.runtime.counselings.reminders.remind(jobs)
            assert isinstance(result, UnavailableError)
    finally:
        await connection.close()
    assert await service.runtime.counselings.reminders.remind(jobs) == [None]
    assert [len(await reminded(one)) for one in (client, latter, former)] == [1, 1, 0]


async def test_what_was_booked_before_there_were_reminders_gets_them_once(
    service: Service,
) -> None:
    await service.psychologist()
    clients = [service.person() for _ in range(3)]
    booked = [await book(client, in_days(3 + number)) for number, client in enumerate(clients)]
    pool, clock = service.runtime.pool, service.runtime.clock
    leads = service.runtime.counselings.reminders.leads
    async with planting(pool) as owner:
        await owner.execute("DELETE FROM reminders WHERE counseling_id <> $1", UUID(booked[0]["id"]))
    kept = await rows(service, booked[0]["id"])

    async def is_planned() -> bool:
        return bool(await pool.fetchval("SELECT count(*) FROM facts WHERE name = 'reminders'"))

    await until(is_planned)
    assert await reminder_rows.plan_booked(pool, leads, clock.now()) == 0, "planned at the start already"
    async with planting(pool) as owner:
        await owner.execute("DELETE FROM facts WHERE name = 'reminders'")
    assert await reminder_rows.plan_booked(pool, leads, clock.now()) == 2 * len(leads)
    assert await rows(service, booked[0]["id"]) == kept
    for one in booked[1:]:
        planned = [
            (number, lead, "scheduled", None) for number, lead in enumerate(sorted(leads, reverse=True), 1)
        ]
        assert await rows(service, one["id"]) == planned
    assert await reminder_rows.plan_booked(pool, leads, clock.now()) == 0


async def test_one_that_fails_is_tried_again_given_up_and_retried_by_hand(
    service: Service, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = Addresses(database_url, redis_url, embedded=False)
    psychologist = await service.psychologist()
    bad_client, client = service.person(name="Bad"), service.person()
    bad, good = await book(bad_client, in_days(3)), await book(client, in_days(4))
    jobs = [*await fall_due(service, bad["id"], 2), *await fall_due(service, good["id"], 2, starts_in=9000)]
    insert = Notifier.insert

    async def fail(self: Notifier, connection: Any, made: Any) -> Any:
        if any(str(one.counseling_id) == bad["id"] for one in made):
            raise ValueError("no words")
        return await insert(self, connection, made)

    monkeypatch.setattr(Notifier, "insert", fail)
    monkeypatch.setattr("rdchat.timers.failures._FIRST_BACKOFF_MS", 2)
    due_ms = to_ms(datetime.now(UTC))
    await service.runtime.queue.schedule([(job, due_ms) for job in jobs])

    async def is_given_up() -> bool:
        return (await rows(service, bad["id"]))[1][2:] == ("failed", "ValueError")

    await until(is_given_up)
    assert (await rows(service, good["id"]))[1][2:] == ("done", None), "its neighbour was sent"
    attempts = await service.runtime.pool.fetchval("SELECT attempts FROM reminders WHERE status = 'failed'")
    assert attempts == 8
    assert 'rdchat_dead_letters_total{kind="reminder"} 1.0' in service.runtime.metrics.page().decode()
    shown = await administration.show_queue(service.runtime.settings, addresses)
    assert f"  {bad['id']}  reminder  attempts 8  ValueError" in shown
    assert "dead letters: 1" in shown
    monkeypatch.undo()
    lines = await administration.retry_dead_letters(service.runtime.settings, addresses, UUID(bad["id"]))
    assert lines == ["scheduled reminder"]

    async def is_done() -> bool:
        return (await rows(service, bad["id"]))[1][2:] == ("done", None)

    await until(is_done)
    assert [len(await reminded(one)) for one in (bad_client, client, psychologist)] == [1, 1, 2]


async def test_while_postgresql_is_away_all_of_them_are_tried_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.psychologist()
    booked = await book(service.person(), in_days(3))
    (job,) = await fall_due(service, booked["id"], 2)

    async def away(*_: Any) -> Any:
        raise UnavailableError("PostgreSQL")

    monkeypatch.setattr(Notifier, "insert", away)
    (result,) = await service.runtime.counselings.reminders.remind([job])
    assert isinstance(result, UnavailableError)
    assert (await rows(service, booked["id"]))[1][2:] == ("scheduled", None)

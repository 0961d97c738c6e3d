"""The overview: numbers of sessions and of the service, for those who may see them, and no content."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from rdchat.common import kept
from rdchat.domain import overview as limits
from rdchat.domain.person import Role
from rdchat.postgres import session_numbers
from rdchat.redis.connection import RedisClient
from rdchat.timers.monitor import TimerStatus
from tests.support.console import QUOTED, dead_webhook, fail_automation, fail_reminders, keep_nothing
from tests.support.envelope import assert_refused
from tests.support.service import Service, service_settings
from tests.support.sessions import INSTANT, reaches
from tests.support.soon import book_soon, in_days, session_soon
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.service import Person

SHARED = {"at", "countedAt", "counts", "opening", "lateness", "problems"}
OWN = {"queue", "outbox", "webhooks", "ably", "postgresql", "redis", "clock", "replicas"}
COUNTS = ("pending", "active", "endingSoon", "completedToday", "cancelledToday", "missedToday")
NOTE, REASON, TEXT = "Sudah dua minggu sulit tidur", "Ibu saya sakit", "Hanya untuk kita"


@pytest.fixture
async def fresh(
    tmp_path: Path, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """A replica that keeps nothing of an overview."""
    keep_nothing(monkeypatch)
    settings = service_settings(tmp_path, max_active_per_psychologist=50)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        yield service


async def seen(person: Person, **asked: Any) -> dict[str, Any]:
    data: dict[str, Any] = (await person.get("/operations/overview", **asked)).data
    return data


async def counts(person: Person, **asked: Any) -> tuple[int, ...]:
    counted = (await seen(person, **asked))["counts"]
    return tuple(counted[name] for name in COUNTS)


def people(service: Service, *organizations: UUID | None) -> list[Person]:
    return [
        service.person(Role.SUPERVISOR, "Penyelia", organization_id=organization)
        for organization in organizations
    ]


@pytest.mark.wall_time
async def test_sessions_are_counted_for_each_who_oversees_them(fresh: Service) -> None:
    await fresh.psychologist()
    ours, theirs = uuid4(), uuid4()
    admin = fresh.person(Role.SUPER_ADMIN, "Admin")
    our_supervisor, their_supervisor = people(fresh, ours, theirs)
    everyone = (admin, our_supervisor, their_supervisor)
    assert [await counts(one) for one in everyone] == [(0, 0, 0, 0, 0, 0)] * 3

    async def book(organization: UUID | None, starts_in: float, lasts: float = 60, **more: Any) -> Any:
        client = fresh.person(organization_id=organization)
        booked = (await book_soon(client, starts_in, lasts, **more)).data
        return client, booked

    for organization, starts_in in ((ours, 1800), (ours, 90_000), (theirs, 1800), (None, 1800)):
        await book(organization, starts_in)
    # Without chat there is no session.
    await book(ours, 1800, method="online")
    open_client, opened = await book(ours, 1)
    done_client, done = await book(theirs, 1)
    for client, booked in ((open_client, opened), (done_client, done)):
        await reaches(client, booked["chatSession"]["sessionId"], "active")
    await done_client.put(f"/chat/sessions/{done['chatSession']['sessionId']}/end")
    cancelling, cancelled = await book(ours, 3600)
    assert (await cancelling.put(f"/counselings/{cancelled['id']}/cancel")).status == 200
    assert [await counts(one) for one in everyone] == [
        (4, 1, 0, 1, 1, 0),
        (2, 1, 0, 0, 1, 0),
        (1, 0, 0, 1, 0, 0),
    ]
    # Of another day, and of those that the service could not open.
    await fresh.runtime.pool.execute(
        "UPDATE chat_sessions SET end_reason = 'missed' WHERE status = 'cancelled'"
    )
    assert await counts(our_supervisor) == (2, 1, 0, 0, 0, 1)
    await fresh.runtime.pool.execute(
        "UPDATE chat_sessions SET ended_at = ended_at - interval '2 days' WHERE ended_at IS NOT NULL"
    )
    assert await counts(admin) == (4, 1, 0, 0, 0, 0)


@pytest.mark.wall_time
async def test_today_is_the_day_of_a_zone(fresh: Service) -> None:
    await fresh.psychologist()
    admin = fresh.person(Role.SUPER_ADMIN, "Admin")
    client = fresh.person()
    booked = (await client.book(in_days(30), in_days(30) + timedelta(hours=1))).data
    assert (await client.put(f"/counselings/{booked['id']}/cancel")).status == 200
    for zone in ("Asia/Jakarta", "Pacific/Kiritimati", "America/Los_Angeles"):
        day = datetime.now(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
        for ended_at, expected in ((day, 1), (day - timedelta(milliseconds=1), 0)):
            await fresh.runtime.pool.execute(
                "UPDATE chat_sessions SET ended_at = $1", ended_at.astimezone(UTC)
            )
            assert (await counts(admin, timezone=zone))[4] == expected, zone
    refused = await admin.get("/operations/overview", timezone="Mars/Olympus")
    assert_refused(refused, 400, "VALIDATION_FAILED")


@pytest.mark.wall_time
async def test_what_opened_since_those_ahead_were_counted_is_counted_once(
    fresh: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes longest to count is kept longest."""
    count_ahead = session_numbers.count_ahead

    async def slowly(*arguments: Any) -> Any:
        counted = await count_ahead(*arguments)
        # As it takes with millions.
        await asyncio.sleep(0.5)
        return counted

    monkeypatch.setattr(session_numbers, "count_ahead", slowly)
    monkeypatch.setattr(kept, "_TIMES_KEPT", 100)
    await fresh.psychologist()
    admin = fresh.person(Role.SUPER_ADMIN, "Admin")
    client = fresh.person()
    session_id = await session_soon(client, 2, 60)
    first = await seen(admin)
    assert (first["counts"]["pending"], first["counts"]["active"]) == (1, 0)
    await reaches(client, session_id, "active")

    async def is_counted_as_open() -> Any:
        looked = await seen(admin)
        return looked if looked["counts"]["active"] == 1 else None

    second = await until(is_counted_as_open)
    assert (second["countedAt"], second["counts"]["pending"]) == (first["countedAt"], 0)


@pytest.mark.wall_time
async def test_what_opens_within_the_hour_is_listed(fresh: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    psychologist = await fresh.psychologist("Sari Wulandari")
    ours, theirs = uuid4(), uuid4()
    admin = fresh.person(Role.SUPER_ADMIN, "Admin")
    our_supervisor, their_supervisor = people(fresh, ours, theirs)
    booked = []
    for organization, starts_in in ((ours, 3000), (theirs, 1200), (ours, 600), (ours, 3700), (None, 2000)):
        client = fresh.person(organization_id=organization)
        session_id = await session_soon(client, starts_in, 60)
        booked.append((starts_in, organization, client, session_id))
    soon = sorted(booked, key=lambda one: one[0])[:4]
    opening = (await seen(admin))["opening"]
    assert opening["total"] == 4
    assert [one["sessionId"] for one in opening["sessions"]] == [one[3] for one in soon]
    first = opening["sessions"][0]
    assert INSTANT.fullmatch(first.pop("scheduledAt"))
    assert first == {
        "sessionId": soon[0][3],
        "psychologist": {"id": str(psychologist.id), "fullName": "Sari Wulandari"},
        "clientId": str(soon[0][2].id),
    }
    for supervisor, organization in ((our_supervisor, ours), (their_supervisor, theirs)):
        opening = (await seen(supervisor))["opening"]
        expected = [one[3] for one in soon if one[1] == organization]
        assert ([one["sessionId"] for one in opening["sessions"]], opening["total"]) == (
            expected,
            len(expected),
        )
    # No more are listed than a page can show; all are counted.
    for name, text in vars(session_numbers).items():
        if isinstance(text, str) and f"LIMIT {limits.MOST_OPENINGS}" in text:
            monkeypatch.setattr(
                session_numbers, name, text.replace(f"LIMIT {limits.MOST_OPENINGS}", "LIMIT 2")
            )
    monkeypatch.setattr(session_numbers, "MOST_OPENINGS", 2)
    opening = (await seen(admin))["opening"]
    assert ([one["sessionId"] for one in opening["sessions"]], opening["total"]) == (
        [one[3] for one in soon[:2]],
        4,
    )


async def test_lateness_is_told_by_minute(fresh: Service) -> None:
    await fresh.psychologist()
    ours, theirs = uuid4(), uuid4()
    admin = fresh.person(Role.SUPER_ADMIN, "Admin")
    our_supervisor, their_supervisor, of_none = people(fresh, ours, theirs, uuid4())
    sessions = [
        await fresh.person(organization_id=one).book_session(in_days(30), in_days(30) + timedelta(hours=1))
        for one in (ours, theirs)
    ]
    minute = (datetime.now(UTC) - timedelta(minutes=10)).replace(second=0, microsecond=0)
    ran = [
        # Session, kind, instant, lateness
        (0, "initial_message", minute, 5),
        (0, "enable_chat", minute + timedelta(seconds=59), 900),
        (1, "initial_message", minute + timedelta(seconds=30), 7),
        (1, "enable_chat", minute + timedelta(minutes=3), 2),
        # Too long ago.
        (1, "end_warning", minute - timedelta(minutes=60), 50_000),
    ]
    for number, kind, at, late in ran:
        await fresh.runtime.pool.execute(
            "UPDATE automations SET status = 'done', executed_at = $3, lateness_ms = $4"
            " WHERE session_id = $1 AND kind = $2",
            UUID(sessions[number]),
            kind,
            at,
            late,
        )

    def of(instant: datetime, count: int, p50: int, p99: int, worst: int) -> dict[str, Any]:
        shown = f"{instant:%Y-%m-%dT%H:%M}:00.000Z"
        return {"minute": shown, "count": count, "p50": p50, "p99": p99, "max": worst}

    later = minute + timedelta(minutes=3)
    assert (await seen(admin))["lateness"] == [of(minute, 3, 7, 900, 900), of(later, 1, 2, 2, 2)]
    assert (await seen(our_supervisor))["lateness"] == [of(minute, 2, 5, 900, 900)]
    assert (await seen(their_supervisor))["lateness"] == [of(minute, 1, 7, 7, 7), of(later, 1, 2, 2, 2)]
    assert (await seen(of_none))["lateness"] == []


async def test_the_service_is_shown_to_administrators_alone(fresh: Service) -> None:
    await fresh.psychologist()
    ours = uuid4()
    admin = fresh.person(Role.SUPER_ADMIN, "Admin")
    (supervisor,) = people(fresh, ours)
    session_id = await session_soon(fresh.person(organization_id=ours), 1800, 60)
    await until(lambda: _is_listed(admin))
    await fresh.runtime.monitor.look()
    whole = await seen(admin)
    assert set(whole) == SHARED | OWN
    assert whole["problems"] == {}
    assert whole["queue"] == {
        "scheduled": 4,
        "leased": 0,
        "due": 0,
        "oldestDueAt": None,
        "lateMs": 0,
        "deadLetters": 0,
    }
    assert whole["outbox"]["waiting"] >= 0
    assert whole["webhooks"] == {"waiting": 0, "dead": 0}
    assert whole["ably"] == {"status": "ok", "mode": "local"}
    postgresql, redis = whole["postgresql"], whole["redis"]
    assert (postgresql["status"], redis["status"]) == ("ok", "ok")
    assert postgresql["latencyMs"] > 0 < redis["latencyMs"]
    assert 0 < postgresql["connections"]["used"] < postgresql["connections"]["limit"]
    assert postgresql["pool"]["idle"] <= postgresql["pool"]["open"] <= postgresql["pool"]["limit"]
    assert redis["usedMemory"] > 0 < redis["clients"]
    assert whole["clock"]["status"] == "ok"
    assert abs(whole["clock"]["offsetMs"]) < 500
    [replica] = whole["replicas"]
    assert replica["roles"] == ["api", "relay", "worker"]
    narrow = await seen(supervisor)
    assert set(narrow) == SHARED
    assert narrow["opening"]["sessions"][0]["sessionId"] == session_id


async def _is_listed(admin: Person) -> bool:
    return len((await seen(admin))["replicas"] or ()) == 1


async def test_what_is_late_or_given_up_is_counted(
    tmp_path: Path, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_nothing(monkeypatch)
    settings = service_settings(
        tmp_path, roles=frozenset({"api"}), reminders=(timedelta(hours=1),), max_active_per_client=3
    )
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as idle:
        await idle.psychologist()
        client = idle.person()
        booked = (await client.book(in_days(30), in_days(30) + timedelta(hours=1))).data
        late, dead = [await session_soon(client, 1800, 60) for _ in range(2)]
        await idle.runtime.pool.execute(
            "UPDATE automations SET due_at = now() - interval '20 s' WHERE session_id = $1 AND kind = $2",
            UUID(late),
            "initial_message",
        )
        await fail_automation(idle, dead, "end_warning")
        await fail_reminders(idle, booked["id"])
        await dead_webhook(idle)
        admin = idle.person(Role.SUPER_ADMIN, "Admin")

        async def is_published() -> bool:
            return bool((await seen(admin))["outbox"]["waiting"] == 0)

        await until(is_published)
        whole = await seen(admin)
    assert (whole["queue"]["due"], whole["queue"]["deadLetters"]) == (1, 2)
    assert 20_000 <= whole["queue"]["lateMs"] < 60_000
    assert INSTANT.fullmatch(whole["queue"]["oldestDueAt"])
    assert whole["webhooks"] == {"waiting": 0, "dead": 1}
    assert QUOTED not in str(whole)


async def test_who_oversees_nothing_sees_nothing(service: Service) -> None:
    assert_refused(await people(service, None)[0].get("/operations/overview"), 403, "FORBIDDEN")
    for role in (Role.CLIENT, Role.STUDENT, Role.EMPLOYEE, Role.PSYCHOLOGIST):
        person = service.person(role, organization_id=uuid4())
        assert_refused(await person.get("/operations/overview"), 403, "FORBIDDEN")


@pytest.mark.wall_time
async def test_nothing_that_was_written_is_in_it(fresh: Service) -> None:
    await fresh.psychologist()
    organization = uuid4()
    overseers = [fresh.person(Role.SUPER_ADMIN, "Admin"), *people(fresh, organization)]
    client = fresh.person(organization_id=organization)
    booked = (await book_soon(client, 1, 60, notes=NOTE)).data
    other = (await book_soon(fresh.person(organization_id=organization), 1800, 60, notes=NOTE)).data
    session_id = booked["chatSession"]["sessionId"]
    await reaches(client, session_id, "active")
    assert (await client.say(session_id, TEXT)).status == 201
    cancelled = await overseers[0].put(f"/counselings/{other['id']}/cancel", {"reason": REASON})
    assert cancelled.status == 200
    for one in overseers:
        for path in (
            "/operations/overview",
            f"/chat/sessions/{session_id}/timeline",
            f"/chat/sessions/{session_id}/diagram?format=json",
            f"/chat/sessions/{session_id}/diagram?format=svg",
            f"/chat/sessions/{other['chatSession']['sessionId']}/timeline",
        ):
            reply = await one.get(path)
            assert reply.status == 200, path
            assert not [word for word in (NOTE, REASON, TEXT, "Budi") if word in str(reply.json)], path


# ---- what is away -----------------------------------------------------------------------------------------


async def test_without_redis_the_rest_is_shown(fresh: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    await fresh.psychologist()
    admin = fresh.person(Role.SUPER_ADMIN, "Admin")
    await session_soon(fresh.person(), 1800, 60)

    async def lost(*_: object) -> list[Any]:
        return [ConnectionError("gone")]

    async def no_answer() -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(RedisClient, "many", lost)
    monkeypatch.setattr(RedisClient, "probe", lambda _self: no_answer())
    monkeypatch.setattr(fresh.runtime.monitor, "status", TimerStatus())
    whole = await seen(admin)
    assert (whole["redis"], whole["replicas"]) == (None, None)
    assert (whole["queue"]["scheduled"], whole["queue"]["leased"], whole["queue"]["due"]) == (None, None, 0)
    assert whole["counts"]["pending"] == whole["opening"]["total"] == 1
    assert whole["postgresql"]["status"] == "ok"
    assert whole["problems"] == {
        "queue": "Redis is away: what waits there is not known",
        "redis": "Redis is away",
        "replicas": "Redis is away: which replicas there are is not known",
    }


async def test_without_postgresql_its_parts_are_null(fresh: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = fresh.person(Role.SUPER_ADMIN, "Admin")
    (supervisor,) = people(fresh, uuid4())
    for one in (admin, supervisor):
        await seen(one)

    async def lost(*_: object, **__: object) -> None:
        raise OSError("gone")

    monkeypatch.setattr(type(fresh.runtime.pool), "_acquire", lost)
    whole, narrow = await seen(admin), await seen(supervisor)
    away = ("counts", "lateness", "opening", "outbox", "postgresql", "queue", "webhooks")
    assert {name: whole[name] for name in away} == dict.fromkeys(away)
    assert whole["problems"] == dict.fromkeys(away, "PostgreSQL is away")
    assert whole["redis"]["status"] == "ok"
    assert narrow["problems"] == dict.fromkeys(("counts", "lateness", "opening"), "PostgreSQL is away")
    assert narrow["countedAt"] is None


async def test_what_does_not_answer_is_waited_for_a_moment_only(
    fresh: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = fresh.person(Role.SUPER_ADMIN, "Admin")
    never = asyncio.Event()

    async def hang(*_: object) -> None:
        await never.wait()

    monkeypatch.setattr(kept, "_PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(session_numbers, "measure_lateness", hang)
    whole = await seen(admin)
    assert (whole["lateness"], whole["problems"].get("lateness")) == (None, "PostgreSQL is away")


async def test_ably_that_takes_nothing_is_told(fresh: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh.runtime.publisher, "_failures", 3)
    whole = await seen(fresh.person(Role.SUPER_ADMIN, "Admin"))
    assert whole["ably"] == {"status": "failing", "mode": "local"}
    assert whole["problems"]["ably"] == "Ably does not take events; they are kept"


# ---- what it costs ----------------------------------------------------------------------------------------


async def test_all_who_look_together_ask_once(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for name in ("count_ahead", "count_begun", "count_ended", "list_openings", "measure_lateness"):
        _watch(monkeypatch, name, asked)
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    supervisors = people(service, uuid4(), uuid4(), uuid4())
    await asyncio.gather(*(seen(one) for one in [admin, *supervisors] for _ in range(5)))
    # The few that are about to open are looked for by organisation, along an index.
    assert sorted(asked) == [
        *("count_ahead", "count_begun", "count_ended"),
        *["list_openings"] * 4,
        "measure_lateness",
    ]


def _watch(monkeypatch: pytest.MonkeyPatch, name: str, asked: list[str]) -> None:
    original = getattr(session_numbers, name)

    async def watched(*arguments: Any) -> Any:
        asked.append(name)
        return await original(*arguments)

    monkeypatch.setattr(session_numbers, name, watched)

"""Extending an open chat: by how much, by whom, and that everything follows the new end."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from rdchat.domain.person import Role
from tests.support.envelope import assert_refused
from tests.support.pair import Pair, a_pair
from tests.support.service import Service, service_settings, whole_second
from tests.support.sessions import CLOSING, instant, opened, reaches
from tests.support.soon import book_at, session_soon
from tests.support.waiting import until
from tests.support.world import at_instant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.service import Person, Reply


MINUTE = timedelta(minutes=1)


@pytest.fixture
async def pair(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Pair]:
    async with a_pair(tmp_path, database_url=database_url, redis_url=redis_url) as made:
        yield made


async def extend(person: Person, session_id: str, minutes: Any = 1, **options: Any) -> Reply:
    path = f"/chat/sessions/{session_id}/extend"
    return await person.call("PUT", path, json={"minutes": minutes}, **options)


@pytest.mark.wall_time
async def test_end_warning_and_token_follow_and_the_client_is_told(service: Service) -> None:
    client, psychologist, session_id = await opened(service, lasts=10)
    before = await client.session(session_id)
    reply = await extend(psychologist, session_id, 7)
    assert (reply.status, reply.json["message"]) == (200, "Chat session extended successfully")
    session = reply.data
    assert session.items() <= (await client.session(session_id)).items()
    assert instant(session["endsAt"]) == instant(before["endsAt"]) + 7 * MINUTE
    assert (session["status"], session["scheduledAt"]) == ("active", before["scheduledAt"])
    assert session["automations"][:2] == before["automations"][:2], "what was done stays as it was"
    for one, former in zip(session["automations"][2:], before["automations"][2:], strict=True):
        assert one == former | {"dueAt": one["dueAt"]}
    assert instant(session["automations"][2]["dueAt"]) == instant(session["endsAt"]) - timedelta(seconds=1)
    assert session["automations"][3]["dueAt"] == session["endsAt"]
    counseling = (await client.get(f"/counselings/{session['counselingId']}")).data
    assert counseling["endsAt"] == session["endsAt"]
    assert counseling["startTime"] <= counseling["endTime"]
    access = (await client.get("/chat/ably-token", sessionId=session_id)).data
    assert instant(access["expiresAt"]) == instant(session["endsAt"]) + 5 * MINUTE
    [told] = [
        one for one in (await client.get("/notifications")).data["data"] if one["type"] == "session_extended"
    ]
    assert told["data"]["sessionId"] == session_id
    types = [one["type"] for one in (await psychologist.get("/notifications")).data["data"]]
    assert "session_extended" not in types


async def test_who_may_not_when_and_by_how_much(service: Service) -> None:
    client, psychologist, session_id = await opened(service, lasts=120)
    before = await client.session(session_id)
    other = await service.psychologist("Rina")
    assert_refused(await extend(client, session_id), 403, "FORBIDDEN")
    assert_refused(await extend(service.person(Role.SUPER_ADMIN), session_id), 403, "NOT_PARTICIPANT")
    assert_refused(await extend(other, session_id), 403, "NOT_PARTICIPANT")
    nowhere = "00000000-0000-4000-8000-000000000000"
    assert_refused(await extend(psychologist, nowhere), 404, "SESSION_NOT_FOUND")
    for minutes in (0, -1, 1.5, "5", None, True, 1441, 2**70):
        refused = await extend(psychologist, session_id, minutes)
        assert_refused(refused, 400, "VALIDATION_FAILED")
        assert set(refused.json["errors"]) == {"minutes"}
    # It lasts two minutes, and may last four hours.
    assert_refused(await extend(psychologist, session_id, 239), 400, "VALIDATION_FAILED")
    assert await client.session(session_id) == before
    assert (await extend(psychologist, session_id, 238)).status == 200
    assert_refused(await extend(psychologist, session_id), 400, "VALIDATION_FAILED")
    assert (await psychologist.put(f"/chat/sessions/{session_id}/end")).status == 200
    assert_refused(await extend(psychologist, session_id), 400, "SESSION_ENDED")


async def test_steps_are_the_services(tmp_path: Path, database_url: str, redis_url: str) -> None:
    settings = service_settings(tmp_path, extension_step=5 * MINUTE)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        _, psychologist, session_id = await opened(service)
        for minutes in (1, 4, 6, 11):
            refused = await extend(psychologist, session_id, minutes)
            assert_refused(refused, 400, "VALIDATION_FAILED")
            assert "5" in refused.json["errors"]["minutes"][0]
        assert (await extend(psychologist, session_id, 15)).status == 200


@pytest.mark.wall_time
async def test_one_that_is_pending_or_cancelled_is_not_extended(service: Service) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    session_id = await session_soon(client, 60, 60)
    refused = await extend(psychologist, session_id)
    assert_refused(refused, 409, "ILLEGAL_TRANSITION")
    assert "pending" in refused.json["message"]
    counseling = (await client.session(session_id))["counselingId"]
    await client.put(f"/counselings/{counseling}/cancel")
    assert_refused(await extend(psychologist, session_id), 400, "SESSION_ENDED")


@pytest.mark.wall_time
async def test_nobody_is_extended_into_what_comes_next(service: Service) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    starts_at = whole_second(1)
    first = (await book_at(client, starts_at, 60)).data["chatSession"]["sessionId"]
    assert (await book_at(client, starts_at + 3 * MINUTE, 60)).status == 201
    await reaches(client, first, "active")
    assert (await extend(psychologist, first, 2)).status == 200, "until the next one begins"
    assert_refused(await extend(psychologist, first, 1), 409, "CLIENT_LIMIT")
    full = (await book_at(service.person(), starts_at + 10 * MINUTE, 60)).data
    assert full["status"] == "pending"
    lonely = service.person()
    second = (await book_at(lonely, whole_second(1), 60)).data["chatSession"]["sessionId"]
    for _ in range(4):
        assert (await book_at(service.person(), starts_at + 10 * MINUTE, 60)).status == 201
    await reaches(lonely, second, "active")
    assert_refused(await extend(psychologist, second, 12), 409, "PSYCHOLOGIST_LIMIT")
    assert (await extend(psychologist, second, 5)).status == 200


@pytest.mark.wall_time
async def test_the_warning_is_repeated_when_it_lies_ahead_again(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    settings = service_settings(tmp_path, extension_step=timedelta(seconds=60))
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        client, psychologist, session_id = await opened(service, lasts=4)
        await reaches(client, session_id, "ending_soon", 5)
        session = (await extend(psychologist, session_id, 1)).data
        assert session["status"] == "active"
        warning = session["automations"][2]
        assert (warning["status"], warning["executedAt"]) == ("scheduled", None)
        assert instant(warning["dueAt"]) == instant(session["endsAt"]) - timedelta(seconds=1)
        again = (await extend(psychologist, session_id, 1)).data
        assert instant(again["endsAt"]) == instant(session["endsAt"]) + MINUTE


async def test_another_replica_that_remembers_the_old_end_does_not_bring_it_back(pair: Pair) -> None:
    """It has the session in memory, with the old end; then it is written to, and ended, through it."""
    client, psychologist, session_id = await opened(pair.one, lasts=3)
    elsewhere = pair.elsewhere(client)
    assert (await elsewhere.say(session_id, "sebelum")).status == 201
    assert (await client.say(session_id, "juga")).status == 201
    before = await client.session(session_id)
    session = (await extend(psychologist, session_id, 2)).data
    await at_instant(instant(before["endsAt"]), offset=0.2)
    for person in (elsewhere, client, pair.elsewhere(psychologist)):
        reply = await person.say(session_id, "sesudah")
        assert reply.status == 201, reply.json
    present = await client.session(session_id)
    assert (present["status"], present["endsAt"]) == ("active", session["endsAt"])
    assert CLOSING not in [one["message"] for one in await client.history(session_id)]
    ended = await elsewhere.put(f"/chat/sessions/{session_id}/end")
    assert ended.status == 200, ended.json
    assert (ended.data["endsAt"], ended.data["outcome"]) == (session["endsAt"], "held")
    channel = f"chat:session:{session_id}"
    await until(lambda: len(pair.world.events(channel, "session-status")) == 3)
    statuses = [one["status"] for one in pair.world.events(channel, "session-status")]
    assert statuses == ["chat_enabled", "rescheduled", "completed"]
    rows = await pair.world.fetch(
        "SELECT status FROM automations WHERE session_id = $1 AND status = 'scheduled'", UUID(session_id)
    )
    assert not rows


async def test_of_two_devices_at_once_no_extension_is_lost_or_undone(pair: Pair) -> None:
    for minutes in ((1, 1), (15, 1), (1, 15), (5, 5, 5, 5)):
        client, psychologist, session_id = await opened(pair.one)
        before = instant((await client.session(session_id))["endsAt"])
        devices = [psychologist, pair.elsewhere(psychologist)] * 2
        replies = await asyncio.gather(
            *(extend(device, session_id, one) for device, one in zip(devices, minutes, strict=False))
        )
        assert {reply.status for reply in replies} <= {200, 409}
        assert {reply.code for reply in replies if reply.status == 409} <= {"ILLEGAL_TRANSITION"}
        granted = sum(one for one, reply in zip(minutes, replies, strict=True) if reply.status == 200)
        assert granted > 0
        ends_at = instant((await client.session(session_id))["endsAt"])
        assert ends_at == before + granted * MINUTE
        await psychologist.put(f"/chat/sessions/{session_id}/end")


@pytest.mark.wall_time
async def test_at_the_end_it_is_either_extended_or_over(pair: Pair) -> None:
    psychologist = await pair.one.psychologist()
    ends_at = whole_second(3) + timedelta(seconds=2)
    people = [pair.one.person() for _ in range(5)]
    sessions = [
        (await book_at(one, ends_at - timedelta(seconds=2), 2)).data["chatSession"]["sessionId"]
        for one in people
    ]

    async def try_to(number: int, session_id: str) -> Reply:
        await at_instant(ends_at, offset=(number - 3) / 500)
        return await extend(pair.elsewhere(psychologist) if number % 2 else psychologist, session_id)

    replies = await asyncio.gather(*(try_to(n, one) for n, one in enumerate(sessions)))
    for client, session_id, reply in zip(people, sessions, replies, strict=True):
        if reply.status == 200:
            session = await client.session(session_id)
            assert instant(session["endsAt"]) == ends_at + MINUTE
            assert session["status"] in ("active", "ending_soon")
            assert (await client.say(session_id, "masih")).status == 201
        else:
            assert_refused(reply, 400, "SESSION_ENDED")
            session = await reaches(client, session_id, "completed")
            assert instant(session["endsAt"]) == ends_at


async def test_messages_keep_their_order_while_it_is_extended(pair: Pair) -> None:
    client, psychologist, session_id = await opened(pair.one)
    elsewhere = pair.elsewhere(client)
    replies = await asyncio.gather(
        *((client if n % 2 else elsewhere).say(session_id, f"pesan {n}") for n in range(30)),
        *(extend(psychologist, session_id) for _ in range(3)),
    )
    assert Counter(reply.status for reply in replies[:30]) == {201: 30}
    seqs = [one["seq"] for one in await client.history(session_id)]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) == 32


@pytest.mark.wall_time
async def test_who_came_is_told_at_the_end(service: Service) -> None:
    psychologist = await service.psychologist()
    starts_at = whole_second(1.2)
    people = {name: service.person(name=name) for name in ("held", "client", "psychologist", "nobody")}
    sessions = {
        name: (await book_at(person, starts_at, 3)).data["chatSession"]["sessionId"]
        for name, person in people.items()
    }
    await reaches(people["held"], sessions["held"], "active")
    for name in ("held", "client"):
        token = await people[name].get("/chat/ably-token", sessionId=sessions[name])
        assert token.status == 200
    for name in ("held", "psychologist"):
        assert (await psychologist.say(sessions[name], "Halo?")).status == 201
    outcomes = {
        name: (await reaches(person, sessions[name], "completed"))["outcome"]
        for name, person in people.items()
    }
    assert outcomes == {
        "held": "held",
        "client": "psychologist_absent",
        "psychologist": "client_absent",
        "nobody": "nobody_came",
    }


@pytest.mark.wall_time
async def test_a_token_taken_long_before_is_no_coming(service: Service) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    starts_at = whole_second(0.1) + timedelta(minutes=40)
    booking = (await book_at(client, starts_at, 60)).data
    session_id = booking["chatSession"]["sessionId"]
    assert (await client.get("/chat/ably-token", sessionId=session_id)).status == 200
    assert (await psychologist.get("/chat/ably-token", sessionId=session_id)).status == 200
    tz = await service.runtime.pool.fetch(
        "SELECT was_there(id, client_id), was_there(id, psychologist_id) FROM chat_sessions WHERE id = $1",
        UUID(session_id),
    )
    assert tuple(tz[0]) == (False, False)

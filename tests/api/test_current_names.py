"""Names as they are now: what a token calls a person is what everyone sees from then on, everywhere."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from rdchat.domain.person import Caller, Role
from tests.support.keys import read_person
from tests.support.pair import Pair, a_pair
from tests.support.service import Person
from tests.support.sessions import opened
from tests.support.soon import in_days

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.service import Service


@pytest.fixture
async def pair(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Pair]:
    async with a_pair(tmp_path, database_url=database_url, redis_url=redis_url) as running:
        yield running


def renamed(service: Service, person: Person, name: str, **facts: Any) -> Person:
    """The same person, with a new token."""
    caller = Caller(person.id, facts.pop("role", person.caller.role), name, **facts)
    token = service.runtime.tokens.issue(caller, lifetime=timedelta(hours=1))
    return Person(service.client, service.base, caller, token)


async def row_of(service: Service, person: Person) -> dict[str, Any]:
    return await read_person(service.runtime.pool, person.id)


async def test_a_changed_name_is_shown_everywhere(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    # The session is in memory, under the old name.
    assert (await client.say(session_id, "Halo")).data["sender"]["fullName"] == "Budi"
    client = renamed(service, client, "Budi Santoso")
    said = await client.say(session_id, "Ini saya")
    assert said.status == 201
    assert said.data["sender"]["fullName"] == "Budi Santoso"
    for reader in (client, psychologist):
        names = {
            one["sender"]["fullName"]
            for one in await reader.history(session_id)
            if one["sender"]["id"] == str(client.id)
        }
        assert names == {"Budi Santoso"}
        session = await reader.session(session_id)
        assert session["client"]["fullName"] == "Budi Santoso"
        listed = (await reader.get("/counselings")).data["data"]
        assert [one["client"]["fullName"] for one in listed] == ["Budi Santoso"]
        page = await reader.get(f"/chat/sessions/{session_id}/transcript", format="txt")
        assert "Budi Santoso" in page.json
    told = await service.runtime.pool.fetch("SELECT version FROM timeline WHERE session_id = $1", session_id)
    assert len(told) == len({row["version"] for row in told} | set(range(len(told))))


async def test_to_read_is_enough_to_be_known_by_a_new_name(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    assert (await renamed(service, client, "Budiman").get("/chat/unread")).status == 200
    assert (await psychologist.session(session_id))["client"]["fullName"] == "Budiman"


async def test_a_name_that_changed_elsewhere_is_known_to_a_session_in_memory(pair: Pair) -> None:
    client, _psychologist, session_id = await opened(pair.one)
    assert (await client.say(session_id, "Halo")).data["sender"]["fullName"] == "Budi"
    client = renamed(pair.one, client, "Budi Santoso")
    assert (await pair.elsewhere(client).get("/chat/unread")).status == 200
    said = await client.say(session_id, "Ini saya")
    assert said.data["sender"]["fullName"] == "Budi Santoso"
    assert [one["seq"] for one in await client.history(session_id)] == list(range(1, said.data["seq"] + 1))


async def test_what_a_session_says_by_itself_has_the_new_name(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    assert (await psychologist.say(session_id, "Halo")).status == 201
    assert (await renamed(service, client, "Budi Santoso").get("/chat/unread")).status == 200
    counseling = (await client.get("/counselings")).data["data"][0]
    assert (await psychologist.put(f"/chat/sessions/{session_id}/extend", {"minutes": 1})).status == 200
    assert (await client.put(f"/counselings/{counseling['id']}/cancel")).status == 200
    told = {one["type"]: one["message"] for one in (await psychologist.get("/notifications")).data["data"]}
    assert told["session_cancelled"].startswith("Sesi konseling dengan Budi Santoso pada ")


async def test_a_psychologist_is_named_by_an_administrator(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    assert (await psychologist.say(session_id, "Halo")).data["sender"]["fullName"] == "Sari"
    other = renamed(service, psychologist, "Doktor Palsu")
    assert (await other.say(session_id, "Halo lagi")).data["sender"]["fullName"] == "Sari"
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    reply = await admin.put(f"/psychologists/{psychologist.id}", {"fullName": " Dr.\u202e  Sari "})
    assert reply.data["fullName"] == "Dr. Sari"
    assert (await psychologist.say(session_id, "Ini saya")).data["sender"]["fullName"] == "Dr. Sari"
    assert (await client.session(session_id))["psychologist"]["fullName"] == "Dr. Sari"


async def test_an_older_token_does_not_bring_an_older_name_back(service: Service) -> None:
    client = service.person()
    old = Caller(client.id, Role.CLIENT, "Budi", issued_at=1.0)
    new = Caller(client.id, Role.CLIENT, "Budi Santoso", issued_at=2.0)
    people = service.runtime.people
    for caller in (old, new):
        assert people.is_news(caller)
        await people.keep(caller)
        assert not people.is_news(caller)
    assert not people.is_news(old)
    # One that says the same is no news either, and neither is a later one.
    assert not people.is_news(Caller(client.id, Role.CLIENT, "Budi Santoso", issued_at=3.0))
    assert people.is_news(Caller(client.id, Role.CLIENT, "Budi", issued_at=3.0))
    assert (await row_of(service, client))["full_name"] == "Budi Santoso"


async def test_every_person_who_calls_has_a_row_that_follows_the_token(service: Service) -> None:
    people = [service.person(role, f"Orang {role}") for role in Role]
    await asyncio.gather(*(one.get("/chat/unread") for one in people))
    for one in people:
        row = await row_of(service, one)
        assert (row["full_name"], row["role"]) == (one.caller.full_name, one.caller.role.value)
    organization = uuid4()
    student = renamed(
        service, people[0], "Orang", role=Role.STUDENT, email="a@b.id", organization_id=organization
    )
    await student.get("/chat/unread")
    row = await row_of(service, student)
    assert (row["full_name"], row["role"], row["email"], row["organization_id"]) == (
        "Orang",
        "student",
        "a@b.id",
        organization,
    )


async def test_a_booking_under_a_new_name_shows_it_in_earlier_sessions(service: Service) -> None:
    await service.psychologist()
    client, start = service.person(), in_days(30)
    session_id = await client.book_session(start, start + timedelta(hours=1))
    client = renamed(service, client, "Budi Santoso")
    later = start + timedelta(days=1)
    assert (await client.book(later, later + timedelta(hours=1))).status == 201
    assert (await client.session(session_id))["client"]["fullName"] == "Budi Santoso"


@pytest.mark.parametrize("name", ["", "  ", "\u202e", "\u200b\u3164", "x" * 101])
async def test_a_psychologist_needs_a_name_that_shows(service: Service, name: str) -> None:
    admin = service.person(Role.SUPER_ADMIN, "Admin")
    reply = await admin.put(f"/psychologists/{uuid4()}", {"fullName": name})
    assert (reply.status, reply.code) == (400, "VALIDATION_FAILED")
    assert set(reply.json["errors"]) == {"fullName"}

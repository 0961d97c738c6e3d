"""What a session says by itself: in whose words, in which language, and by whose clock."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from config import automated_text, organizations
from rdchat.domain.person import Caller, Role
from tests.support.envelope import assert_refused
from tests.support.service import Person, Service, service_settings
from tests.support.sessions import WELCOME, reaches
from tests.support.soon import book_at, book_soon, in_days, second_ahead
from tests.support.spans import on_the_clock
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


CAMPUS = UUID("6f1c2f0e-8a3b-4c59-9d7e-0b2a4c6d8e10")
TEXTS = f"""
[default.texts.id]
auto_end = "Sampai jumpa, {{clientName}}."
[organization."{CAMPUS}"]
language = "en"
[organization."{CAMPUS}".texts.en]
initial_message = "Hello {{clientName}}: {{psychologistName}} is here from {{startTime}} to {{endTime}}."
[organization."{CAMPUS}".texts.id]
initial_message = "Halo {{clientName}}, pukul {{startTime}} ({{minutes}} menit)."
"""


@pytest.fixture
async def worded(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """A replica with texts of its own, and time between a booking's first message and its start."""
    path = tmp_path / "organizations.toml"
    path.write_text(TEXTS, encoding="utf-8")
    read, faults = organizations.read(path)
    assert faults == []
    settings = service_settings(tmp_path, organizations=read, initial_message_lead=timedelta(minutes=1))
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as running:
        await running.psychologist("Dr. Sari")
        yield running


def member(service: Service, organization_id: UUID | None) -> Person:
    caller = Caller(uuid4(), Role.STUDENT, "Budi", organization_id=organization_id)
    token = service.runtime.tokens.issue(caller, lifetime=timedelta(hours=1))
    return Person(service.client, service.base, caller, token)


async def said(person: Person, session_id: str, count: int) -> list[str]:
    async def all_said() -> list[dict[str, Any]] | None:
        history = await person.history(session_id)
        return history if len(history) >= count else None

    return [one["message"] for one in await until(all_said)]


@pytest.mark.wall_time
async def test_an_organisation_speaks_in_its_own_words_and_language(worded: Service) -> None:
    starts_at = second_ahead(2)
    booked = on_the_clock(starts_at, starts_at + timedelta(seconds=90))
    start, end = (booked[name].removesuffix(":00") for name in ("startTime", "endTime"))
    welcomes = {
        (CAMPUS, None): f"Hello Budi: Dr. Sari is here from {start} to {end}.",
        (CAMPUS, "id"): f"Halo Budi, pukul {start} (2 menit).",
        (None, None): WELCOME,
        (uuid4(), "en"): automated_text("initial_message", "en"),
    }
    for (organization_id, language), welcome in welcomes.items():
        client = member(worded, organization_id)
        more = {"language": language} if language else {}
        reply = await book_at(client, starts_at, 90, **more)
        assert reply.status == 201, reply.json
        session_id = reply.data["chatSession"]["sessionId"]
        assert (await said(client, session_id, 1))[0] == welcome


async def test_the_end_is_said_in_the_default_words(worded: Service) -> None:
    client = member(worded, None)
    reply = await book_soon(client, 1, 60)
    session_id = reply.data["chatSession"]["sessionId"]
    await reaches(client, session_id, "active")
    assert (await client.put(f"/chat/sessions/{session_id}/end")).status == 200
    assert (await said(client, session_id, 3))[-1] == "Sampai jumpa, Budi."


@pytest.mark.wall_time
async def test_notifications_are_in_the_language_of_the_session(worded: Service) -> None:
    client = member(worded, CAMPUS)
    start = in_days(3)
    booked = (await client.book(start, start + timedelta(hours=1))).data
    assert (await client.put(f"/counselings/{booked['id']}/cancel")).status == 200
    local = worded.runtime.ably_local
    assert local is not None

    def told() -> list[str]:
        channel = f"notifications:user:{booked['psychologist']['id']}"
        return [
            data
            for where, sent in local.published
            if where == channel and isinstance(data := sent["data"], str)
        ]

    await until(lambda: len(told()) == 2)
    assert "Budi has booked a counselling session with you: " in told()[0]
    assert "The counselling session with Budi on " in told()[1]


async def test_a_language_that_is_not_spoken_is_refused(worded: Service) -> None:
    client, start = member(worded, None), in_days(3)
    for language in ("fr", "ID", "", 1, ["id"]):
        reply = await client.book(start, start + timedelta(hours=1), language=language)
        assert_refused(reply, 400, "VALIDATION_FAILED")
        assert set(reply.json["errors"]) == {"language"}

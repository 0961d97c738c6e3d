"""The limits hold at the start as well: those that were lowered since a session was booked, above all."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.service import Service, service_settings
from tests.support.sessions import reaches
from tests.support.soon import book_at, second_ahead
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.wall_time


async def test_whoever_comes_last_is_turned_away_where_there_is_no_place(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    booked_with = service_settings(tmp_path, roles=frozenset({"api", "relay"}))
    async with Service.running(booked_with, database_url=database_url, redis_url=redis_url) as service:
        psychologist = await service.psychologist()
        clients = [service.person() for _ in range(3)]
        starts_at = second_ahead(2)
        bookings = [(await book_at(client, starts_at, 30)).data for client in clients]
    started_with = service_settings(tmp_path, max_active_per_psychologist=2)
    async with Service.running(started_with, database_url=database_url, redis_url=redis_url) as service:
        # Of those that start together, the ids decide: every replica finds the same.
        placed = sorted(bookings, key=lambda booking: str(booking["id"]))
        for number, booking in enumerate(placed):
            client = service.person(person_id=clients[bookings.index(booking)].id)
            session_id = booking["chatSession"]["sessionId"]
            session = await reaches(client, session_id, "active" if number < 2 else "cancelled")
            assert session["endReason"] == (None if number < 2 else "over_limit")
            if number == 2:
                told = (await client.get("/notifications")).data["data"]
                assert [one["type"] for one in told] == ["session_missed", "counseling_booked"]
        host = service.person(psychologist.caller.role, person_id=psychologist.id)
        assert len((await host.get("/chat/sessions/active")).data["data"]) == 2


async def test_one_that_follows_directly_on_another_opens(service: Service) -> None:
    """The one before is over at that very instant: it takes no place, although no one reports its end."""
    await service.psychologist()
    client = service.person()
    starts_at = second_ahead(1)
    follows_at = starts_at + timedelta(seconds=2)
    assert (await book_at(client, starts_at, 2, method="online")).status == 201
    booking = (await book_at(client, follows_at, 30)).data
    session_id = booking["chatSession"]["sessionId"]

    async def decided() -> bool:
        return bool((await client.session(session_id))["status"] != "pending")

    await until(decided)
    session = await client.session(session_id)
    assert (session["status"], session["endReason"]) == ("active", None)

"""Being told: from booking to end, what both are told is compared with what happened, entry by entry."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from rdchat.common.clock import iso
from rdchat.domain.person import Caller, Role
from rdchat.postgres.notifications import list_notifications
from tests.support.calendars import calendar_link, event_of, events_in, open_calendar
from tests.support.service import Person, Service, service_settings, whole_second
from tests.support.sessions import reaches
from tests.support.soon import book_at, in_days
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.receiver import Receiver

HOUR = timedelta(hours=1)
REASON = "Ibu saya masuk rumah sakit"


@pytest.fixture
async def service(
    database_url: str, redis_url: str, tmp_path: Path, receiver: Receiver
) -> AsyncIterator[Service]:
    """A replica that tells a mailer as well."""
    settings = service_settings(
        tmp_path,
        reminders=(timedelta(seconds=2),),
        webhook_urls=(receiver.url,),
        webhook_secrets=(b"s" * 32,),
        webhook_allow_private=True,
    )
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as running:
        yield running


@dataclass
class Pair:
    """A client in Berlin and a psychologist in Makassar, with what their tokens say of them."""

    client: Person
    psychologist: Person

    @classmethod
    async def of(cls, service: Service) -> Pair:
        psychologist = await service.psychologist("Sari", timezone="Asia/Makassar")
        client = service.person()
        people = [
            _with_token(service, caller)
            for caller in (
                replace(client.caller, email="budi@example.org", timezone="Europe/Berlin", language="en"),
                replace(psychologist.caller, email="sari@example.org"),
            )
        ]
        # Seen once: from then on it is known how to reach them.
        for one in people:
            assert (await one.get("/notifications")).status == 200
        return cls(*people)

    @property
    def both(self) -> tuple[Person, Person]:
        return self.client, self.psychologist


async def assert_told(service: Service, receiver: Receiver, person: Person, *expected: Any) -> None:
    """Compare what a person was told, oldest first: over HTTP, on Ably, by webhook. All in the same form."""

    def sent() -> list[dict[str, Any]]:
        bodies = [json.loads(one.body) for one in receiver.received]
        return sorted(
            (body for body in bodies if body["data"]["person"]["id"] == str(person.id)),
            key=lambda body: body["timestamp"],
        )

    def published() -> list[dict[str, Any]]:
        local = service.runtime.ably_local
        assert local is not None
        channel = f"notifications:user:{person.id}"
        return [json.loads(sent["data"]) for on, sent in local.published if on == channel]

    await until(lambda: len(sent()) >= len(expected) and len(published()) >= len(expected))
    listed = (await person.get("/notifications", limit=100)).data["data"][::-1]
    told = [(one["type"], one["data"]) for one in listed]
    assert told == list(expected)
    forms = [{key: one[key] for key in one if key not in ("isRead", "readAt")} for one in listed]
    assert published() == forms
    who = {
        "id": str(person.id),
        "fullName": person.caller.full_name,
        "email": person.caller.email,
        "locale": person.caller.language,
    }
    of_person = sorted(sent(), key=lambda body: [one["id"] for one in forms].index(body["data"]["id"]))
    assert of_person == [
        {"type": f"notification.{one['type']}", "timestamp": one["createdAt"], "data": {"person": who, **one}}
        for one in forms
    ]


async def assert_shown(service: Service, calendars: list[str], event: dict[str, Any]) -> None:
    """Compare what the calendars of the client, in English, and of the psychologist show."""
    for url, summary in zip(calendars, ("Appointment", "Janji temu"), strict=True):
        shown = events_in((await open_calendar(service, url)).json)
        assert shown == [event | {"SUMMARY": summary}]


def about(
    booked: dict[str, Any], person: Person, pair: Pair, *, reason: str | None = None, **times: datetime
) -> dict[str, Any]:
    """What `data` must be, of a booking as it was answered and of what has changed since."""
    session = booked["chatSession"]
    return {
        "counselingId": booked["id"],
        "sessionId": session and session["sessionId"],
        "startsAt": iso(times["starts_at"]) if "starts_at" in times else booked["scheduledAt"],
        "endsAt": iso(times["ends_at"]) if "ends_at" in times else booked["endsAt"],
        "timezone": "Europe/Berlin" if person is pair.client else "Asia/Makassar",
        "reason": reason,
    }


@pytest.mark.wall_time
async def test_of_a_chat_from_booking_to_end(service: Service, receiver: Receiver) -> None:
    pair = await Pair.of(service)
    client, psychologist = pair.both
    calendars = [await calendar_link(person) for person in pair.both]
    first = whole_second(30)
    booked = (await pair.client.post("/counselings/book", _instants(first, first + HOUR))).data
    session_id = booked["chatSession"]["sessionId"]
    starts_at = whole_second(5)
    ends_at, later = starts_at + timedelta(minutes=2), starts_at + timedelta(minutes=4)
    moved = await client.put(
        f"/counselings/{booked['id']}/reschedule", {"startsAt": iso(starts_at), "endsAt": iso(ends_at)}
    )
    assert moved.status == 200, moved.json
    await reaches(client, session_id, "active")
    assert (await psychologist.put(f"/chat/sessions/{session_id}/extend", {"minutes": 2})).status == 200
    assert (await psychologist.put(f"/chat/sessions/{session_id}/end")).status == 200

    def entry(kind: str, person: Person, end: datetime = ends_at) -> tuple[str, Any]:
        return kind, about(booked, person, pair, starts_at=starts_at, ends_at=end)

    await assert_told(
        service,
        receiver,
        client,
        ("counseling_booked", about(booked, client, pair)),
        entry("reminder", client),
        entry("chat_enabled", client),
        entry("session_extended", client, later),
        entry("session_completed", client, later),
    )
    await assert_told(
        service,
        receiver,
        psychologist,
        ("counseling_booked", about(booked, psychologist, pair)),
        entry("session_rescheduled", psychologist),
        entry("reminder", psychologist),
        entry("chat_enabled", psychologist),
    )
    # Moved, then extended; ended by hand, it was held all the same.
    event = event_of(booked, 2, starts=starts_at, ends=later)
    await assert_shown(service, calendars, event)


@pytest.mark.wall_time
async def test_of_a_chat_that_ends_by_itself_both_are_told(service: Service, receiver: Receiver) -> None:
    pair = await Pair.of(service)
    booked = (await book_at(pair.client, whole_second(1), 2)).data
    await reaches(pair.client, booked["chatSession"]["sessionId"], "completed")
    for person in pair.both:
        data = about(booked, person, pair) | {"timezone": _zone_of(person, booked, pair)}
        kinds = ("counseling_booked", "chat_enabled", "session_completed")
        await assert_told(service, receiver, person, *((kind, data) for kind in kinds))


@pytest.mark.wall_time
async def test_of_one_without_chat_from_booking_to_end(service: Service, receiver: Receiver) -> None:
    pair = await Pair.of(service)
    calendars = [await calendar_link(person) for person in pair.both]
    starts_at = whole_second(4)
    ends_at = starts_at + timedelta(seconds=2)
    booked = (await pair.client.post("/counselings/book", _instants(starts_at, ends_at, "offline"))).data

    async def is_over() -> bool:
        shown = (await pair.client.get(f"/counselings/{booked['id']}")).data
        return bool(shown["status"] == "completed")

    await until(is_over)
    for person in pair.both:
        data = about(booked, person, pair)
        await assert_told(service, receiver, person, ("counseling_booked", data), ("reminder", data))
    await assert_shown(service, calendars, event_of(booked, 0))


@pytest.mark.parametrize("method", ["chat", "offline"])
async def test_of_one_that_is_cancelled_with_the_reason(
    service: Service, receiver: Receiver, method: str
) -> None:
    pair = await Pair.of(service)
    client, psychologist = pair.both
    calendars = [await calendar_link(person) for person in pair.both]
    start, later = in_days(20), in_days(21)
    booked = (await client.post("/counselings/book", _instants(start, start + HOUR, method))).data
    path = f"/counselings/{booked['id']}"
    wish = {"startsAt": iso(later), "endsAt": iso(later + HOUR)}
    assert (await psychologist.put(f"{path}/reschedule", wish)).status == 200
    assert (await client.put(f"{path}/cancel", {"reason": REASON})).status == 200
    assert (await client.put(f"{path}/cancel", {"reason": "Lagi"})).status == 200, "again, nothing happens"
    await assert_told(
        service,
        receiver,
        client,
        ("counseling_booked", about(booked, client, pair)),
        ("session_rescheduled", about(booked, client, pair, starts_at=later, ends_at=later + HOUR)),
    )
    await assert_told(
        service,
        receiver,
        psychologist,
        ("counseling_booked", about(booked, psychologist, pair)),
        (
            "session_cancelled",
            about(booked, psychologist, pair, reason=REASON, starts_at=later, ends_at=later + HOUR),
        ),
    )
    event = event_of(booked, 2, starts=later, ends=later + HOUR) | {"STATUS": "CANCELLED"}
    await assert_shown(service, calendars, event)
    await _assert_sealed(service)
    # Both are shown it afterwards as well; one who runs the service is not.
    for person, shown in (*((one, REASON) for one in pair.both), (service.person(Role.SUPER_ADMIN), None)):
        assert (await person.get(path)).data["cancelReason"] == shown
    for person in pair.both:
        (listed,) = (await person.get("/counselings")).data["data"]
        assert listed["cancelReason"] == REASON


async def test_of_what_an_administrator_cancels_both_are_told(service: Service, receiver: Receiver) -> None:
    pair = await Pair.of(service)
    start = in_days(20)
    booked = (await pair.client.post("/counselings/book", _instants(start, start + HOUR))).data
    administrator = service.person(Role.SUPER_ADMIN, "Admin")
    path = f"/counselings/{booked['id']}"
    assert (await administrator.get(path)).data["cancelReason"] is None
    assert (await administrator.put(f"{path}/cancel", {"reason": REASON})).status == 200
    for person in pair.both:
        await assert_told(
            service,
            receiver,
            person,
            ("counseling_booked", about(booked, person, pair)),
            ("session_cancelled", about(booked, person, pair, reason=REASON)),
        )


async def test_no_one_is_told_of_what_is_not_theirs(service: Service, receiver: Receiver) -> None:
    pair, stranger = await Pair.of(service), service.person()
    start = in_days(20)
    assert (await pair.client.post("/counselings/book", _instants(start, start + HOUR))).status == 201
    await until(lambda: len(receiver.received) == 2)
    told = Counter(json.loads(one.body)["data"]["person"]["id"] for one in receiver.received)
    assert told == Counter(str(one.id) for one in pair.both)
    assert (await stranger.get("/notifications")).data["data"] == []


async def test_a_mailer_is_told_what_the_latest_token_says(service: Service, receiver: Receiver) -> None:
    """Also of a psychologist, whose name is given by administrators and not by tokens."""
    pair = await Pair.of(service)
    caller = Caller(pair.psychologist.id, Role.PSYCHOLOGIST, "Dr. X", email="new@example.org", language="en")
    later = Person(
        service.client, service.base, caller, service.runtime.tokens.issue(caller, lifetime=2 * HOUR)
    )
    assert (await later.get("/notifications")).status == 200
    without = replace(caller, email=None, language=None)
    silent = Person(
        service.client, service.base, without, service.runtime.tokens.issue(without, lifetime=3 * HOUR)
    )
    assert (await silent.get("/notifications")).status == 200, "it says nothing new"
    start = in_days(20)
    assert (await pair.client.post("/counselings/book", _instants(start, start + HOUR))).status == 201
    await until(lambda: len(receiver.received) == 2)
    people = [json.loads(one.body)["data"]["person"] for one in receiver.received]
    (told,) = [one for one in people if one["id"] == str(later.id)]
    assert told == {"id": str(later.id), "fullName": "Sari", "email": "new@example.org", "locale": "en"}


def _with_token(service: Service, caller: Caller) -> Person:
    token = service.runtime.tokens.issue(caller, lifetime=HOUR)
    return Person(service.client, service.base, caller, token)


def _instants(starts_at: datetime, ends_at: datetime, method: str = "chat") -> dict[str, Any]:
    return {"method": method, "startsAt": iso(starts_at), "endsAt": iso(ends_at)}


def _zone_of(person: Person, booked: dict[str, Any], pair: Pair) -> str:
    return str(booked["timezone"]) if person is pair.client else "Asia/Makassar"


async def _assert_sealed(service: Service) -> None:
    """Look for the reason in everything that is stored, and find it where it was put, encrypted."""
    pool = service.runtime.pool
    for table in ("notifications", "counselings", "webhook_deliveries", "outbox", "timeline"):
        rows = await pool.fetch(f"SELECT t::text AS row FROM {table} t")  # noqa: S608 - names, ours
        for row in rows:
            assert REASON not in row["row"]
            assert REASON.encode().hex() not in row["row"]
    (sealed,) = await pool.fetch("SELECT person_id FROM notifications WHERE reason IS NOT NULL")
    told, _ = await list_notifications(
        pool, sealed["person_id"], before=None, limit=100, keys=service.runtime.notifications.keys
    )
    assert REASON in [one.reason for one in told]

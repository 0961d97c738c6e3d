"""Idempotency-Key: sent again, a request has no second effect and the same answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from rdchat.common.errors import UnavailableError
from rdchat.domain.idempotency import Answered, KeyedRequest
from rdchat.postgres import idempotency
from rdchat.services import idempotency as handling
from tests.support.calendars import without_calendar
from tests.support.envelope import assert_refused
from tests.support.forms import form, photo
from tests.support.pair import a_pair
from tests.support.service import whole_second
from tests.support.sessions import instant, opened, reaches
from tests.support.soon import book_at, in_days
from tests.support.spans import on_the_clock
from tests.support.waiting import until
from tests.support.world import at_instant

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.service import Person, Reply, Service

HOUR = timedelta(hours=1)


def booking_at(days: int, **more: Any) -> dict[str, Any]:
    return {
        "method": "chat",
        "date": f"{in_days(days):%Y-%m-%d}",
        "startTime": "12:00",
        "endTime": "13:00",
        "timezone": "UTC",
        **more,
    }


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


class Requests:
    """The requests that heed a key, each in variants. `effects` counts what they did."""

    def __init__(self, service: Service, client: Person, psychologist: Person, session_id: str) -> None:
        self.pool = service.runtime.pool
        self.client, self.psychologist, self.session_id = client, psychologist, session_id
        self.counseling_id = ""

    def sender(self, kind: str) -> Person:
        return self.psychologist if kind == "extend" else self.client

    async def prepare(self) -> None:
        reply = await self.client.post("/counselings/book", booking_at(50))
        assert reply.status == 201, reply.json
        self.counseling_id = reply.data["id"]

    async def send(self, kind: str, person: Person, key: str, variant: int = 0) -> Reply:
        headers = keyed(key)
        match kind:
            case "book":
                body = booking_at(30 + variant)
                return await person.call("POST", "/counselings/book", json=body, headers=headers)
            case "reschedule":
                body = booking_at(60 + variant)
                del body["method"]
                path = f"/counselings/{self.counseling_id}/reschedule"
                return await person.call("PUT", path, json=body, headers=headers)
            case "extend":
                path = f"/chat/sessions/{self.session_id}/extend"
                return await person.call("PUT", path, json={"minutes": 1 + variant}, headers=headers)
            case "message":
                body = {"sessionId": self.session_id, "message": f"Halo {variant}"}
                return await person.call("POST", "/chat/messages", json=body, headers=headers)
        content = photo() if variant == 0 else photo(61)
        return await person.call(
            "POST", "/chat/messages/upload", data=form(self.session_id, content), headers=headers
        )

    async def effects(self) -> tuple[Any, ...]:
        row = await self.pool.fetchrow(
            "SELECT (SELECT count(*) FROM counselings) AS booked, (SELECT count(*) FROM messages) AS said,"
            " (SELECT count(*) FROM timeline WHERE trigger IN ('reschedule', 'extend')) AS moved,"
            " (SELECT count(*) FROM attachments) AS attached,"
            " (SELECT max(ends_at) FROM chat_sessions) AS ends,"
            " (SELECT sum(schedule_version) FROM chat_sessions) AS plans"
        )
        assert row is not None
        return tuple(row)


KINDS = ("book", "reschedule", "extend", "message", "upload")


@pytest.fixture
async def requests(service: Service) -> Requests:
    made = Requests(service, *await opened(service))
    await made.prepare()
    return made


async def test_again_is_the_same_answer_and_another_body_is_refused(requests: Requests) -> None:
    for kind in KINDS:
        person = requests.sender(kind)
        key = f"{kind}-1"
        before = await requests.effects()
        first = await requests.send(kind, person, key)
        assert first.status in (200, 201), first.json
        assert "Idempotency-Replayed" not in first.headers
        done = await requests.effects()
        assert done != before, kind
        for _ in range(2):
            again = await requests.send(kind, person, key)
            assert (again.status, again.json) == (first.status, first.json), kind
            assert again.headers["Idempotency-Replayed"] == "true"
        assert_refused(await requests.send(kind, person, key, 1), 422, "IDEMPOTENCY_MISMATCH")
        assert await requests.effects() == done, kind
    assert_refused(await requests.send("message", requests.client, "book-1"), 422, "IDEMPOTENCY_MISMATCH")
    for wrong in ("", "x" * 256, "kunci saya", "ключ".encode().decode("latin-1")):
        assert_refused(await requests.send("message", requests.client, wrong), 400, "VALIDATION_FAILED")


async def test_a_key_is_of_one_path_as_well_as_of_one_body(requests: Requests) -> None:
    """The same wish for another counselling or session is another request: it gets no answer of the first."""
    client, psychologist = requests.client, requests.psychologist
    named = {"psychologistId": str(psychologist.id)}
    other = (await client.post("/counselings/book", booking_at(51, **named))).data
    for kind in ("reschedule", "extend"):
        person = requests.sender(kind)
        first = await requests.send(kind, person, f"{kind}-5")
        assert first.status == 200, first.json
        done = await requests.effects()
        own = requests.counseling_id, requests.session_id
        requests.counseling_id, requests.session_id = other["id"], other["chatSession"]["sessionId"]
        assert_refused(await requests.send(kind, person, f"{kind}-5"), 422, "IDEMPOTENCY_MISMATCH")
        requests.counseling_id, requests.session_id = own
        assert await requests.effects() == done, kind
        again = await requests.send(kind, person, f"{kind}-5")
        assert (again.json, again.headers["Idempotency-Replayed"]) == (first.json, "true"), kind


async def test_of_twenty_at_once_one_does_it(requests: Requests) -> None:
    for kind in KINDS:
        person = requests.sender(kind)
        replies = await asyncio.gather(*(requests.send(kind, person, f"{kind}-2") for _ in range(20)))
        done = await requests.effects()
        good = [reply for reply in replies if reply.status < 300]
        assert good, kind
        assert len({str(reply.data) for reply in good}) == 1, kind
        for reply in replies:
            if reply.status >= 300:
                assert_refused(reply, 409, "IDEMPOTENCY_IN_FLIGHT")
                assert int(reply.headers["Retry-After"]) >= 1
        fresh = [reply for reply in good if "Idempotency-Replayed" not in reply.headers]
        assert len(fresh) == 1, kind
        assert (await requests.send(kind, person, f"{kind}-2")).data == good[0].data
        assert await requests.effects() == done, kind
    booked, said, moved, attached, *_ = await requests.effects()
    assert (booked, said, moved, attached) == (3, 4, 2, 1)


async def test_a_crash_between_effect_and_answer_makes_no_second_effect(requests: Requests) -> None:
    """What a process leaves that died then: the effect is there, the answer was not noted."""
    for kind in KINDS:
        person = requests.sender(kind)
        first = await requests.send(kind, person, f"{kind}-3")
        done = await requests.effects()
        await requests.pool.execute("UPDATE idempotency SET status = NULL, answer = NULL")
        assert_refused(await requests.send(kind, person, f"{kind}-3"), 409, "IDEMPOTENCY_IN_FLIGHT")
        await requests.pool.execute("UPDATE idempotency SET started_at = now() - interval '21 seconds'")
        replies = await asyncio.gather(*(requests.send(kind, person, f"{kind}-3") for _ in range(5)))
        good = [reply for reply in replies if reply.status < 300]
        assert good, [reply.json for reply in replies]
        for reply in good:
            assert reply.status == first.status
            assert _lasting(reply.data) == _lasting(first.data), kind
        assert await requests.effects() == done, kind


def _lasting(data: dict[str, Any]) -> dict[str, Any]:
    """An answer without what is made anew for every answer: the link to a file."""
    attachment = {
        name: value for name, value in (data.get("attachment") or {}).items() if "url" not in name.lower()
    }
    return {**data, "attachment": {name: v for name, v in attachment.items() if name != "expiresAt"}}


@pytest.mark.wall_time
async def test_a_crash_after_a_move_whose_time_has_come_is_still_answered(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    booking = (await client.book(in_days(9), in_days(9) + HOUR)).data
    starts_at = whole_second(0.7)
    body = on_the_clock(starts_at, starts_at + HOUR)
    path = f"/counselings/{booking['id']}/reschedule"
    first = await client.call("PUT", path, json=body, headers=keyed("pindah"))
    assert first.status == 200, first.json
    await service.runtime.pool.execute(
        "UPDATE idempotency SET status = NULL, answer = NULL, started_at = now() - interval '21 seconds'"
    )
    await at_instant(starts_at, offset=0.01)
    again = await client.call("PUT", path, json=body, headers=keyed("pindah"))
    assert again.status == 200, again.json
    assert again.data["scheduledAt"] == first.data["scheduledAt"]


async def test_a_refusal_does_not_use_the_key_up(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    stranger = service.person()
    path = f"/chat/sessions/{session_id}/extend"
    refused = await psychologist.call("PUT", path, json={"minutes": 1440}, headers=keyed("a"))
    assert_refused(refused, 400, "VALIDATION_FAILED")
    assert (await psychologist.call("PUT", path, json={"minutes": 1}, headers=keyed("a"))).status == 200
    body = {"sessionId": session_id, "message": "Halo"}
    for _ in range(2):
        refused = await stranger.call("POST", "/chat/messages", json=body, headers=keyed("b"))
        assert_refused(refused, 403, "NOT_PARTICIPANT")
    start = in_days(12)
    first = (await client.book(start, start + HOUR)).data
    taken = booking_at(12)
    for _ in range(2):
        refused = await client.call("POST", "/counselings/book", json=taken, headers=keyed("c"))
        assert_refused(refused, 409, "CLIENT_LIMIT")
    await client.put(f"/counselings/{first['id']}/cancel")
    booked = await client.call("POST", "/counselings/book", json=taken, headers=keyed("c"))
    assert (booked.status, "Idempotency-Replayed" in booked.headers) == (201, False)


async def test_an_answer_that_cannot_be_noted_in_time_is_noted_later(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL is away between the effect and the note, for longer than the answer waits."""
    monkeypatch.setattr(handling, "_NOTE_SECONDS", 0.05)
    finish, away, tried = idempotency.finish, True, asyncio.Event()

    async def finish_later(*told: Any, **named: Any) -> None:
        if away:
            tried.set()
            raise UnavailableError("PostgreSQL")
        await finish(*told, **named)

    monkeypatch.setattr(idempotency, "finish", finish_later)
    await service.psychologist()
    client = service.person()
    ask = partial(client.call, "POST", "/counselings/book", json=booking_at(20), headers=keyed("satu"))
    first = await ask()
    assert first.status == 201
    await tried.wait()
    assert_refused(await ask(), 409, "IDEMPOTENCY_IN_FLIGHT")
    away = False

    async def is_replayed() -> bool:
        again = await ask()
        return again.status == 201 and again.data == first.data and "Idempotency-Replayed" in again.headers

    await until(is_replayed, 5)
    assert await service.runtime.pool.fetchval("SELECT count(*) FROM counselings") == 1


async def test_an_answer_that_is_noted_late_is_not_taken_for_that_to_another_request(
    service: Service,
) -> None:
    runtime = service.runtime
    keys = runtime.idempotency.keys
    request = KeyedRequest(uuid4(), "satu", b"x")
    now = runtime.clock.now()
    first, second = uuid4(), uuid4()
    await idempotency.begin(runtime.pool, request, first, now, keys=keys)
    await idempotency.drop(runtime.pool, request)
    await idempotency.begin(runtime.pool, request, second, now, keys=keys)
    await idempotency.finish(runtime.pool, request, first, Answered(201, b"{}"), keys=keys)
    assert await idempotency.begin(runtime.pool, request, uuid4(), now, keys=keys) is idempotency.IN_FLIGHT


async def test_a_key_is_its_senders_own(service: Service) -> None:
    client, psychologist, session_id = await opened(service)
    body = {"sessionId": session_id, "message": "Halo"}
    first, second = [
        await person.call("POST", "/chat/messages", json=body, headers=keyed("sama"))
        for person in (client, psychologist)
    ]
    assert (first.status, second.status) == (201, 201)
    assert first.data["id"] != second.data["id"]
    rows = await service.runtime.pool.fetch("SELECT answer FROM idempotency")
    assert [b"Halo" in row["answer"] for row in rows] == [False, False], "what people write is encrypted, too"


async def test_through_two_replicas_there_is_one_effect(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    async with a_pair(tmp_path, database_url=database_url, redis_url=redis_url) as pair:
        client, psychologist, session_id = await opened(pair.one)
        before = instant((await client.session(session_id))["endsAt"])
        path = f"/chat/sessions/{session_id}/extend"
        for number in range(3):
            replies = await asyncio.gather(
                *(
                    person.call("PUT", path, json={"minutes": 1}, headers=keyed(f"k{number}"))
                    for person in (psychologist, pair.elsewhere(psychologist)) * 4
                )
            )
            assert set(Counter(reply.status for reply in replies)) <= {200, 409}
            ends_at = instant((await client.session(session_id))["endsAt"])
            assert ends_at == before + timedelta(minutes=1 + number)
        start = whole_second(7200)
        booking = (await book_at(client, start, 60)).data
        assert booking["status"] == "pending"


async def test_a_replayed_answer_shows_what_is_true_now(requests: Requests) -> None:
    client, psychologist = requests.client, requests.psychologist

    async def replayed(kind: str, person: Person, first: Reply, data: dict[str, Any]) -> None:
        again = await requests.send(kind, person, f"{kind}-now")
        # The file for a calendar shows what is true now as well.
        assert (again.status, without_calendar(again.data), again.json["message"]) == (
            first.status,
            without_calendar(data),
            first.json["message"],
        )
        assert again.headers["Idempotency-Replayed"] == "true"

    booked = await requests.send("book", client, "book-now")
    path = f"/counselings/{booked.data['id']}"
    wish = {name: value for name, value in booking_at(33).items() if name != "method"}
    moved = await client.put(f"{path}/reschedule", wish)
    assert moved.data["scheduledAt"] != booked.data["scheduledAt"]
    await replayed("book", client, booked, moved.data)
    cancelled = await client.put(f"{path}/cancel")
    assert cancelled.data["status"] == "cancelled"
    await replayed("book", client, booked, cancelled.data)

    moved = await requests.send("reschedule", client, "reschedule-now")
    await replayed("reschedule", client, moved, moved.data)
    path = f"/counselings/{requests.counseling_id}"
    assert (await psychologist.put(f"{path}/reschedule", wish)).status == 200
    # As the client reads it, who reads another clock than the psychologist.
    later = {name: (await client.get(path)).data[name] for name in moved.data}
    assert later["scheduledAt"] != moved.data["scheduledAt"]
    done = await requests.effects()
    await replayed("reschedule", client, moved, later)

    extended = await requests.send("extend", psychologist, "extend-now")
    await replayed("extend", psychologist, extended, extended.data)
    ended = await client.put(f"/chat/sessions/{requests.session_id}/end")
    await replayed("extend", psychologist, extended, ended.data)
    assert (await requests.effects())[2] == done[2] + 1


@pytest.mark.wall_time
async def test_a_replayed_booking_says_that_its_chat_has_opened(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    starts_at = whole_second(1)
    body = {"method": "chat", **on_the_clock(starts_at, starts_at + timedelta(minutes=1))}

    async def book() -> Reply:
        return await client.call("POST", "/counselings/book", json=body, headers=keyed("buka"))

    booked = await book()
    assert (booked.status, booked.data["status"]) == (201, "pending")
    session_id = booked.data["chatSession"]["sessionId"]
    await reaches(client, session_id, "active")
    again = await book()
    assert again.status == 201
    assert again.data == booked.data | {
        "status": "active",
        "chatSession": booked.data["chatSession"] | {"status": "active", "isChatEnabled": True},
    }

"""Signing in to the pages on the embedded default, and the rehearsal: who may, and what they get."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest

from rdchat.domain.person import Role
from rdchat.local.people import HOURS, ORGANIZATION, PEOPLE, SARI
from tests.support.envelope import assert_refused
from tests.support.service import Person, Reply, Service, service_settings
from tests.support.soon import in_days
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def running(tmp_path: Path, database: str, redis: str, **changes: Any) -> AsyncIterator[Service]:
    settings = service_settings(tmp_path, **{"jwt_secret_is_generated": True, **changes})
    async with Service.running(settings, database_url=database, redis_url=redis) as service:
        yield service


@pytest.fixture
async def near(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Service]:
    """A service with a secret of its own making."""
    async with running(tmp_path, database_url, redis_url) as service:
        yield service


async def ask(service: Service, method: str, path: str, body: Any = None, **headers: str) -> Reply:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    async with service.client.request(method, service.base + path, json=body, headers=said) as answer:
        is_json = answer.content_type == "application/json"
        return Reply(answer.status, await answer.json() if is_json else await answer.text(), answer.headers)


async def sign_in(service: Service, person_id: UUID, **headers: str) -> Reply:
    return await ask(service, "POST", "/app/sign-in", {"personId": str(person_id)}, **headers)


def holder(service: Service, signed_in: dict[str, Any]) -> Person:
    """Whoever has the token that was given."""
    token = signed_in["token"]
    return Person(service.client, service.base, service.runtime.tokens.verify(token), token)


async def test_the_people_are_always_the_same(near: Service) -> None:
    first, second = [(await ask(near, "GET", "/app/people")).data for _ in range(2)]
    assert first == second
    assert [one["role"] for one in first] == [
        *("client", "employee", "psychologist", "psychologist", "psychologist", "supervisor", "super_admin"),
    ]
    assert all(UUID(one["id"]) and one["fullName"] and one["timezone"] for one in first)
    assert {one["organizationId"] for one in first} == {None, str(ORGANIZATION)}


async def test_each_of_them_is_let_in_as_who_they_are(near: Service) -> None:
    for one in (await ask(near, "GET", "/app/people")).data:
        signed_in = (await sign_in(near, one["id"])).data
        assert signed_in["person"] == one
        lasts = datetime.fromisoformat(signed_in["expiresAt"]) - near.runtime.clock.now()
        assert timedelta(minutes=59) < lasts <= timedelta(hours=1)
        caller = near.runtime.tokens.verify(signed_in["token"])
        assert (str(caller.id), caller.role, caller.full_name) == (one["id"], one["role"], one["fullName"])
        assert caller.timezone == one["timezone"]
        assert (str(caller.organization_id) if caller.organization_id else None) == one["organizationId"]
        assert (await holder(near, signed_in).get("/counselings")).status == 200


async def test_psychologists_can_be_booked_once_they_are_listed(near: Service) -> None:
    client = near.person()
    assert (await client.get("/psychologists")).data["data"] == []
    await ask(near, "GET", "/app/people")
    listed = {one["id"]: one for one in (await client.get("/psychologists")).data["data"]}
    assert set(listed) == {str(one) for one in HOURS}
    zones = {one: listed[str(one)]["timezone"] for one in HOURS}
    assert zones == {one: hours.timezone for one, hours in HOURS.items()}
    assert len(set(zones.values())) == 3
    weekly = [(await client.get(f"/psychologists/{one}/availability")).data["weekly"] for one in HOURS]
    assert [len(one) for one in weekly] == [0, 5, 6]
    booked = await client.post(
        "/counselings/book",
        {
            "method": "chat",
            "psychologistId": str(SARI.id),
            "date": f"{in_days(30):%Y-%m-%d}",
            "startTime": "02:00",
            "endTime": "03:00",
        },
    )
    assert booked.status == 201, booked.json


async def test_what_was_changed_of_them_stays(near: Service) -> None:
    psychologist = holder(near, (await sign_in(near, SARI.id)).data)
    path = f"/psychologists/{SARI.id}"
    weekly = [{"weekday": 3, "startTime": "10:00", "endTime": "12:00"}]
    assert (await psychologist.put(f"{path}/availability", {"weekly": weekly})).status == 200
    admin = near.person(Role.SUPER_ADMIN)
    assert (await admin.put(path, {"fullName": "Sari W.", "isActive": False})).status == 200
    await ask(near, "GET", "/app/people")
    await sign_in(near, SARI.id)
    assert (await psychologist.get(f"{path}/availability")).data["weekly"] == weekly
    found = (await admin.get(path)).data
    assert (found["fullName"], found["isActive"]) == ("Sari W.", False)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"personId": str(uuid4())}, 404, "NOT_FOUND"),
        ({"personId": "admin"}, 400, "VALIDATION_FAILED"),
        ({}, 400, "VALIDATION_FAILED"),
        ([], 400, "VALIDATION_FAILED"),
        ({"personId": str(SARI.id), "role": "super_admin"}, 400, "VALIDATION_FAILED"),
    ],
)
async def test_there_are_no_others(near: Service, body: Any, status: int, code: str) -> None:
    assert_refused(await ask(near, "POST", "/app/sign-in", body), status, code)


def _routes(own: str) -> list[tuple[str, str, Any]]:
    return [
        ("GET", "/app/people", None),
        ("POST", "/app/sign-in", {"personId": own}),
        ("POST", "/app/rehearsal", {}),
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "same-origin", "Origin": "https://evil.example"},
        {"Host": "evil.example"},
        {"Host": "evil.example:8080", "Origin": "http://evil.example:8080", "Sec_Fetch_Site": "same-origin"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example:80"},
        {"Host": "10.0.0.1:8080"},
        {"Host": "localhost@evil.example"},
        {"X_Forwarded_For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"X_Real_IP": "203.0.113.9"},
        {"X_Forwarded_Proto": "https"},
    ],
)
async def test_other_sites_and_other_machines_get_nothing(near: Service, headers: dict[str, str]) -> None:
    for method, path, body in _routes(str(SARI.id)):
        refused = await ask(near, method, path, body, **headers)
        assert_refused(refused, 403, "FORBIDDEN")


async def test_a_proxy_on_the_machine_that_says_nothing_of_itself_gets_nothing(near: Service) -> None:
    """One that is told nothing but where to pass requests on speaks HTTP/1.0, to the name it was told."""
    host, port = near.base.removeprefix("http://").split(":")
    for method, path, body in _routes(str(SARI.id)):
        reader, writer = await asyncio.open_connection(host, int(port))
        content = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {path} HTTP/1.0\r\nHost: {host}:{port}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content)
        assert b" 403 " in (await reader.readline()), path
        writer.close()
        await writer.wait_closed()


async def test_a_page_of_another_origin_does_not_get_past_a_preflight_either(near: Service) -> None:
    asked = {"Origin": "https://evil.example", "Access_Control_Request_Method": "POST"}
    preflight = await ask(near, "OPTIONS", "/app/sign-in", **asked)
    assert "Access-Control-Allow-Origin" not in preflight.headers


async def test_from_another_machine_the_name_does_not_help(
    near: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiohttp.web_request.BaseRequest.remote", "192.168.1.7")
    for method, path, body in _routes(str(SARI.id)):
        assert_refused(await ask(near, method, path, body), 403, "FORBIDDEN")
    monkeypatch.setattr("aiohttp.web_request.BaseRequest.remote", "::ffff:127.0.0.1")
    assert (await ask(near, "GET", "/app/people")).status == 200


async def test_the_page_itself_is_let_in(near: Service) -> None:
    port = urlsplit(near.base).port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", "localhost"):
        asked = {"Host": host, "Origin": f"http://{host}", "Sec_Fetch_Site": "same-origin"}
        assert (await sign_in(near, SARI.id, **asked)).status == 200, host
    assert (await ask(near, "GET", "/app/people", Sec_Fetch_Site="none")).status == 200
    # No page can send what is typed into the address bar by POST.
    assert_refused(await sign_in(near, SARI.id, Sec_Fetch_Site="none"), 403, "FORBIDDEN")


@pytest.mark.parametrize(
    "changes",
    [
        {"jwt_secret_is_generated": False},
        {"database_url": "postgresql://somewhere"},
        {
            "jwt_secret_is_generated": False,
            "oidc_authority": "https://id.example",
            "oidc_client_id": "web",
        },
    ],
)
async def test_elsewhere_there_is_no_such_thing(
    tmp_path: Path, database_url: str, redis_url: str, changes: dict[str, Any]
) -> None:
    async with running(tmp_path, database_url, redis_url, **changes) as service:
        for method, path, body in _routes(str(SARI.id)):
            assert_refused(await ask(service, method, path, body), 404, "NOT_FOUND")


async def test_a_rehearsal_is_short_and_starts_in_a_moment(near: Service) -> None:
    began = near.runtime.clock.now()
    reply = await ask(near, "POST", "/app/rehearsal", {})
    assert reply.status == 201
    booked = reply.data
    starts_at, ends_at = (datetime.fromisoformat(booked[name]) for name in ("startsAt", "endsAt"))
    assert timedelta(seconds=20) <= starts_at - began < timedelta(seconds=30)
    assert ends_at - starts_at == timedelta(minutes=2)
    client, psychologist = (holder(near, booked[who]) for who in ("client", "psychologist"))
    assert (client.caller.role, psychologist.id) == (Role.CLIENT, SARI.id)
    session = await client.session(booked["sessionId"])
    assert (await psychologist.session(booked["sessionId"]))["id"] == session["id"]
    due = {one["kind"]: datetime.fromisoformat(one["dueAt"]) for one in session["automations"]}
    assert due["end_warning"] == ends_at - timedelta(seconds=45)
    assert (await client.get(f"/counselings/{booked['counselingId']}")).data["id"] == booked["counselingId"]

    async def greeted() -> bool:
        return bool(await client.history(booked["sessionId"]))

    await until(greeted, 10)


async def test_rehearsals_are_held_to_no_rule(tmp_path: Path, database_url: str, redis_url: str) -> None:
    strict: dict[str, Any] = {
        "min_session": timedelta(hours=1),
        "booking_notice": timedelta(days=1),
        "max_pending_per_client": 1,
        "max_active_per_psychologist": 1,
        "initial_message_lead": timedelta(0),
        "end_warning_lead": timedelta(hours=1),
    }
    async with running(tmp_path, database_url, redis_url, **strict) as service:
        admin = service.person(Role.SUPER_ADMIN)
        await ask(service, "GET", "/app/people")
        day_off = {"weekly": [], "exceptions": [{"date": f"{in_days(0):%Y-%m-%d}", "isAvailable": False}]}
        await admin.put(f"/psychologists/{SARI.id}/availability", day_off)
        booked = [(await ask(service, "POST", "/app/rehearsal", {})).data for _ in range(3)]
        assert len({one["sessionId"] for one in booked}) == 3
        assert len({one["client"]["person"]["id"] for one in booked}) == 3
        assert {one["psychologist"]["person"]["id"] for one in booked} == {str(SARI.id)}
        # All others are held to theirs as before.
        refused = await service.person().book(service.runtime.clock.now(), service.runtime.clock.now())
        assert refused.status == 400
        await admin.put(f"/psychologists/{SARI.id}", {"isActive": False})
        another = (await ask(service, "POST", "/app/rehearsal", {})).data
        assert another["psychologist"]["person"]["id"] != str(SARI.id)
        for one in HOURS:
            await admin.put(f"/psychologists/{one}", {"isActive": False})
        assert_refused(await ask(service, "POST", "/app/rehearsal", {}), 409, "NO_PSYCHOLOGIST")
        assert_refused(await ask(service, "POST", "/app/rehearsal", {"x": 1}), 400, "VALIDATION_FAILED")


def test_everyone_has_an_id_and_a_name_of_their_own() -> None:
    assert len({one.id for one in PEOPLE}) == len({one.full_name for one in PEOPLE}) == len(PEOPLE)

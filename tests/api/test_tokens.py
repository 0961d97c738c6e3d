"""Tokens: which callers are let in, and exactly what the Ably tokens that they get allow."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import aiohttp
import jwt
import pytest

from handlers.server.application import ROUTES as ALL_ROUTES
from rdchat.domain.person import Caller, Role
from tests.support.bases import request_of
from tests.support.envelope import assert_refused, envelope_fault
from tests.support.service import SECRET, Person, Reply
from tests.support.soon import in_days, session_soon
from tests.support.tokens import claims_of
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.service import Service

START = in_days(30)
END = START + timedelta(hours=1)
#: Those that ask for a token.
ROUTES = tuple(route for route in ALL_ROUTES if not route.public)
_IDS = ("session", "counseling", "psychologist", "attachment", "notification")


def signed(key: str = SECRET, algorithm: str = "HS256", /, **changes: Any) -> str:
    return jwt.encode(claims_of(**changes), key, algorithm=algorithm)


def signed_raw(payload: str) -> str:
    """A token whose payload is any text at all, under the right signature."""
    parts = [json.dumps({"alg": "HS256", "typ": "JWT"}), payload]
    body = b".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=") for part in parts)
    mac = hmac.digest(SECRET.encode(), body, "sha256")
    return (body + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


async def knock(service: Service, authorization: str | None) -> Reply:
    headers = {} if authorization is None else {"Authorization": authorization}
    url = f"{service.base}/api/v1/counselings"
    async with service.client.get(url, headers=headers) as answer:
        is_json = answer.content_type == "application/json"
        return Reply(answer.status, await answer.json() if is_json else await answer.text(), answer.headers)


async def let_in(service: Service, callers: Mapping[str, str | None]) -> dict[str, str]:
    """Knock with each header. Gives those that were not refused properly, and how."""
    faults = {}
    for name, authorization in callers.items():
        reply = await knock(service, authorization)
        fault = envelope_fault(reply)
        if fault is None and (reply.status, reply.json["code"]) != (401, "UNAUTHENTICATED"):
            fault = f"{reply.status} {reply.json['code']}"
        if fault is None and not reply.headers.get("WWW-Authenticate", "").startswith("Bearer"):
            fault = f"WWW-Authenticate is {reply.headers.get('WWW-Authenticate')!r}"
        if fault is not None:
            faults[name] = fault
    return faults


async def test_a_good_token_is_let_in(service: Service) -> None:
    for role in Role:
        assert (await knock(service, f"Bearer {signed(role=role.value)}")).status == 200
    for scheme in ("bearer", "BEARER"):
        assert (await knock(service, f"{scheme} {signed()}")).status == 200
    assert (
        await knock(service, f"Bearer {signed(email='a@b.id', organizationId=str(uuid4()))}")
    ).status == 200


async def test_a_header_that_is_no_bearer_token(service: Service) -> None:
    good = signed()
    callers = {
        "missing": None,
        "empty": "",
        "scheme alone": "Bearer",
        "scheme and blank": "Bearer ",
        "no scheme": good,
        "Basic": f"Basic {good}",
        "Token": f"Token {good}",
        "twice": f"Bearer {good} {good}",
        "comma": f"Bearer {good}, Bearer {good}",
        "garbage": "Bearer garbage",
        "three dots": "Bearer a.b.c",
        "dots alone": "Bearer ..",
        "not Latin": "Bearer 😊.😊.😊",
        "cut": f"Bearer {good[:-5]}",
        "no signature": f"Bearer {good.rpartition('.')[0]}.",
        "a letter changed": f"Bearer {good[:60]}{'A' if good[60] != 'A' else 'B'}{good[61:]}",
    }
    assert await let_in(service, callers) == {}


async def test_a_token_that_somebody_else_signed(service: Service) -> None:
    header = {"alg": "none", "typ": "JWT"}
    unsigned = b".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims_of())
    ).decode()
    callers = {
        "alg none": f"Bearer {jwt.encode(claims_of(), '', algorithm='none')}",
        "alg none by hand": f"Bearer {unsigned}.",
        "another key": f"Bearer {signed('another secret that is also long enough')}",
        "an algorithm that is not allowed": f"Bearer {signed(SECRET * 2, 'HS512')}",
        "HS384 with our key": f"Bearer {signed(SECRET * 2, 'HS384')}",
        "the Ably key": f"Bearer {signed(service.runtime.settings.ably_key.partition(':')[2])}",
    }
    assert await let_in(service, callers) == {}


async def test_an_ably_token_is_no_token_of_a_caller(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    session_id = await client.book_session(START, END)
    token = (await client.get("/chat/ably-token", sessionId=session_id)).data["token"]
    assert await let_in(service, {"Ably": f"Bearer {token}"}) == {}


async def test_claims_that_are_missing_or_wrong(service: Service) -> None:
    now = int(time.time())
    wrong: dict[str, dict[str, Any]] = {
        "expired": {"exp": now - 60},
        "expired long ago": {"exp": 0},
        "issued in the future": {"iat": now + 600},
        "not valid yet": {"nbf": now + 600},
        "exp a text": {"exp": "soon"},
        "exp an object": {"exp": {}},
        "wrong iss": {"iss": "somebody"},
        "iss a list": {"iss": ["rdchat"]},
        "wrong aud": {"aud": "somebody"},
        "aud a list of others": {"aud": ["others", "rdchat2"]},
        "aud an empty list": {"aud": []},
        "aud empty": {"aud": ""},
        "aud a number": {"aud": 5},
        "aud an object": {"aud": {"rdchat": True}},
        "aud a list with a number": {"aud": ["rdchat", 5]},
        "aud a list with null": {"aud": [None, "rdchat"]},
        "aud a nested list": {"aud": [["rdchat"]]},
        "aud a list with a list": {"aud": ["rdchat", ["rdchat"]]},
        "aud null": {"aud": None},
        "sub not a UUID": {"sub": "budi"},
        "sub empty": {"sub": ""},
        "sub a number": {"sub": 5},
        "sub a list": {"sub": [str(uuid4())]},
        "role empty": {"role": ""},
        "role blank": {"role": "  "},
        "role a number": {"role": 5},
        "role null": {"role": None},
        "role a list": {"role": ["client"]},
        "role an object": {"role": {"client": True}},
        "name empty": {"fullName": ""},
        "name blank": {"fullName": " \u3000"},
        "name null": {"fullName": None},
        "name a number": {"fullName": 5},
        "name a list": {"fullName": ["Budi"]},
        "name of control characters": {"fullName": "\x00\x07\x1b\x7f\x85"},
        "name of line breaks": {"fullName": "\r\n\u2028\u2029"},
        "name of bidi controls": {"fullName": "\u202e\u2066\u200f"},
        "name of what cannot be seen": {"fullName": "\u200b\u3164\u2800\ufeff"},
        "name of half a pair": {"fullName": "\ud83d"},
        "email a number": {"email": 5},
        "email with NUL": {"email": "a\x00@b.id"},
        "organization not a UUID": {"organizationId": "PT Satu"},
        "organization a list": {"organizationId": []},
        "organization a number": {"organizationId": 5},
        "zoneinfo a number": {"zoneinfo": 7},
        "zoneinfo a list": {"zoneinfo": ["Asia/Jakarta"]},
        "zoneinfo an object": {"zoneinfo": {}},
        "zoneinfo false": {"zoneinfo": False},
        "locale a number": {"locale": 1},
        "locale a list": {"locale": ["id"]},
        "an unknown role and no name": {"role": "auditor", "fullName": ""},
        "an unknown role of another audience": {"role": "auditor", "aud": "others"},
        "an unknown role, expired": {"role": "auditor", "exp": now - 60},
        "issued a minute from now": {"iat": now + 60},
    }
    wrong |= {
        f"without {name}": {name: ...} for name in ("exp", "iat", "iss", "aud", "sub", "role", "fullName")
    }
    callers = {
        name: f"Bearer {signed_raw(json.dumps(claims_of(**changes)))}" for name, changes in wrong.items()
    }
    assert await let_in(service, callers) == {}


async def test_the_audience_may_be_one_of_several(service: Service) -> None:
    for aud in ("rdchat", ["rdchat"], ["others", "rdchat"], ["rdchat", ""]):
        assert (await knock(service, f"Bearer {signed(aud=aud)}")).status == 200, aud


async def test_clocks_of_issuer_and_service_may_differ_a_little(service: Service) -> None:
    now = int(time.time())
    for name in ("iat", "nbf"):
        for ahead in (1, 4):
            reply = await knock(service, f"Bearer {signed(**{name: now + ahead})}")
            assert reply.status == 200, (name, ahead)
        assert_refused(await knock(service, f"Bearer {signed(**{name: now + 60})}"), 401, "UNAUTHENTICATED")


@pytest.mark.parametrize("role", ["admin", "CLIENT", "auditor", " client", "klien\x00", "x" * 1_000])
async def test_a_role_that_means_nothing_here_is_no_permission(service: Service, role: str) -> None:
    person_id = uuid4()
    token = signed(role=role, sub=str(person_id))
    before = service.runtime.rates.remembered
    for route in ROUTES:
        path, options = request_of(route, dict.fromkeys(_IDS, str(uuid4())))
        person = Person(service.client, service.base, Caller(person_id, Role.CLIENT, "Budi"), token)
        reply = await person.call(route.method, path, **options)
        assert_refused(reply, 403, "FORBIDDEN")
    assert service.runtime.rates.remembered == before
    assert await service.runtime.pool.fetchval("SELECT count(*) FROM people WHERE id = $1", person_id) == 0


async def test_optional_claims_are_read_and_what_is_unknown_is_absent(service: Service) -> None:
    for zone, expected in (
        ("Asia/Jakarta", "Asia/Jakarta"),
        ("UTC", "UTC"),
        (..., None),
        (None, None),
        ("", None),
        ("asia/jakarta", None),
        ("Atlantis/Poseidonis", None),
        ("../../etc/passwd", None),
        ("Asia/Jakarta\x00", None),
        ("\ud83d", None),
        ("x" * 5_000, None),
    ):
        caller = service.runtime.tokens.verify(signed_raw(json.dumps(claims_of(zoneinfo=zone))))
        assert caller.timezone == expected, zone
    for locale, language in (
        ("id", "id"),
        ("id-ID", "id"),
        ("id_ID", "id"),
        ("ID", "id"),
        ("in_ID", "id"),
        ("en", "en"),
        ("en-GB-oxendict", "en"),
        ("en_US.UTF-8", "en"),
        (..., None),
        (None, None),
        ("", None),
        ("de-DE", None),
        ("idx", None),
        ("*", None),
        ("\x00", None),
        ("\ud83d", None),
    ):
        caller = service.runtime.tokens.verify(signed_raw(json.dumps(claims_of(locale=locale))))
        assert caller.language == language, locale


async def test_a_token_that_is_issued_here_says_what_its_caller_is(service: Service) -> None:
    tokens = service.runtime.tokens
    for caller in (
        Caller(uuid4(), Role.CLIENT, "Budi"),
        Caller(uuid4(), Role.EMPLOYEE, "Budi", "a@b.id", uuid4(), "Asia/Makassar", "en"),
    ):
        assert tokens.verify(tokens.issue(caller, lifetime=timedelta(hours=1))) == caller


async def test_a_name_is_cleaned_before_anybody_sees_it(service: Service) -> None:
    for name, shown in (
        ("  Budi \n Santoso\x00 ", "Budi Santoso"),
        ("Bu\ud83ddi", "Budi"),
        ("\u202eidub", "idub"),
        ("x" * 201, "x" * 100),
    ):
        token = signed_raw(json.dumps(claims_of(fullName=name)))
        assert service.runtime.tokens.verify(token).full_name == shown


async def test_payloads_that_are_no_claims_of(service: Service) -> None:
    payloads = {
        "empty": "",
        "no JSON": "claims",
        "a list": "[]",
        "a text": '"rdchat"',
        "null": "null",
        "deep": "[" * 3_000,
        "exp Infinity": json.dumps(claims_of(exp=float("inf"))),
        "exp NaN": json.dumps(claims_of(exp=float("nan"))),
        "exp of 400 digits": json.dumps(claims_of(exp=10**400)),
        "exp of 5,000 digits": json.dumps(claims_of(exp=0)).replace('"exp": 0', '"exp": ' + "9" * 5_000),
        "iat Infinity": json.dumps(claims_of(iat=float("inf"))),
        "nbf Infinity": json.dumps(claims_of(nbf=float("inf"))),
    }
    callers = {name: f"Bearer {signed_raw(payload)}" for name, payload in payloads.items()}
    assert await let_in(service, callers) == {}


async def test_an_email_that_cannot_be_stored_is_no_email(service: Service) -> None:
    """What is kept of a token is written at the first booking: it must not fail there."""
    await service.psychologist()
    token = signed_raw(json.dumps(claims_of(email="a\ud83d@b.id")))
    body = {"method": "chat", "date": f"{START:%Y-%m-%d}", "startTime": "10:00", "endTime": "11:00"}
    headers = {"Authorization": f"Bearer {token}"}
    async with service.client.post(
        f"{service.base}/api/v1/counselings/book", json=body, headers=headers
    ) as answer:
        assert answer.status in (201, 401), await answer.text()


async def test_a_token_that_was_let_in_stops_working_when_it_expires(service: Service) -> None:
    # Already over, but within what the clocks of issuer and service may differ by.
    authorization = f"Bearer {signed(iat=int(time.time()) - 60, exp=int(time.time()) - 3)}"
    assert (await knock(service, authorization)).status == 200

    async def refused() -> Reply | None:
        reply = await knock(service, authorization)
        return reply if reply.status != 200 else None

    reply = await until(refused)
    assert reply is not None
    assert_refused(reply, 401, "UNAUTHENTICATED")


# ---- tokens for Ably --------------------------------------------------------------------------------------


async def booked(service: Service) -> tuple[Person, Person, str]:
    psychologist = await service.psychologist()
    client = service.person()
    return client, psychologist, await client.book_session(START, END)


def capability_of(person: Person, session_id: str) -> dict[str, list[str]]:
    """What is allowed before the chat opens."""
    return {
        f"chat:session:{session_id}": ["history", "subscribe"],
        f"typing:session:{session_id}": ["subscribe"],
        f"notifications:user:{person.id}": ["history", "subscribe"],
    }


async def test_an_ably_token_allows_exactly_what_its_session_needs(service: Service) -> None:
    client, psychologist, session_id = await booked(service)
    key_name, _, secret = service.runtime.settings.ably_key.partition(":")
    for person in (client, psychologist):
        before = time.time()
        answer = (await person.get("/chat/ably-token", sessionId=session_id)).data
        token = answer["token"]
        header = jwt.get_unverified_header(token)
        assert header == {"alg": "HS256", "kid": key_name, "typ": "JWT"}
        payload = jwt.decode(token, secret, algorithms=["HS256"])
        assert set(payload) == {
            "iat",
            "exp",
            "jti",
            "x-ably-capability",
            "x-ably-clientId",
            "x-ably-revocation-key",
        }
        capability = json.loads(payload["x-ably-capability"])
        assert {channel: sorted(operations) for channel, operations in capability.items()} == capability_of(
            person, session_id
        )
        assert "*" not in payload["x-ably-capability"]
        assert payload["x-ably-clientId"] == answer["clientId"] == str(person.id)
        assert payload["exp"] - payload["iat"] <= 30 * 60
        assert before - 1 <= payload["iat"] <= time.time()
        expires_at = datetime.fromisoformat(answer["expiresAt"]).timestamp()
        assert abs(expires_at - payload["exp"]) < 1.5
        assert service.runtime.ably.endpoint is not None
        endpoint, _, port = service.runtime.ably.endpoint.rpartition(":")
        assert answer == answer | {
            "capability": capability,
            "channelName": f"chat:session:{session_id}",
            "typingChannelName": f"typing:session:{session_id}",
            "notificationChannelName": f"notifications:user:{person.id}",
            "clientOptions": {"endpoint": endpoint, "port": int(port), "tls": False},
        }
        assert len(answer) == 8


async def test_an_ably_token_does_not_outlive_its_session_by_more_than_the_grace(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    session_id = await session_soon(client, 60, 60)
    ends_at = datetime.fromisoformat((await client.session(session_id))["endsAt"]).timestamp()
    for form in ("jwt", "tokenRequest"):
        answer = (await client.get("/chat/ably-token", sessionId=session_id, format=form)).data
        expires_at = datetime.fromisoformat(answer["expiresAt"]).timestamp()
        assert ends_at < expires_at <= ends_at + 300
        if form == "jwt":
            payload = jwt.decode(answer["token"], options={"verify_signature": False})
            assert payload["exp"] <= ends_at + 300
        else:
            assert answer["token"]["timestamp"] + answer["token"]["ttl"] <= (ends_at + 301) * 1000


async def test_an_ably_token_is_for_participants_only(service: Service) -> None:
    _, _, session_id = await booked(service)
    for role in Role:
        stranger = service.person(role, "Orang")
        for form in ("jwt", "tokenRequest"):
            reply = await stranger.get("/chat/ably-token", sessionId=session_id, format=form)
            assert_refused(reply, 403, "NOT_PARTICIPANT")


async def test_an_ably_token_is_given_after_the_end_only_within_the_grace(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    counseling = (await client.book(START, END)).data
    session_id = counseling["chatSession"]["sessionId"]
    await client.put(f"/counselings/{counseling['id']}/cancel")
    answer = (await client.get("/chat/ably-token", sessionId=session_id)).data
    assert datetime.fromisoformat(answer["expiresAt"]).timestamp() <= time.time() + 300
    await service.runtime.pool.execute(
        "UPDATE chat_sessions SET ended_at = ended_at - interval '6 minutes' WHERE id = $1", session_id
    )
    for form in ("jwt", "tokenRequest"):
        reply = await client.get("/chat/ably-token", sessionId=session_id, format=form)
        assert_refused(reply, 400, "SESSION_ENDED")


async def test_a_token_request_carries_the_right_mac(service: Service) -> None:
    client, _, session_id = await booked(service)
    key_name, _, secret = service.runtime.settings.ably_key.partition(":")
    answers = [
        (await client.get("/chat/ably-token", sessionId=session_id, format="tokenRequest")).data
        for _ in range(2)
    ]
    request = answers[0]["token"]
    assert set(request) == {"keyName", "ttl", "capability", "clientId", "timestamp", "nonce", "mac"}
    assert request["keyName"] == key_name
    assert request["clientId"] == str(client.id)
    assert {name: sorted(operations) for name, operations in json.loads(request["capability"]).items()} == (
        capability_of(client, session_id)
    )
    assert 0 < request["ttl"] <= 30 * 60 * 1000
    assert abs(request["timestamp"] / 1000 - time.time()) < 60
    assert len(request["nonce"]) >= 16
    assert request["nonce"] != answers[1]["token"]["nonce"]
    signed_fields = ("keyName", "ttl", "capability", "clientId", "timestamp", "nonce")
    text = "".join(f"{request[name]}\n" for name in signed_fields)
    mac = base64.b64encode(hmac.digest(secret.encode(), text.encode(), hashlib.sha256)).decode()
    assert request["mac"] == mac
    # And a service that knows the key takes it, once.
    url = f"http://{service.runtime.ably.endpoint}/keys/{key_name}/requestToken"
    async with aiohttp.ClientSession() as ably:
        async with ably.post(url, json=request) as answer:
            details = await answer.json()
            assert answer.status in (200, 201), details
        async with ably.post(url, json=request) as again:
            assert again.status == 401
    assert details["clientId"] == str(client.id)
    assert (details["expires"] - details["issued"]) <= 30 * 60 * 1000


async def test_a_token_is_given_however_far_away_the_session_is(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    body = {
        "method": "chat",
        "date": "9999-12-31",
        "startTime": "23:00",
        "endTime": "23:59",
        "timezone": "UTC",
    }
    booking = await client.post("/counselings/book", body)
    if booking.status != 201:
        assert_refused(booking, 400, "VALIDATION_FAILED")
        return
    session_id = booking.data["chatSession"]["sessionId"]
    reply = await client.get("/chat/ably-token", sessionId=session_id)
    assert reply.status == 200, reply.json

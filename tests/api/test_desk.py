"""One token for a desk: own notifications, and all own sessions that are open or begin within an hour."""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import jwt
import pytest
from ably import AblyRealtime
from ably.types.tokendetails import TokenDetails
from ably.util.exceptions import AblyException

from rdchat.domain.person import Role
from tests.support.service import Service, service_settings, whole_second
from tests.support.sessions import reaches
from tests.support.soon import in_days, second_ahead, session_soon
from tests.support.waiting import until
from tests.support.world import at_instant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.service import Person

HOUR = timedelta(hours=1)


def channels_of(session_id: str) -> dict[str, str]:
    return {
        "sessionId": session_id,
        "channelName": f"chat:session:{session_id}",
        "typingChannelName": f"typing:session:{session_id}",
    }


def capability_of(person: Person, *session_ids: str, is_open: bool = False) -> dict[str, list[str]]:
    capability = {f"notifications:user:{person.id}": ["history", "subscribe"]}
    for one in session_ids:
        capability[f"chat:session:{one}"] = ["history", *(["presence"] if is_open else []), "subscribe"]
        capability[f"typing:session:{one}"] = [*(["publish"] if is_open else []), "subscribe"]
    return capability


def seconds_left(answer: dict[str, Any]) -> float:
    return datetime.fromisoformat(answer["expiresAt"]).timestamp() - time.time()


@pytest.mark.parametrize("role", Role)
async def test_without_a_session_one_hears_what_one_is_told(service: Service, role: Role) -> None:
    person = service.person(role)
    answer = (await person.get("/chat/ably-token")).data
    assert answer["sessions"] == []
    assert answer["capability"] == capability_of(person)
    assert answer["notificationChannelName"] == f"notifications:user:{person.id}"
    assert set(answer) == {
        *("token", "expiresAt", "clientId", "capability", "sessions", "notificationChannelName"),
        "clientOptions",
    }
    assert 1790 < seconds_left(answer) <= 1800
    claims = jwt.decode(answer["token"], options={"verify_signature": False})
    assert json.loads(claims["x-ably-capability"]) == answer["capability"]
    assert (claims["x-ably-clientId"], claims["x-ably-revocation-key"]) == (
        str(person.id),
        f"desk:{person.id}",
    )
    request = (await person.get("/chat/ably-token", format="tokenRequest")).data
    assert json.loads(request["token"]["capability"]) == answer["capability"]


@pytest.mark.wall_time
async def test_a_desk_has_the_sessions_that_are_open_or_begin_within_an_hour(service: Service) -> None:
    psychologist = await service.psychologist()
    others = await service.psychologist("Rina")
    near = whole_second(3500)
    soon = [
        await service.person().book_session(at, at + HOUR, psychologistId=str(psychologist.id))
        for at in (near, near - timedelta(minutes=30))
    ]
    for start, host in ((whole_second(3700), psychologist), (near, others)):
        await service.person().book_session(start, start + HOUR, psychologistId=str(host.id))
    open_one = await session_soon(service.person(), 1, 60, psychologistId=str(psychologist.id))
    await reaches(psychologist, open_one, "active")
    called_off = service.person()
    gone = (await called_off.book(near, near + HOUR, psychologistId=str(psychologist.id))).data
    assert (await called_off.put(f"/counselings/{gone['id']}/cancel")).status == 200
    answer = (await psychologist.get("/chat/ably-token")).data
    expected = [open_one, soon[1], soon[0]]
    assert answer["sessions"] == [channels_of(one) for one in expected], "the earliest first"
    # Only in the chat that is open one may be present, and type.
    in_open = capability_of(psychologist, open_one, is_open=True)
    assert answer["capability"] == capability_of(psychologist, *soon) | in_open
    assert 1790 < seconds_left(answer) <= 1800
    # What cannot be revoked ends with the first of them.
    request = (await psychologist.get("/chat/ably-token", format="tokenRequest")).data
    assert [one["sessionId"] for one in request["sessions"]] == expected
    assert seconds_left(request) <= 60 + 300
    assert request["token"]["ttl"] <= (60 + 300) * 1000
    # Only one who comes to an open session is noted as there.
    rows = await service.runtime.pool.fetch(
        "SELECT session_id FROM attendance WHERE person_id = $1", psychologist.id
    )
    assert [row["session_id"] for row in rows] == [UUID(open_one)]


@pytest.mark.wall_time
async def test_it_never_lasts_beyond_the_last_end(service: Service) -> None:
    await service.psychologist()
    client = service.person()
    session_id = await session_soon(client, 60, 60)
    ends_at = datetime.fromisoformat((await client.session(session_id))["endsAt"]).timestamp()
    for form in ("jwt", "tokenRequest"):
        answer = (await client.get("/chat/ably-token", format=form)).data
        assert ends_at < datetime.fromisoformat(answer["expiresAt"]).timestamp() <= ends_at + 300


async def test_a_token_lives_as_long_as_is_set(database_url: str, redis_url: str, tmp_path: Path) -> None:
    settings = service_settings(tmp_path, ably_token_lifetime=timedelta(seconds=90))
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        await service.psychologist()
        client = service.person()
        session_id = await client.book_session(in_days(2), in_days(2) + HOUR)
        for query in ({}, {"sessionId": session_id}):
            assert 80 < seconds_left((await client.get("/chat/ably-token", **query)).data) <= 90


@asynccontextmanager
async def at_desk(person: Person) -> AsyncIterator[tuple[Any, list[tuple[str, Any]], list[Any]]]:
    """Listen to everything with the genuine SDK, over one connection; what was heard, and the answers."""
    heard: list[tuple[str, Any]] = []
    answers: list[Any] = []

    async def authenticate(_params: Any) -> TokenDetails:
        answers.append((await person.get("/chat/ably-token")).data)
        return TokenDetails(answers[-1]["token"], client_id=answers[-1]["clientId"])

    access = (await person.get("/chat/ably-token")).data
    options = access["clientOptions"]
    ably = AblyRealtime(
        auth_callback=authenticate, endpoint=f"{options['endpoint']}:{options['port']}/", tls=False
    )
    try:
        for one in access["sessions"]:
            session_id = one["sessionId"]
            await ably.channels.get(one["channelName"]).subscribe(
                lambda message, session_id=session_id: heard.append((session_id, message))
            )
        await ably.channels.get(access["notificationChannelName"]).subscribe(
            lambda message: heard.append(("told", message))
        )
        # What is issued in the very second of an end is not revoked: tokens know no less than seconds.
        await at_instant(whole_second(0))
        yield ably, heard, answers
    finally:
        await ably.close()


@pytest.mark.wall_time
async def test_five_sessions_and_one_connection_of_which_one_ends(service: Service) -> None:
    psychologist = await service.psychologist()
    clients = [service.person(name=f"Klien {number}") for number in range(5)]
    start = second_ahead(2)
    session_ids = [await one.book_session(start, start + HOUR) for one in clients]
    await reaches(psychologist, session_ids[-1], "active")
    async with at_desk(psychologist) as (ably, heard, answers):
        assert len(answers[0]["sessions"]) == 5

        def said(session_id: str) -> list[str]:
            return [
                message.data["content"]
                for one, message in heard
                if one == session_id and message.name == "message" and not message.data["isAutomated"]
            ]

        for number, (client, session_id) in enumerate(zip(clients, session_ids, strict=True)):
            assert (await client.say(session_id, f"Halo {number}")).status == 201
        await until(lambda: all(len(said(one)) == 1 for one in session_ids))
        connection = ably.connection.connection_manager.connection_id

        ended, *others = session_ids
        assert (await clients[0].put(f"/chat/sessions/{ended}/end")).status == 200
        # The end is heard before anything is taken away, the SDK asks again, and stays connected.
        await until(lambda: len(answers) == 2)
        statuses = [
            message.data["status"]
            for one, message in heard
            if one == ended and message.name == "session-status"
        ]
        assert statuses == ["completed"]
        # All of them begin at once: then the id decides.
        assert answers[1]["sessions"] == [channels_of(one) for one in sorted(others)]
        assert answers[1]["capability"] == capability_of(psychologist, *others, is_open=True)
        for client, session_id in zip(clients[1:], others, strict=True):
            assert (await client.say(session_id, "Masih di sini")).status == 201
        await until(lambda: all(said(one)[-1:] == ["Masih di sini"] for one in others))
        assert [said(one) for one in others] == [
            [f"Halo {number}", "Masih di sini"] for number in range(1, 5)
        ], "nothing is lost, nothing comes twice"
        assert ably.connection.state == "connected"
        assert ably.connection.connection_manager.connection_id == connection
        # Over the same connection, the ended channel is not open any more; the others are.
        await until(lambda: ably.channels.get(f"chat:session:{ended}").state in ("failed", "detached"))
        with pytest.raises(AblyException) as refused:
            await ably.channels.get(f"chat:session:{ended}").attach()
        assert refused.value.code == 40160
        assert {ably.channels.get(f"chat:session:{one}").state for one in others} == {"attached"}
        kinds = [message.data["type"] for one, message in heard if one == "told"]
        assert [one for one in kinds if one != "chat_enabled"] == ["session_completed"]


@pytest.mark.wall_time
async def test_both_desks_are_asked_again_and_no_other(service: Service) -> None:
    psychologist = await service.psychologist()
    client, other = service.person(), service.person(name="Ani")
    start = whole_second(600)
    booked = (await client.book(start, start + HOUR)).data
    await other.book_session(start, start + HOUR)
    async with at_desk(psychologist) as host, at_desk(client) as guest, at_desk(other) as neighbour:
        assert (await client.put(f"/counselings/{booked['id']}/cancel")).status == 200
        await until(lambda: len(host[2]) == len(guest[2]) == 2)
        assert [len(one["sessions"]) for one in host[2]] == [2, 1]
        assert [len(one["sessions"]) for one in guest[2]] == [1, 0]
        await until(lambda: service.runtime.publisher.held == 0)
        assert len(neighbour[2]) == 1

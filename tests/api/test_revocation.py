"""Tokens of a session that is over: a client that renews hears on for a little, one that does not is cut."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from ably import AblyRealtime

from tests.support import spoken
from tests.support.pair import a_pair
from tests.support.service import whole_second
from tests.support.sessions import opened
from tests.support.soon import session_soon
from tests.support.waiting import until
from tests.support.world import at_instant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.service import Person


@asynccontextmanager
async def listening(person: Person, session_id: str) -> AsyncIterator[tuple[Any, list[Any], list[str]]]:
    """Listen with the genuine SDK. Gives it, what was heard, and the tokens that it asked for."""
    heard: list[Any] = []
    tokens: list[str] = []

    async def authenticate(_params: Any) -> str:
        token: str = (await person.get("/chat/ably-token", sessionId=session_id)).data["token"]
        tokens.append(token)
        return token

    access = (await person.get("/chat/ably-token", sessionId=session_id)).data
    options = access["clientOptions"]
    ably = AblyRealtime(
        auth_callback=authenticate, endpoint=f"{options['endpoint']}:{options['port']}/", tls=False
    )
    channel = ably.channels.get(access["channelName"])

    def note(message: Any) -> None:
        if spoken.is_ours(message.name):
            heard.append((message.name, message.data))

    await channel.subscribe(note)
    await until(lambda: tokens)
    # What is issued in the very second of the end is not revoked: tokens know no less than seconds.
    await at_instant(whole_second(0))
    try:
        yield ably, heard, tokens
    finally:
        await ably.close()


def names(heard: list[Any]) -> list[str]:
    return [data.get("status") or data.get("messageType") for _, data in heard]


async def test_who_listens_hears_the_end_and_is_asked_for_a_new_token(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    async with a_pair(tmp_path, database_url=database_url, redis_url=redis_url) as pair:
        client, psychologist, session_id = await opened(pair.one)
        async with listening(client, session_id) as (ably, heard, tokens):
            await psychologist.put(f"/chat/sessions/{session_id}/end")
            await until(lambda: names(heard) == ["automated", "completed"])
            await until(lambda: len(tokens) == 2, 5)
            assert ably.connection.state == "connected"
            assert tokens[0] != tokens[1]
            await until(lambda: pair.one.runtime.publisher.held == 0)
            assert names(heard) == ["automated", "completed"], "nothing is lost, nothing comes twice"


async def test_one_that_is_called_off_before_it_began_as_well(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    async with a_pair(tmp_path, database_url=database_url, redis_url=redis_url) as pair:
        await pair.one.psychologist()
        client = pair.one.person()
        session_id = await session_soon(client, 3600, 60)
        counseling = (await client.session(session_id))["counselingId"]
        async with listening(client, session_id) as (_, heard, tokens):
            assert (await client.put(f"/counselings/{counseling}/cancel")).status == 200
            await until(lambda: names(heard) == ["cancelled"])
            await until(lambda: len(tokens) == 2, 5)


async def test_a_session_that_is_moved_or_extended_keeps_its_tokens(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    async with a_pair(tmp_path, database_url=database_url, redis_url=redis_url) as pair:
        client, psychologist, session_id = await opened(pair.one)
        async with listening(client, session_id) as (_, heard, tokens):
            path = f"/chat/sessions/{session_id}/extend"
            assert (await psychologist.put(path, {"minutes": 1})).status == 200
            await until(lambda: names(heard) == ["rescheduled"])
            await client.say(session_id, "masih di sini")
            await until(lambda: names(heard) == ["rescheduled", "text"])
            await until(lambda: pair.one.runtime.publisher.held == 0)
            assert len(tokens) == 1


async def test_a_psychologist_who_hands_over_hears_no_more_and_the_client_goes_on(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """At once, and also by a token of the very second; the tokens of the client stay."""
    async with a_pair(tmp_path, database_url=database_url, redis_url=redis_url) as pair:
        sari, rina = await pair.one.psychologist("Sari"), await pair.one.psychologist("Rina")
        client = pair.one.person()
        session_id = await session_soon(client, 1800, 60, psychologistId=str(sari.id))
        counseling = (await client.session(session_id))["counselingId"]
        async with (
            listening(client, session_id) as (_, heard, tokens),
            listening(sari, session_id) as (ably, overheard, _),
            desk_of(sari) as desk,
        ):
            body = {"psychologistId": str(rina.id)}
            assert (await pair.elsewhere(sari).put(f"/counselings/{counseling}/reassign", body)).status == 200
            await until(lambda: ably.connection.state != "connected", 10)
            # What is not about the session is heard on: it is asked for again without it.
            await until(lambda: len(desk) == 2, 10)
            assert [len(one["capability"]) for one in desk] == [3, 1]
            times = {"startsAt": f"{whole_second(7200):%Y-%m-%dT%H:%M:%SZ}"}
            times["endsAt"] = f"{whole_second(7260):%Y-%m-%dT%H:%M:%SZ}"
            assert (await rina.put(f"/counselings/{counseling}/reschedule", times)).status == 200
            await until(lambda: names(heard) == ["rescheduled"])
            await until(lambda: pair.one.runtime.publisher.held == 0)
            assert overheard == []
            assert len(tokens) == 1


@asynccontextmanager
async def desk_of(person: Person) -> AsyncIterator[list[dict[str, Any]]]:
    """Listen to all that is a person's now. Gives what they were granted, each time."""
    granted: list[dict[str, Any]] = []

    async def authenticate(_params: Any) -> str:
        access: dict[str, Any] = (await person.get("/chat/ably-token")).data
        granted.append(access)
        token: str = access["token"]
        return token

    options = (await person.get("/chat/ably-token")).data["clientOptions"]
    ably = AblyRealtime(
        auth_callback=authenticate, endpoint=f"{options['endpoint']}:{options['port']}/", tls=False
    )
    await until(lambda: ably.connection.state == "connected")
    try:
        yield granted
    finally:
        await ably.close()

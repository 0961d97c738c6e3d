"""Tokens for Ably: what they allow before a chat opens, in it and after it; none outlives its session."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import pytest
from ably import AblyRealtime
from ably.util.exceptions import AblyException

from rdchat.postgres import sessions
from rdchat.realtime import late_revoker
from rdchat.realtime.ably_client import PublishError
from rdchat.services import realtime_access
from tests.support.service import whole_second
from tests.support.sessions import opened, reaches
from tests.support.soon import session_soon
from tests.support.waiting import until
from tests.support.world import at_instant

if TYPE_CHECKING:
    from uuid import UUID

    from tests.support.attacks import Attacks
    from tests.support.service import Person, Service

#: What a token of each kind is asked for by.
_KINDS: dict[str, tuple[bool, str]] = {
    "for the session": (True, "jwt"),
    "for the session, by a TokenRequest": (True, "tokenRequest"),
    "for the desk": (False, "jwt"),
    "for the desk, by a TokenRequest": (False, "tokenRequest"),
}
#: Ably's codes: not permitted, and revoked.
_DENIED, _REVOKED = 40160, 40141


class Tried(NamedTuple):
    """What Ably answered to one attempt; 0: it was let through."""

    what: str
    code: int


async def asked(person: Person, kind: str, session_id: str) -> dict[str, Any] | str:
    """Ask the service for a token: an Ably JWT, or a TokenRequest that is not exchanged yet."""
    of_session, form = _KINDS[kind]
    params = {"format": form, **({"sessionId": session_id} if of_session else {})}
    reply = await person.get("/chat/ably-token", **params)
    token: dict[str, Any] | str = reply.data["token"]
    return token


class Phone:
    """Somebody who has tokens, and does not keep to the service's client."""

    def __init__(self, service: Service, session_id: str) -> None:
        self._http = service.client
        self._endpoint = service.runtime.ably.endpoint
        self._chat, self._typing = f"chat:session:{session_id}", f"typing:session:{session_id}"

    async def token(self, given: dict[str, Any] | str) -> str:
        """Exchange a TokenRequest for a token; a token is one already."""
        if isinstance(given, str):
            return given
        url = f"http://{self._endpoint}/keys/{given['keyName']}/requestToken"
        async with self._http.post(url, json=given) as answer:
            assert answer.status in (200, 201), await answer.text()
            token: str = (await answer.json())["token"]
            return token

    async def listens(self, token: str) -> int:
        """Read what was said last. Return Ably's code, 0 if that works."""
        return await self._call("GET", self._chat, token)

    async def publishes(self, token: str) -> list[Tried]:
        """Try to publish everywhere by REST."""
        places = (self._chat, self._typing, f"{self._chat}:x", "notifications:user:x")
        return [Tried(f"publish to {one}", await self._call("POST", one, token)) for one in places]

    async def takes_part(self, token: str) -> list[Tried]:
        """Try to type and to be present by the genuine SDK."""
        ably = AblyRealtime(token=token, endpoint=f"{self._endpoint}/", tls=False)
        found = []
        try:
            await until(lambda: ably.connection.state == "connected", 10)
            chat, typing = ably.channels.get(self._chat), ably.channels.get(self._typing)
            for what, attempt in (
                ("publish in the chat", lambda: chat.publish("message", {"content": "x"})),
                ("type", lambda: typing.publish("typing", {"isTyping": True})),
                ("be present", lambda: chat.presence.enter("here")),
                ("be present where one types", lambda: typing.presence.enter("here")),
            ):
                try:
                    async with asyncio.timeout(5):
                        await attempt()
                except AblyException as error:
                    found.append(Tried(what, error.code))
                else:
                    found.append(Tried(what, 0))
        finally:
            await ably.close()
        return found

    async def _call(self, method: str, channel: str, token: str) -> int:
        url = f"http://{self._endpoint}/channels/{quote(channel, safe='')}/messages"
        body = {"name": "typing", "data": "x"} if method == "POST" else None
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        async with self._http.request(method, url, json=body, headers=headers) as answer:
            return 0 if answer.status < 300 else int((await answer.json())["error"]["code"])


async def pending(service: Service) -> tuple[Person, Person, str]:
    psychologist = await service.psychologist()
    client = service.person()
    return client, psychologist, await session_soon(client, 1800, 60, psychologistId=str(psychologist.id))


async def test_before_a_chat_opens_its_tokens_only_listen(service: Service, attacks: Attacks) -> None:
    client, psychologist, session_id = await pending(service)
    phone, tried = Phone(service, session_id), []
    for person in (client, psychologist):
        for kind in _KINDS:
            token = await phone.token(await asked(person, kind, session_id))
            assert await phone.listens(token) == 0, kind
            tried += [(kind, one) for one in await phone.publishes(token)]
        tried += [("by the SDK", one) for one in await phone.takes_part(token)]
    through = [one for one in tried if one[1].code != _DENIED]
    attacks.count("taking part by tokens of a chat that is not open", tried=len(tried), through=through)


async def test_a_token_of_before_gains_nothing_when_the_chat_opens(
    service: Service, attacks: Attacks
) -> None:
    psychologist = await service.psychologist()
    client = service.person()
    session_id = await session_soon(client, 3, 60, psychologistId=str(psychologist.id))
    phone = Phone(service, session_id)
    before = await phone.token(await asked(client, "for the session", session_id))
    await reaches(client, session_id, "active")
    tried = [*await phone.publishes(before), *await phone.takes_part(before)]
    # Until it has another, the service says for it that one types.
    typing = await client.post("/chat/typing", {"sessionId": session_id, "isTyping": True})
    assert typing.status == 200
    through = [one for one in tried if one.code != _DENIED]
    attacks.count("taking part by tokens of before the opening", tried=len(tried), through=through)
    after = await phone.token(await asked(client, "for the session", session_id))
    taken = {one.what: one.code for one in await phone.takes_part(after)}
    assert taken == {
        "publish in the chat": _DENIED,
        "type": 0,
        "be present": 0,
        "be present where one types": _DENIED,
    }


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is revoked later is revoked soon."""
    monkeypatch.setattr(late_revoker, "_AFTER", timedelta(seconds=2))
    monkeypatch.setattr(late_revoker, "_POLL_SECONDS", 0.1)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("ended_by", ["end", "cancel"])
async def test_every_token_ends_with_its_session(service: Service, attacks: Attacks, ended_by: str) -> None:
    client, psychologist, session_id = await (opened(service) if ended_by == "end" else pending(service))
    phone = Phone(service, session_id)
    tokens: dict[str, str] = {}
    kept: dict[str, dict[str, Any]] = {}
    # All of it in the second of the end.
    await at_instant(whole_second(0.3))
    for person in (client, psychologist):
        for kind in _KINDS:
            name = f"{kind}, {person.caller.role}"
            tokens[name] = await phone.token(await asked(person, kind, session_id))
            request = await asked(person, kind, session_id)
            if isinstance(request, dict):
                kept[f"{name}, exchanged after the end"] = request
    counseling = (await client.session(session_id))["counselingId"]
    path = f"/chat/sessions/{session_id}/end" if ended_by == "end" else f"/counselings/{counseling}/cancel"
    assert (await psychologist.put(path)).status == 200
    # What the service gives now serves to hear the last events, for some minutes, and is not taken away.
    later = await phone.token(await asked(client, "for the session", session_id))
    for name, request in kept.items():
        tokens[name] = await phone.token(request)

    async def codes() -> dict[str, int]:
        return {name: await phone.listens(token) for name, token in tokens.items()}

    async def all_are_revoked() -> bool:
        return set((await codes()).values()) == {_REVOKED}

    ended = True
    try:
        await until(all_are_revoked, 10)
    except (AssertionError, TimeoutError):
        ended = False
    through = [] if ended else [name for name, code in (await codes()).items() if code != _REVOKED]
    attacks.count("tokens that outlive their session", tried=len(tokens), through=through)
    assert await phone.listens(later) == 0
    left = [*await phone.publishes(later), *await phone.takes_part(later)]
    attacks.count(
        "taking part by tokens of after the end",
        tried=len(left),
        through=[one for one in left if one.code != _DENIED],
    )


@pytest.mark.usefixtures("soon")
async def test_a_token_by_what_was_read_before_the_end_does_not_outlive_it(
    service: Service, attacks: Attacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service reads how the session is, stands still, and signs the token when the session is over."""
    client, psychologist, session_id = await opened(service)
    phone, read, go_on = Phone(service, session_id), asyncio.Event(), asyncio.Event()
    get_session = sessions.get_session

    async def get_slowly(pool: Any, one: UUID) -> Any:
        found = await get_session(pool, one)
        if not read.is_set():
            read.set()
            await go_on.wait()
        return found

    monkeypatch.setattr(sessions, "get_session", get_slowly)
    asking = asyncio.create_task(asked(client, "for the session", session_id))
    await read.wait()
    assert (await psychologist.put(f"/chat/sessions/{session_id}/end")).status == 200
    pool = service.runtime.pool
    await until(lambda: _count(pool, "late_revocations", 1), 5)
    await until(lambda: _count(pool, "late_revocations", 0), 10)
    go_on.set()
    token = await phone.token(await asking)
    through = [code] if (code := await phone.listens(token)) != _REVOKED else []
    attacks.count("tokens by what was read before the end", tried=1, through=through)


async def _count(pool: Any, table: str, expected: int) -> bool:
    return bool(await pool.fetchval(f"SELECT count(*) FROM {table}") == expected)  # noqa: S608 - our own


@pytest.mark.usefixtures("soon")
async def test_what_is_to_be_revoked_again_is_forgotten_in_the_end(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(realtime_access, "_REDEEMABLE", timedelta(seconds=1))
    monkeypatch.setattr(late_revoker, "_MARGIN", timedelta(0))
    client, psychologist, session_id = await opened(service)
    assert isinstance(await asked(client, "for the session, by a TokenRequest", session_id), dict)
    pool = service.runtime.pool
    assert await _count(pool, "ably_token_requests", 1)
    assert (await psychologist.put(f"/chat/sessions/{session_id}/end")).status == 200
    await until(lambda: _count(pool, "ably_token_requests", 0), 10)
    assert await _count(pool, "late_revocations", 0)
    # And after the end there is nothing that would have to be revoked.
    assert isinstance(await asked(client, "for the session, by a TokenRequest", session_id), dict)
    assert await _count(pool, "ably_token_requests", 0)


@pytest.mark.usefixtures("soon")
async def test_while_ably_is_away_what_is_due_stays_due(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, psychologist, session_id = await opened(service)
    token = await Phone(service, session_id).token(await asked(client, "for the session", session_id))
    assert (await psychologist.put(f"/chat/sessions/{session_id}/end")).status == 200
    real, failed = service.runtime.ably.revoke_targets, 0

    async def fail_at_first(targets: Any, **options: Any) -> Any:
        nonlocal failed
        if not options["allow_margin"] and failed < 3:
            failed += 1
            return PublishError("away")
        return await real(targets, **options)

    monkeypatch.setattr(service.runtime.ably, "revoke_targets", fail_at_first)

    async def is_revoked() -> bool:
        return await Phone(service, session_id).listens(token) == _REVOKED

    await until(is_revoked, 20)
    assert failed == 3


@pytest.mark.usefixtures("soon")
async def test_who_handed_over_listens_no_more_by_a_token_request_that_they_kept(
    service: Service, attacks: Attacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As long as Ably exchanges it, which is long here.
    monkeypatch.setattr(realtime_access, "_REDEEMABLE", timedelta(seconds=4))
    client, sari, session_id = await pending(service)
    rina = await service.psychologist("Rina")
    phone = Phone(service, session_id)
    requests = [await asked(sari, kind, session_id) for kind in _KINDS if "TokenRequest" in kind]
    counseling = (await client.session(session_id))["counselingId"]
    handed = await sari.put(f"/counselings/{counseling}/reassign", {"psychologistId": str(rina.id)})
    assert handed.status == 200
    kept = await phone.token(await asked(client, "for the session", session_id))
    tokens = [await phone.token(one) for one in requests]

    async def are_revoked() -> bool:
        return {await phone.listens(one) for one in tokens} == {_REVOKED}

    # The client's own request, which is still exchanged, keeps nothing of it waiting.
    pool = service.runtime.pool
    monkeypatch.setattr(realtime_access, "_REDEEMABLE", timedelta(hours=1))
    assert isinstance(await asked(client, "for the session, by a TokenRequest", session_id), dict)
    await until(are_revoked, 15)
    await until(lambda: _count(pool, "late_revocations", 0), 5)
    through = [code for one in tokens if (code := await phone.listens(one)) != _REVOKED]
    attacks.count("token requests of one who handed over", tried=len(tokens), through=through)
    assert await phone.listens(kept) == 0

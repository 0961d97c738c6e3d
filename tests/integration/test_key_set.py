"""Tokens signed by an identity provider: keys are fetched, kept fresh, and kept while it is away."""

from __future__ import annotations

import asyncio
import hmac
import json
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.utils import base64url_encode

from rdchat.common.clock import SystemClock
from rdchat.common.errors import ErrorCode, RdchatError, UnavailableError
from rdchat.security import key_set as key_set_module
from rdchat.security.caller_tokens import CallerTokens
from rdchat.security.key_set import KeySet, public_keys
from tests.support.service import Service, service_settings
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Provider:
    """An identity provider with changing keys. `asked` counts how often it was; `held` keeps answers back."""

    def __init__(self) -> None:
        self.private = {"one": _key("one"), "two": _key("two")}
        self.published = ["one"]
        self.status = 200
        self.hangs = False
        self.url = ""
        self.asked = 0
        self.held = asyncio.Event()
        self.held.set()
        #: Under whose name a key is published, where not under its own.
        self.names: dict[str, str] = {}

    async def answer(self, _request: web.Request) -> web.Response:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        keys = [
            {
                **json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.private[kid].public_key())),
                "kid": self.names.get(kid, kid),
            }
            for kid in self.published
        ]
        await self.held.wait()
        return web.json_response({"keys": keys}, status=self.status)

    def token(self, kid: str) -> str:
        return jwt.encode(claims(), self.private[kid], algorithm="RS256", headers={"kid": kid})

    def public_text(self, kid: str) -> bytes:
        return self.private[kid].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def claims() -> dict[str, Any]:
    now = int(SystemClock().now().timestamp())
    return {
        "sub": str(uuid4()),
        "role": "client",
        "fullName": "Budi",
        "iss": "rdchat",
        "aud": "rdchat",
        "iat": now,
        "exp": now + 300,
    }


@cache
def _key(_kid: str) -> rsa.RSAPrivateKey:
    """Making one takes half a second; what it is does not matter."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    app = web.Application()
    app.router.add_get("/keys", provider.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
    yield provider
    await runner.cleanup()


@pytest.fixture
async def keys(provider: Provider) -> AsyncIterator[KeySet]:
    """A key set that was fetched, and is not refreshed by itself for a minute."""
    keys = KeySet(provider.url)
    await keys.start()
    yield keys
    provider.held.set()
    await keys.close()


def verifier(keys: KeySet) -> CallerTokens:
    return CallerTokens(
        algorithms=("RS256",),
        issuer="rdchat",
        audience="rdchat",
        clock=SystemClock(),
        keys=keys.keys,
        find_key=keys.find,
    )


def refused(tokens: CallerTokens, token: str) -> None:
    with pytest.raises(RdchatError) as caught:
        tokens.verify(token)
    assert caught.value.code is ErrorCode.UNAUTHENTICATED


async def code_of(tokens: CallerTokens, token: str) -> ErrorCode | None:
    """How a token is refused, with the key set asked; None: it is not."""
    try:
        await tokens.verify_fetching(token)
    except RdchatError as error:
        return error.code
    return None


def forged(provider: Provider, kid: str) -> str:
    return jwt.encode(claims(), provider.private["two"], algorithm="RS256", headers={"kid": kid})


async def test_keys_are_fetched_and_follow_the_provider(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set_module, "_REFRESH_SECONDS", 0.02)
    keys = KeySet(provider.url)
    await keys.start()
    tokens = verifier(keys)
    seen = provider.token("one")
    assert tokens.verify(seen).full_name == "Budi"
    refused(tokens, provider.token("two"))

    async def changed() -> bool:
        return list(keys.keys) == ["two"]

    provider.published = ["two"]
    await until(changed)
    assert tokens.verify(provider.token("two")).full_name == "Budi"
    for withdrawn in (seen, provider.token("one")):
        refused(tokens, withdrawn)

    provider.status = 500
    assert tokens.verify(provider.token("two")).full_name == "Budi"
    await keys.close()


async def test_a_key_that_was_published_a_moment_ago_is_accepted_at_once(
    provider: Provider, keys: KeySet
) -> None:
    tokens = verifier(keys)
    assert await code_of(tokens, forged(provider, "three")) is ErrorCode.UNAUTHENTICATED
    provider.published = ["one", "two"]
    assert (await tokens.verify_fetching(provider.token("two"))).full_name == "Budi"
    assert tokens.verify(provider.token("two")).full_name == "Budi"
    assert provider.asked == 3


async def test_a_provider_that_does_not_answer_is_given_up(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set_module, "_FETCH_SECONDS", 0.05)
    provider.hangs = True
    keys = KeySet(provider.url)
    async with asyncio.timeout(5):
        await keys.start()
    assert keys.status == "away"
    await keys.close()


@pytest.mark.parametrize("key_set", [{}, {"keys": []}, [], {"keys": [{"kty": "unknown"}]}, {"keys": None}])
def test_what_is_no_key_set_is_said_so(key_set: Any) -> None:
    with pytest.raises(ValueError, match=r"^not a JSON Web Key Set with a usable key$"):
        public_keys(key_set)


async def test_a_key_that_a_fetch_under_way_came_too_early_for_is_asked_for_again(
    provider: Provider, keys: KeySet
) -> None:
    tokens = verifier(keys)
    provider.held.clear()
    early = asyncio.create_task(code_of(tokens, forged(provider, "three")))
    await until(lambda: provider.asked == 2)
    provider.published = ["one", "two"]
    late = asyncio.create_task(code_of(tokens, provider.token("two")))
    # A step for the late one to join what is under way.
    await asyncio.sleep(0)
    provider.held.set()
    assert await early is ErrorCode.UNAUTHENTICATED
    assert await late is None


async def test_made_up_names_of_keys_do_not_hammer_the_provider(provider: Provider, keys: KeySet) -> None:
    tokens = verifier(keys)
    codes = await asyncio.gather(*(code_of(tokens, forged(provider, "same")) for _ in range(50)))
    assert set(codes) == {ErrorCode.UNAUTHENTICATED}
    assert provider.asked <= 3, "those who come together are served by one fetch, or the one after"
    before = provider.asked
    for _ in range(20):
        assert await code_of(tokens, forged(provider, "same")) is ErrorCode.UNAUTHENTICATED
    assert provider.asked == before, "what the provider has just not known is not asked for again"
    for number in range(40):
        assert await code_of(tokens, forged(provider, f"made up {number}")) is ErrorCode.UNAUTHENTICATED
    assert provider.asked <= 1 + key_set_module._MOST_FETCHES + 1  # noqa: SLF001 - the bound itself


async def test_a_fetch_delays_nobody_whose_key_is_known(provider: Provider, keys: KeySet) -> None:
    tokens = verifier(keys)
    provider.held.clear()
    waiting = [
        asyncio.create_task(code_of(tokens, forged(provider, f"made up {number}"))) for number in range(20)
    ]
    await until(lambda: provider.asked == 2)
    assert tokens.verify(provider.token("one")).full_name == "Budi"
    assert not any(task.done() for task in waiting)
    provider.held.set()
    assert set(await asyncio.gather(*waiting)) == {ErrorCode.UNAUTHENTICATED}


async def test_a_provider_that_hangs_holds_up_few_and_not_for_long(
    provider: Provider, keys: KeySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set_module, "_MOST_WAITING", 2)
    tokens = verifier(keys)
    provider.held.clear()
    waiting = [asyncio.create_task(code_of(tokens, forged(provider, f"held {n}"))) for n in range(2)]
    await until(lambda: provider.asked == 2)
    assert await code_of(tokens, forged(provider, "third")) is ErrorCode.UNAUTHENTICATED
    assert not any(task.done() for task in waiting)
    monkeypatch.setattr(key_set_module, "_WAIT_SECONDS", 0.01)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await code_of(tokens, forged(provider, "fourth")) is ErrorCode.UNAUTHENTICATED


async def test_the_provider_may_be_away_while_its_keys_are_known(provider: Provider, keys: KeySet) -> None:
    tokens = verifier(keys)
    provider.status = 503
    assert await code_of(tokens, provider.token("two")) is ErrorCode.UNAUTHENTICATED
    assert (await tokens.verify_fetching(provider.token("one"))).full_name == "Budi"
    assert keys.status == "ok"
    # A failed fetch has said nothing of the key.
    provider.status, provider.published = 200, ["one", "two"]
    assert await code_of(tokens, provider.token("two")) is None


@pytest.mark.parametrize("fault", ["status", "no keys", "closed"])
async def test_without_the_provider_the_service_starts_and_goes_on_asking(
    provider: Provider, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set_module, "_FIRST_PAUSE_SECONDS", 0.02)
    provider.status = 500 if fault == "status" else 200
    provider.published = [] if fault == "no keys" else ["one"]
    keys = KeySet(provider.url if fault != "closed" else "http://127.0.0.1:9/keys")
    await keys.start()
    tokens = verifier(keys)
    assert keys.status == "away"
    with pytest.raises(UnavailableError) as caught:
        await tokens.verify_fetching(provider.token("one"))
    assert caught.value.retry_after
    assert await code_of(tokens, "garbage") is ErrorCode.UNAUTHENTICATED
    if fault == "closed":
        keys._url = provider.url  # noqa: SLF001 - it comes back
    provider.status, provider.published = 200, ["one"]
    await until(lambda: keys.status == "ok")
    assert tokens.verify(provider.token("one")).full_name == "Budi"
    await keys.close()


async def test_a_start_does_not_wait_for_a_provider_that_hangs(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set_module, "_START_SECONDS", 0.01)
    provider.held.clear()
    keys = KeySet(provider.url)
    await keys.start()
    assert keys.status == "away"
    provider.held.set()
    await until(lambda: keys.status == "ok")
    await keys.close()


async def test_another_key_under_the_same_name_lets_nobody_in_whom_the_first_let_in(
    provider: Provider, keys: KeySet
) -> None:
    tokens = verifier(keys)
    seen = provider.token("one")
    assert tokens.verify(seen).full_name == "Budi"
    provider.published, provider.names = ["two"], {"two": "one"}
    assert await code_of(tokens, forged(provider, "unknown")) is ErrorCode.UNAUTHENTICATED
    refused(tokens, seen)
    assert tokens.verify(forged(provider, "one")).full_name == "Budi"


async def test_a_replica_serves_once_the_key_set_is_there(
    provider: Provider,
    tmp_path: Path,
    database_url: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(key_set_module, "_FIRST_PAUSE_SECONDS", 0.02)
    provider.status = 503
    settings = service_settings(
        tmp_path, jwt_secret=None, jwt_jwks_url=provider.url, jwt_algorithms=("RS256",)
    )
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:

        async def ready() -> tuple[int, dict[str, str]]:
            async with service.client.get(f"{service.base}/readyz") as answer:
                return answer.status, await answer.json()

        async def call(token: str) -> tuple[int, str | None, Any]:
            headers = {"Authorization": f"Bearer {token}"}
            async with service.client.get(f"{service.base}/api/v1/counselings", headers=headers) as answer:
                return answer.status, answer.headers.get("Retry-After"), await answer.json()

        assert await ready() == (
            503,
            {
                "status": "unavailable",
                "postgresql": "ok",
                "redis": "ok",
                "timers": "ok",
                "clock": "ok",
                "keySet": "away",
            },
        )
        status, retry_after, body = await call(provider.token("one"))
        assert (status, retry_after, body["code"]) == (503, "1", "UNAVAILABLE")
        assert (await call("garbage"))[0] == 401
        provider.status = 200

        async def is_ready() -> bool:
            return (await ready())[0] == 200

        await until(is_ready)
        assert (await call(provider.token("one")))[0] == 200
        provider.published = ["one", "two"]
        assert (await call(provider.token("two")))[0] == 200
        provider.status = 503
        assert (await call(provider.token("one")))[0] == 200
        assert (await ready())[1]["keySet"] == "ok"


async def test_a_shared_secret_is_no_public_key(provider: Provider, keys: KeySet) -> None:
    """The classic confusion: a token signed with HMAC over the text of the public key."""
    # By hand: the library refuses to sign like this.
    head = {"alg": "HS256", "typ": "JWT", "kid": "one"}
    signed = b".".join(base64url_encode(json.dumps(part).encode()) for part in (head, claims()))
    signature = hmac.digest(provider.public_text("one"), signed, "sha256")
    refused(verifier(keys), (signed + b"." + base64url_encode(signature)).decode())
    assert verifier(keys).verify(provider.token("one")).full_name == "Budi"

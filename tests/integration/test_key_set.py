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
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Provider:
    """An identity provider with changing keys."""

    def __init__(self) -> None:
        self.private = {"one": _key("one"), "two": _key("two")}
        self.published = ["one"]
        self.status = 200
        self.hangs = False
        self.url = ""

    async def answer(self, _request: web.Request) -> web.Response:
        if self.hangs:
            await asyncio.Event().wait()
        keys = [
            {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.private[kid].public_key())), "kid": kid}
            for kid in self.published
        ]
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


def verifier(keys: KeySet) -> CallerTokens:
    return CallerTokens(
        algorithms=("RS256",), issuer="rdchat", audience="rdchat", clock=SystemClock(), keys=keys.keys
    )


def refused(tokens: CallerTokens, token: str) -> None:
    with pytest.raises(RdchatError) as caught:
        tokens.verify(token)
    assert caught.value.code is ErrorCode.UNAUTHENTICATED


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


async def test_without_keys_the_service_does_not_start(provider: Provider) -> None:
    provider.published = []
    keys = KeySet(provider.url)
    with pytest.raises(UnavailableError) as caught:
        await keys.start()
    assert caught.value.what == f"the key set at {provider.url}"
    await keys.close()


async def test_a_provider_that_does_not_answer_is_given_up(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set_module, "_FETCH_SECONDS", 0.05)
    provider.hangs = True
    async with asyncio.timeout(5):
        with pytest.raises(UnavailableError):
            await KeySet(provider.url).start()


@pytest.mark.parametrize("key_set", [{}, {"keys": []}, [], {"keys": [{"kty": "unknown"}]}, {"keys": None}])
def test_what_is_no_key_set_is_said_so(key_set: Any) -> None:
    with pytest.raises(ValueError, match=r"^not a JSON Web Key Set with a usable key$"):
        public_keys(key_set)


async def test_a_shared_secret_is_no_public_key(provider: Provider) -> None:
    """The classic confusion: a token signed with HMAC over the text of the public key."""
    keys = KeySet(provider.url)
    await keys.start()
    # By hand: the library refuses to sign like this.
    head = {"alg": "HS256", "typ": "JWT", "kid": "one"}
    signed = b".".join(base64url_encode(json.dumps(part).encode()) for part in (head, claims()))
    signature = hmac.digest(provider.public_text("one"), signed, "sha256")
    refused(verifier(keys), (signed + b"." + base64url_encode(signature)).decode())
    assert verifier(keys).verify(provider.token("one")).full_name == "Budi"
    await keys.close()

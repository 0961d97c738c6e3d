"""The key set of an identity provider, with keys that change and answers that fail."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.tokens import claims_of, token_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class KeyProvider:
    """An identity provider with changing keys. `asked` counts how often it was; `held` keeps answers back.

    `redirect` is where it sends those who ask, `body` what it answers instead of its keys.
    """

    def __init__(self) -> None:
        self.private = {"one": rsa_key("one"), "two": rsa_key("two")}
        self.published = ["one"]
        self.status = 200
        self.hangs = False
        self.url = ""
        self.asked = 0
        self.held = asyncio.Event()
        self.held.set()
        #: Under whose name a key is published, where not under its own.
        self.names: dict[str, str] = {}
        self.redirect: str | None = None
        self.body: bytes | None = None

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[KeyProvider]:
        provider = cls()
        app = web.Application()
        app.router.add_get("/keys", provider._answer)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
        try:
            yield provider
        finally:
            await runner.cleanup()

    async def _answer(self, _request: web.Request) -> web.Response:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        keys = [self.public(kid) | {"kid": self.names.get(kid, kid)} for kid in self.published]
        await self.held.wait()
        if self.redirect is not None:
            return web.Response(status=302, headers={"Location": self.redirect})
        if self.body is not None:
            return web.Response(body=self.body, status=self.status, content_type="application/json")
        return web.json_response({"keys": keys}, status=self.status)

    def public(self, kid: str) -> dict[str, Any]:
        """A public key as it stands in the key set."""
        found: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.private[kid].public_key()))
        return found | {"kid": kid}

    def token(self, kid: str, **changes: Any) -> str:
        return jwt.encode(claims_of(**changes), self.private[kid], algorithm="RS256", headers={"kid": kid})

    def forged(self, kid: str) -> str:
        """A token by a key that goes by another's name."""
        return jwt.encode(claims_of(), self.private["two"], algorithm="RS256", headers={"kid": kid})

    def by_hand(self, header: object, payload: object, kid: str = "one") -> str:
        """A token with any header at all, under a right signature."""
        return token_of(
            header, payload, lambda text: self.private[kid].sign(text, padding.PKCS1v15(), SHA256())
        )

    def public_text(self, kid: str, encoding: Encoding = Encoding.PEM) -> bytes:
        return self.private[kid].public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


@cache
def rsa_key(_name: str, size: int = 2048) -> rsa.RSAPrivateKey:
    """Make a key, once for all tests: that takes half a second, and what it is does not matter."""
    return rsa.generate_private_key(public_exponent=65537, key_size=size)

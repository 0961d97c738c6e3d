"""An identity provider: OpenID Connect by authorisation code with PKCE, for one client and one person."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import uuid4

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CLIENT_ID = "rdchat-web"
AUDIENCE = "rdchat"
_READABLE = {"Access-Control-Allow-Origin": "*"}


class IdentityProvider:
    """Signs in whoever comes, at once. `seen`: the paths that were asked for; `told`: what a page reports."""

    def __init__(self) -> None:
        self.url = ""
        self.person_id = str(uuid4())
        self.seen: list[str] = []
        self.told: list[Any] = []
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._codes: dict[str, dict[str, str]] = {}
        self._refresh_tokens: set[str] = set()

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[IdentityProvider]:
        self = cls()
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._configuration)
        app.router.add_get("/keys", self._keys)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        app.router.add_get("/end", self._end)
        app.router.add_post("/told", self._take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _configuration(self, _request: web.Request) -> web.Response:
        found = {"issuer": self.url, "response_types_supported": ["code"]}
        for name, path in (
            ("authorization_endpoint", "/authorize"),
            ("token_endpoint", "/token"),
            ("end_session_endpoint", "/end"),
            ("jwks_uri", "/keys"),
        ):
            found[name] = self.url + path
        return web.json_response(found, headers=_READABLE)

    async def _keys(self, _request: web.Request) -> web.Response:
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return web.json_response({"keys": [key | {"kid": "one"}]}, headers=_READABLE)

    async def _authorize(self, request: web.Request) -> web.Response:
        self.seen.append(request.path)
        asked = dict(request.query)
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        assert asked["client_id"] == CLIENT_ID
        code = secrets.token_urlsafe()
        self._codes[code] = asked
        back = urlencode({"code": code, "state": asked["state"]})
        raise web.HTTPFound(f"{asked['redirect_uri']}?{back}")

    async def _token(self, request: web.Request) -> web.Response:
        given = await request.post()
        kind = str(given["grant_type"])
        self.seen.append(f"{request.path} {kind}")
        nonce = None
        if kind == "authorization_code":
            asked = self._codes.pop(str(given["code"]))
            digest = hashlib.sha256(str(given["code_verifier"]).encode()).digest()
            assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == asked["code_challenge"]
            assert given["redirect_uri"] == asked["redirect_uri"]
            nonce = asked.get("nonce")
        else:
            self._refresh_tokens.remove(str(given["refresh_token"]))
        refresh_token = secrets.token_urlsafe()
        self._refresh_tokens.add(refresh_token)
        answer = {
            "access_token": self._signed(AUDIENCE, role="client", fullName="Budi", jti=secrets.token_hex(8)),
            "id_token": self._signed(CLIENT_ID, **({"nonce": nonce} if nonce else {})),
            "refresh_token": refresh_token,
            "token_type": "Bearer",
            "expires_in": 300,
        }
        return web.json_response(answer, headers=_READABLE)

    async def _end(self, request: web.Request) -> web.Response:
        self.seen.append(request.path)
        raise web.HTTPFound(request.query["post_logout_redirect_uri"])

    async def _take(self, request: web.Request) -> web.Response:
        self.told.append(json.loads(await request.text()))
        return web.Response(headers=_READABLE)

    def _signed(self, audience: str, **more: Any) -> str:
        now = int(time.time())
        claims = {
            "sub": self.person_id,
            "iss": self.url,
            "aud": audience,
            "iat": now,
            "exp": now + 300,
            **more,
        }
        return jwt.encode(claims | more, self._key, algorithm="RS256", headers={"kid": "one"})

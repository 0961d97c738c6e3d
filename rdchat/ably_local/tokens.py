"""Keys and tokens: what a credential allows, and how one is got from a signed TokenRequest."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import TYPE_CHECKING

import jwt

from .capabilities import Capability
from .errors import AblyError, ErrorCode
from .grants import ANY_CLIENT, Grant, Key
from .limits import Limits
from .revocations import Revocations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jwt.types import Options

_ALGORITHM = "HS256"
_JWT_PARTS = 3
# Ably reads no other registered claim, and the instants are held against this endpoint's own clock.
_SIGNATURE_ONLY: Options = {
    "require": ["iat", "exp"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


class Keyring:
    """Verifies keys and tokens, and issues tokens. Memory is bounded: caches forget their oldest entries."""

    def __init__(
        self, keys: list[Key], *, clock: Callable[[], float] = time.time, limits: Limits | None = None
    ) -> None:
        self._keys = {key.name: key for key in keys}
        self._apps = {key.name.partition(".")[0] for key in keys}
        self._clock = clock
        self._limits = limits or Limits()
        self._verified: dict[str, Grant] = {}
        self._nonces: dict[tuple[str, int, str], float] = {}
        self.revocations = Revocations(self._limits.token_lifetime)

    def verify_key(self, text: str, client_id: str | None = None) -> Grant:
        """Verify `<key name>:<secret>`; the key's holder may act as any `client_id`.

        Raises AblyError 40400 for an unknown app, 40101 for an unknown key or a wrong secret.
        """
        name, _, secret = text.partition(":")
        key = self._key(name)
        if not hmac.compare_digest(key.secret.encode(), secret.encode()):
            raise AblyError(ErrorCode.INVALID_CREDENTIALS, "invalid key secret")
        return Grant(key.name, key.capability, client_id or ANY_CLIENT)

    def verify_token(self, token: str) -> Grant:
        """Verify an Ably JWT, whoever signed it.

        Raises AblyError 40143 for what is no JWT, 40144 for one that is not valid, 40142 when it has expired,
        40141 when it was revoked, 40400 or 40101 when it names an unknown app or key.
        """
        grant = self._verified.get(token)
        if grant is None:
            grant = self._decode(token)
            if len(self._verified) >= self._limits.token_cache:
                del self._verified[next(iter(self._verified))]
            self._verified[token] = grant
        if grant.expires is not None and grant.expires <= self._clock():
            self._verified.pop(token, None)
            raise AblyError(ErrorCode.TOKEN_EXPIRED, "token expired")
        if self.revocations.cover(grant):
            raise AblyError(ErrorCode.TOKEN_REVOKED, "token revoked")
        return grant

    def request_token(self, key_name: str, request: Mapping[str, object]) -> dict[str, object]:
        """Exchange a signed TokenRequest for TokenDetails `{token, keyName, issued, expires, capability}`.

        Instants and the ttl are milliseconds. Raises AblyError 40101 for a wrong mac, 40102 when the key
        names differ, 40104 for a timestamp too far from now, 40105 for a nonce used before, 40003 for a bad
        ttl or capability, 40160 when nothing of the capability is the key's.
        """
        key = self._key(key_name)
        if request.get("keyName") not in (None, key_name):
            raise AblyError(ErrorCode.INCOMPATIBLE_CREDENTIALS, "the request was made for another key")
        mac = request.get("mac")
        expected = _token_request_mac(key, request)
        if not isinstance(mac, str) or not hmac.compare_digest(mac.encode(), expected.encode()):
            raise AblyError(ErrorCode.INVALID_CREDENTIALS, "invalid mac")
        self._check_fresh(key, request)
        capability = key.capability
        if request.get("capability"):
            capability = Capability.parse(request["capability"]).intersect(key.capability)
            if not capability.resources:
                raise AblyError(ErrorCode.NOT_PERMITTED, "nothing of this capability is allowed by the key")
        client_id = _optional_text(request, "clientId", ErrorCode.INVALID_CLIENT_ID)
        return self._issue(key, capability, client_id, self._lifetime(request))

    def sweep(self) -> None:
        """Forget what can no longer matter: old nonces, tokens and revocations that have run out."""
        now = self._clock()
        self._nonces = {nonce: until for nonce, until in self._nonces.items() if until > now}
        self._verified = {
            token: grant for token, grant in self._verified.items() if grant.expires and grant.expires > now
        }
        self.revocations.sweep(now)

    def _key(self, name: str) -> Key:
        key = self._keys.get(name)
        if key is not None:
            return key
        if name.partition(".")[0] in self._apps:
            raise AblyError(ErrorCode.INVALID_CREDENTIALS, "no key found with this name")
        raise AblyError(ErrorCode.NOT_FOUND, "no application found with this key name")

    def _decode(self, token: str) -> Grant:
        if token.count(".") != _JWT_PARTS - 1:
            raise AblyError(ErrorCode.TOKEN_UNRECOGNISED, "unrecognised token")
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            if not isinstance(kid, str):
                raise _invalid_jwt("no kid")
            key = self._key(kid)
            claims = jwt.decode(
                token,
                key.secret,
                algorithms=[_ALGORITHM],
                options=_SIGNATURE_ONLY,
            )
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise _invalid_jwt(str(error)) from error
        return self._grant(key, claims)

    def _grant(self, key: Key, claims: Mapping[str, object]) -> Grant:
        issued, expires = claims["iat"], claims["exp"]
        if not isinstance(issued, int | float) or not isinstance(expires, int | float):
            raise _invalid_jwt("iat and exp must be numbers")
        revocation_key = _optional_text(claims, "x-ably-revocation-key", ErrorCode.INVALID_JWT)
        longest = self._limits.revocable_token_lifetime if revocation_key else self._limits.token_lifetime
        if not 0 < expires - issued <= longest:
            raise _invalid_jwt(f"lifetime must be within {longest:.0f} seconds")
        if issued > self._clock() + self._limits.clock_skew:
            raise _invalid_jwt("issued in the future")
        capability = key.capability
        if claims.get("x-ably-capability") is not None:
            capability = Capability.parse(claims["x-ably-capability"]).intersect(key.capability)
        client_id = _optional_text(claims, "x-ably-clientId", ErrorCode.INVALID_JWT)
        return Grant(key.name, capability, client_id, issued, expires, revocation_key)

    def _check_fresh(self, key: Key, request: Mapping[str, object]) -> None:
        now = self._clock()
        timestamp, nonce = request.get("timestamp"), request.get("nonce")
        if not isinstance(timestamp, int) or abs(timestamp / 1000 - now) > self._limits.clock_skew:
            raise AblyError(ErrorCode.TIMESTAMP_NOT_CURRENT, "timestamp not current")
        if not isinstance(nonce, str) or not nonce:
            raise AblyError(ErrorCode.INVALID_PARAMETER, "a nonce is required")
        used = (key.name, timestamp, nonce)
        if used in self._nonces:
            raise AblyError(ErrorCode.NONCE_REPLAYED, "nonce value replayed")
        # Past twice the skew the timestamp itself is refused, so the nonce need not be known any more.
        self._nonces[used] = now + 2 * self._limits.clock_skew

    def _lifetime(self, request: Mapping[str, object]) -> float:
        ttl = request.get("ttl")
        if ttl in (None, ""):
            return self._limits.default_token_lifetime
        if not isinstance(ttl, int) or not 0 < ttl <= self._limits.token_lifetime * 1000:
            raise AblyError(ErrorCode.INVALID_PARAMETER, "invalid ttl")
        return ttl / 1000

    def _issue(
        self, key: Key, capability: Capability, client_id: str | None, lifetime: float
    ) -> dict[str, object]:
        # A token of this endpoint is an Ably JWT too: it need not be stored to be verified later.
        issued = self._clock()
        claims: dict[str, object] = {
            "iat": issued,
            "exp": issued + lifetime,
            "x-ably-capability": capability.text(),
        }
        details: dict[str, object] = {
            "keyName": key.name,
            "issued": int(issued * 1000),
            "expires": int((issued + lifetime) * 1000),
            "capability": capability.text(),
        }
        if client_id is not None:
            claims["x-ably-clientId"] = details["clientId"] = client_id
        details["token"] = jwt.encode(claims, key.secret, algorithm=_ALGORITHM, headers={"kid": key.name})
        return details


def _token_request_mac(key: Key, request: Mapping[str, object]) -> str:
    fields = ("ttl", "capability", "clientId", "timestamp", "nonce")
    values = [key.name, *("" if request.get(field) is None else str(request[field]) for field in fields)]
    text = "".join(f"{value}\n" for value in values)
    return base64.b64encode(hmac.digest(key.secret.encode(), text.encode(), hashlib.sha256)).decode()


def _optional_text(source: Mapping[str, object], name: str, code: ErrorCode) -> str | None:
    value = source.get(name)
    if value is None or isinstance(value, str):
        return value or None
    raise AblyError(code, f"{name} must be text")


def _invalid_jwt(reason: str) -> AblyError:
    return AblyError(ErrorCode.INVALID_JWT, f"invalid JWT: {reason}")

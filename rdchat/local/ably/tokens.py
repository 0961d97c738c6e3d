"""Keys and tokens: what a credential allows, and how one is got from a signed TokenRequest."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from functools import lru_cache
from typing import TYPE_CHECKING, TypeGuard, cast

import jwt

from .capabilities import Capability
from .errors import AblyError, ErrorCode
from .grants import ANY_CLIENT, Grant, Key
from .limits import Limits
from .numerals import whole_number
from .revocations import Revocations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jwt.types import Options

_ALGORITHM = "HS256"
_JWT_PARTS = 3
_LONGEST_TOKEN = 16_384
_LATEST_INSTANT = 1e11  # the year 5138: beyond that, milliseconds are meant
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
    """Verifies the keys and tokens of one app, and issues tokens.

    Memory is bounded: the cache of tokens forgets its oldest entries, and only signed requests leave a nonce.
    """

    def __init__(
        self, keys: Iterable[Key], *, clock: Callable[[], float] = time.time, limits: Limits | None = None
    ) -> None:
        self.keys = {key.name: key for key in keys}
        self._clock = clock
        self._limits = limits or Limits()
        self._verified: dict[str, Grant] = {}
        self._nonces: dict[tuple[str, int, str], float] = {}
        self.revocations = Revocations(self._limits.token_lifetime)

    def verify_key(self, text: str, client_id: str | None = None) -> Grant:
        """Verify `<key name>:<secret>`; the key's holder may act as any `client_id`.

        Raise AblyError 40400 for an unknown key, 40101 for a wrong secret.
        """
        name, _, secret = text.partition(":")
        key = self.key(name)
        if not hmac.compare_digest(key.secret.encode(), secret.encode()):
            raise AblyError(ErrorCode.INVALID_CREDENTIALS, "invalid key secret")
        return Grant(key.name, key.capability, client_id or ANY_CLIENT)

    def verify_token(self, token: str) -> Grant:
        """Verify an Ably JWT signed with any key of the app.

        Raise AblyError 40101 and 40143 for what is no JWT, 40144 for one that is not valid, 40003 for one
        that lives too long, 40142 when it has expired, 40141 when it was revoked, 40400 for an unknown key.
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
        void_from = self.revocations.applies_at(grant)
        if void_from is not None and void_from <= self._clock():
            raise AblyError(ErrorCode.TOKEN_REVOKED, "token revoked")
        return grant

    def request_token(
        self, key_name: str, request: Mapping[str, object], bearer: Grant | None = None
    ) -> dict[str, object]:
        """Exchange a TokenRequest for a token: `{token, keyName, issued, expires, capability, clientId?}`.

        The request is signed, or made by the `bearer` of the key itself. Instants and the ttl are
        milliseconds. Raise AblyError 40101 for a wrong mac, 40102 when the key names differ, 40104 for a
        timestamp too far from now, 40105 for a nonce used before, 40003 for a bad ttl or capability, 40160
        when nothing of the capability is the key's.
        """
        key = self.key(key_name)
        if request.get("keyName") not in (None, key_name):
            raise AblyError(ErrorCode.INCOMPATIBLE_CREDENTIALS, "the request was made for another key")
        if request.get("mac") is None and bearer is not None:
            if not bearer.is_key or bearer.key_name != key_name:
                raise AblyError(ErrorCode.REQUIRES_KEY, "an unsigned request requires the key")
        else:
            self._check_signed(key, request)
        capability = key.capability
        if request.get("capability"):
            capability = Capability.parse(request["capability"]).intersect(key.capability)
            if not capability.resources:
                raise AblyError(ErrorCode.NOT_PERMITTED, "nothing of this capability is allowed by the key")
        client_id = _optional_text(request, "clientId", ErrorCode.INVALID_CLIENT_ID)
        return self._issue(key, capability, client_id, self._lifetime(key, request))

    def sweep(self) -> None:
        """Forget what can no longer matter: old nonces, tokens and revocations that have run out."""
        now = self._clock()
        self._nonces = {nonce: until for nonce, until in self._nonces.items() if until > now}
        self._verified = {
            token: grant for token, grant in self._verified.items() if grant.expires and grant.expires > now
        }
        self.revocations.sweep(now)

    def key(self, name: str) -> Key:
        """Return the key of that name. Raise AblyError 40400, with status 401, when there is none."""
        key = self.keys.get(name)
        if key is None:
            raise AblyError(ErrorCode.NOT_FOUND, f"no key found with name {name}", status=401)
        return key

    def _decode(self, token: str) -> Grant:
        key = self.key(key_name_of(token))
        try:
            claims = jwt.decode(
                token,
                key.secret,
                algorithms=[_ALGORITHM],
                options=_SIGNATURE_ONLY,
            )
        except jwt.MissingRequiredClaimError as error:
            raise _invalid_jwt(f"{error.claim} must be specified", status=400) from error
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise _invalid_jwt(str(error)) from error
        return self._grant(key, claims)

    def _grant(self, key: Key, claims: Mapping[str, object]) -> Grant:
        issued, expires = claims["iat"], claims["exp"]
        if not _is_instant(issued) or not _is_instant(expires):
            raise _invalid_jwt("iat and exp must be seconds since the epoch")
        revocation_key = _optional_text(claims, "x-ably-revocation-key", ErrorCode.INVALID_JWT)
        if expires <= issued:
            raise _invalid_jwt("it expires before it is issued")
        longest = self._longest(key, revocable=revocation_key is not None)
        if expires - issued > longest:
            raise AblyError(ErrorCode.INVALID_PARAMETER, f"excessive value for ttl (limit {longest:.0f} s)")
        if issued > self._clock() + self._limits.clock_skew:
            raise _invalid_jwt("issued in the future")
        capability = key.capability
        if claims.get("x-ably-capability") is not None:
            capability = Capability.parse(claims["x-ably-capability"]).intersect(key.capability)
        client_id = _optional_text(claims, "x-ably-clientId", ErrorCode.INVALID_CLIENT_ID)
        return Grant(key.name, capability, client_id, issued, expires, revocation_key)

    def _check_signed(self, key: Key, request: Mapping[str, object]) -> None:
        mac = request.get("mac")
        expected = _token_request_mac(key, request)
        if not isinstance(mac, str) or not hmac.compare_digest(mac.encode(), expected.encode()):
            raise AblyError(ErrorCode.INVALID_CREDENTIALS, "invalid mac")
        self._check_fresh(key, request)

    def _check_fresh(self, key: Key, request: Mapping[str, object]) -> None:
        now = self._clock()
        timestamp, nonce = _number(request.get("timestamp")), request.get("nonce")
        if timestamp is None or abs(timestamp / 1000 - now) > self._limits.clock_skew:
            raise AblyError(ErrorCode.TIMESTAMP_NOT_CURRENT, "timestamp not current")
        if not isinstance(nonce, str) or not nonce:
            raise AblyError(ErrorCode.INVALID_PARAMETER, "a nonce is required")
        used = (key.name, timestamp, nonce)
        if used in self._nonces:
            raise AblyError(ErrorCode.NONCE_REPLAYED, "nonce value replayed")
        # Past twice the skew the timestamp itself is refused, so the nonce need not be known any more.
        self._nonces[used] = now + 2 * self._limits.clock_skew

    def _longest(self, key: Key, *, revocable: bool) -> float:
        if key.revocable or revocable:
            return self._limits.revocable_token_lifetime
        return self._limits.token_lifetime

    def _lifetime(self, key: Key, request: Mapping[str, object]) -> float:
        if request.get("ttl") in (None, ""):
            return self._limits.default_token_lifetime
        ttl = _number(request["ttl"])
        if ttl is None or ttl <= 0:
            raise AblyError(ErrorCode.INVALID_PARAMETER, "invalid ttl")
        longest = self._longest(key, revocable=False)
        if ttl > longest * 1000:
            raise AblyError(ErrorCode.INVALID_PARAMETER, f"excessive value for ttl (limit {longest:.0f} s)")
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


@lru_cache(maxsize=1_024)
def key_name_of(token: str) -> str:
    """Read the name of the key that an Ably JWT says it was signed with; nothing is verified.

    Raise AblyError 40101 for what is no token at all, 40143 for one that is no JWT (all that this endpoint
    issues are), 40144 for a JWT that names no key.
    """
    if "." not in token:
        raise AblyError(ErrorCode.INVALID_CREDENTIALS, "invalid access token in request")
    if len(token) > _LONGEST_TOKEN:
        raise _invalid_jwt(f"longer than {_LONGEST_TOKEN} characters")
    if token.count(".") != _JWT_PARTS - 1:
        raise AblyError(ErrorCode.TOKEN_UNRECOGNISED, "unrecognised token")
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise _invalid_jwt(str(error)) from error
    if not isinstance(kid, str):
        raise _invalid_jwt("no kid")
    return kid


def _token_request_mac(key: Key, request: Mapping[str, object]) -> str:
    fields = ("ttl", "capability", "clientId", "timestamp", "nonce")
    values = [key.name, *("" if request.get(field) is None else str(request[field]) for field in fields)]
    text = "".join(f"{value}\n" for value in values)
    return base64.b64encode(hmac.digest(key.secret.encode(), text.encode(), hashlib.sha256)).decode()


def _is_instant(value: object) -> TypeGuard[float]:
    # Written so that what is not a number fails as well.
    return type(value) in (int, float) and 0 <= cast("float", value) < _LATEST_INSTANT


def _number(value: object) -> int | None:
    """Read a number that may come as text: from the query of an address, say."""
    if isinstance(value, str):
        return whole_number(value)
    return value if type(value) is int else None


def _optional_text(source: Mapping[str, object], name: str, code: ErrorCode) -> str | None:
    value = source.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise AblyError(code, f"{name} must be text, and not empty")
    return value


def _invalid_jwt(reason: str, *, status: int = 401) -> AblyError:
    return AblyError(ErrorCode.INVALID_JWT, f"invalid JWT: {reason}", status=status)

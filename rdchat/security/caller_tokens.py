"""Who calls: tokens of the identity provider, verified.

PyJWT checks the signature, and nothing else: what a token says is read here, by the clock that all replicas
share, and in one way only. A short or simple HMAC key is refused by the settings.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

import jwt

from config import LANGUAGES
from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.common.ids import read_id
from rdchat.domain.booking import is_zone
from rdchat.domain.person import Caller, Role, clean_name
from rdchat.security.compact_tokens import LONGEST_TOKEN, read_header, read_instant, read_object
from rdchat.security.refusals import UNKNOWN_KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from rdchat.common.clock import Clock

#: A role that no one has.
_PROBE: Final = "probe"
#: Tokens whose signature need not be checked again; about 40 MiB of them.
_REMEMBERED: Final = 100_000
_LONGEST_TEXT: Final = 200
#: Java and Android wrote Indonesian like this for a long time.
_OLD_LANGUAGES: Final = {"in": "id"}
#: What a forged or broken token makes PyJWT and the reading of its claims raise.
_NO_TOKEN: Final = (
    jwt.PyJWTError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    OverflowError,
    RecursionError,
)
#: Clocks of issuer and service may differ by this much.
_LEEWAY_SECONDS: Final = 5
_SIGNATURES: Final = jwt.PyJWS()


class UnknownKeyError(RdchatError):
    """A token names a key that is not known here: yet, perhaps."""

    def __init__(self, kid: str) -> None:
        super().__init__(ErrorCode.UNAUTHENTICATED, reason=UNKNOWN_KEY)
        self.kid = kid


class CallerTokens:
    """Verifies the tokens of callers.

    `secret` for HMAC algorithms; `keys` maps a key id to a public key for the asymmetric ones, and `find_key`
    may add one to them: it says whether it has. A verified token is remembered until it expires or its key
    is withdrawn, so that its signature is checked once and not at every request. None may live longer than
    `max_lifetime`: what it says could not be told from what was true long ago.
    """

    def __init__(
        self,
        *,
        algorithms: tuple[str, ...],
        issuer: str,
        audience: str,
        clock: Clock,
        secret: str | None = None,
        keys: Mapping[str, Any] | None = None,
        find_key: Callable[[str], Awaitable[bool]] | None = None,
        max_lifetime: timedelta = timedelta(days=1),
    ) -> None:
        self._algorithms = list(algorithms)
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._secret = secret
        # Not `keys or {}`: a mapping that is empty now may have keys in a moment.
        self._keys = keys if keys is not None else {}
        self._find_key = find_key
        self._max_lifetime = max_lifetime.total_seconds()
        self._verified: OrderedDict[bytes, tuple[float, Caller, str | None, Any]] = OrderedDict()

    def verify(self, token: str) -> Caller:
        """Return who calls, by the keys that are known.

        Raise RdchatError: UNAUTHENTICATED, as UnknownKeyError where `verify_fetching` may know better;
        FORBIDDEN for a valid token with a role that means nothing here.
        """
        now = self._clock.ms() / 1000
        if len(token) > LONGEST_TOKEN:
            raise RdchatError(ErrorCode.UNAUTHENTICATED)
        # By its hash: of a hundred thousand tokens the texts would take more memory than all else.
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._verified.get(digest)
        if known is not None:
            kid = known[2]
            if now < known[0] and (kid is None or self._keys.get(kid) is known[3]):
                return known[1]
            del self._verified[digest]
        try:
            kid, key = self._key_for(token)
            claims = read_object(_SIGNATURES.decode(token, key, self._algorithms))
            expires = self._checked(claims, now)
            caller = _caller(claims)
        except _NO_TOKEN as error:
            raise RdchatError(ErrorCode.UNAUTHENTICATED) from error
        self._verified[digest] = (expires, caller, kid, key)
        if len(self._verified) > _REMEMBERED:
            self._verified.popitem(last=False)
        return caller

    async def verify_fetching(self, token: str) -> Caller:
        """Return who calls; a key that is not known is asked for at once.

        Raise RdchatError like `verify`, and UNAVAILABLE while no key was ever fetched.
        """
        try:
            return self.verify(token)
        except UnknownKeyError as error:
            if self._find_key is None or not await self._find_key(error.kid):
                raise
        return self.verify(token)

    def _key_for(self, token: str) -> tuple[str | None, Any]:
        header = read_header(token)
        if self._secret is not None:
            return None, self._secret
        kid = header["kid"]
        if header["alg"] not in self._algorithms or not isinstance(kid, str) or len(kid) > _LONGEST_TEXT:
            raise ValueError("not signed as tokens are here")
        key = self._keys.get(kid)
        if key is None:
            raise UnknownKeyError(kid)
        return kid, key

    def _checked(self, claims: dict[str, Any], now: float) -> float:
        """Return when a token expires; raise one of _NO_TOKEN unless it is for this service, and good now."""
        issued, expires = read_instant(claims, "iat"), read_instant(claims, "exp")
        begins = max(issued, read_instant(claims, "nbf")) if "nbf" in claims else issued
        audience = claims["aud"]
        audiences = audience if isinstance(audience, list) else [audience]
        if claims["iss"] != self._issuer:
            raise jwt.InvalidIssuerError
        if self._audience not in audiences or not all(isinstance(one, str) for one in audiences):
            raise jwt.InvalidAudienceError
        if begins > now + _LEEWAY_SECONDS:
            raise jwt.ImmatureSignatureError
        if expires <= now - _LEEWAY_SECONDS:
            raise jwt.ExpiredSignatureError
        # So that from now on it lives no longer than that either, but for the leeway.
        if not 0 < expires - issued <= self._max_lifetime:
            raise ValueError("lives too long")
        return expires

    def issue(self, caller: Caller, *, lifetime: timedelta) -> str:
        """Make a token, as an identity provider would (development, tests, the demo)."""
        optional = {
            "email": caller.email,
            "organizationId": str(caller.organization_id) if caller.organization_id is not None else None,
            "zoneinfo": caller.timezone,
            "locale": caller.language,
        }
        more = {name: value for name, value in optional.items() if value is not None}
        return self._signed(caller.id, caller.role.value, caller.full_name, lifetime, more)

    def issue_probe(self, *, lifetime: timedelta) -> str:
        """Make a token that opens nothing: who has the same secret answers 403 to its role, others 401."""
        return self._signed(uuid4(), _PROBE, _PROBE, lifetime, {})

    def _signed(
        self, person_id: UUID, role: str, name: str, lifetime: timedelta, more: dict[str, str]
    ) -> str:
        if self._secret is None:
            raise ValueError("tokens are issued by the identity provider behind RDCHAT_JWT_JWKS_URL")
        now = self._clock.now()
        claims = {
            "sub": str(person_id),
            "role": role,
            "fullName": name,
            "iss": self._issuer,
            "aud": self._audience,
            "iat": now,
            "exp": now + lifetime,
            **more,
        }
        return jwt.encode(claims, self._secret, algorithm=self._algorithms[0])


def _caller(claims: dict[str, Any]) -> Caller:
    name = clean_name(_typed(claims["fullName"]))
    if not name:
        raise ValueError("fullName")
    email = claims.get("email")
    organization = claims.get("organizationId")
    return Caller(
        id=_id(claims["sub"]),
        full_name=name,
        email=_text(email) if email is not None else None,
        organization_id=_id(organization) if organization is not None else None,
        timezone=_timezone(claims.get("zoneinfo")),
        language=_language(claims.get("locale")),
        issued_at=float(claims["iat"]),
        # Last: only a caller whose other claims hold hears that their role is none here.
        role=_role(claims["role"]),
    )


def _id(claim: object) -> UUID:
    """Read an id in its usual form. Python takes others too, with braces or in the digits of any script."""
    text = _typed(claim)
    found = read_id(text)
    if str(found) != text.lower():
        raise ValueError("not an id in its usual form")
    return found


def _role(claim: object) -> Role:
    text = _typed(claim)
    if not text.strip():
        raise ValueError("role")
    try:
        return Role(text)
    except ValueError:
        raise RdchatError(ErrorCode.FORBIDDEN, reason="role") from None


def _timezone(claim: object) -> str | None:
    """Read an optional claim. A zone that is not known here is none; what is no text at all is no token."""
    return name if claim is not None and is_zone(name := _typed(claim)) else None


def _language(claim: object) -> str | None:
    """Read the language off a locale such as `id`, `id-ID` or `en_US.UTF-8`; None for any other."""
    if claim is None:
        return None
    spoken = re.split(r"[-_.@]", _typed(claim), maxsplit=1)[0].lower()
    spoken = _OLD_LANGUAGES.get(spoken, spoken)
    return spoken if spoken in LANGUAGES else None


def _text(claim: object) -> str:
    text = _typed(claim)
    if len(text) > _LONGEST_TEXT or "\x00" in text:
        raise ValueError("not a text that can be stored")
    text.encode()  # a lone surrogate raises here, and not in the database
    return text


def _typed(claim: object) -> str:
    if not isinstance(claim, str):
        raise TypeError("not a text")
    return claim

"""Tokens: who calls (verified), and what a client may do at Ably (issued). The only module that uses PyJWT.

Facts about PyJWT that shape it: a token without `exp` passes unless `require` names it, `aud` may be a list
unless `strict_aud`, and a short HMAC key is only warned about (the settings refuse it).
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import jwt

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain.person import Caller, Role

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from rdchat.common.clock import Clock

_CLAIMS: Final = ("exp", "iat", "iss", "aud", "sub")
#: Tokens whose signature need not be checked again; about 40 MiB of them.
_REMEMBERED: Final = 100_000
_LONGEST_TEXT: Final = 200
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


class CallerTokens:
    """Verifies the tokens of callers.

    `secret` for HMAC algorithms; `keys` maps a key id to a public key for the asymmetric ones. A verified
    token is remembered until it expires or its key is withdrawn, so that its signature is checked once and
    not at every request.
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
    ) -> None:
        self._algorithms = list(algorithms)
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._secret = secret
        self._keys = keys or {}
        self._verified: OrderedDict[bytes, tuple[float, Caller, str | None]] = OrderedDict()

    def verify(self, token: str) -> Caller:
        """Say who calls. Raises RdchatError (UNAUTHENTICATED)."""
        now = self._clock.ms() / 1000
        # By its hash: of a hundred thousand tokens the texts would take more memory than all else.
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._verified.get(digest)
        if known is not None and now < known[0] and (known[2] is None or known[2] in self._keys):
            return known[1]
        try:
            kid, key = self._key_for(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=self._algorithms,
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": list(_CLAIMS), "strict_aud": True},
            )
            caller = _caller(claims)
            expires = float(claims["exp"])
        except _NO_TOKEN as error:
            raise RdchatError(ErrorCode.UNAUTHENTICATED) from error
        self._verified[digest] = (expires, caller, kid)
        if len(self._verified) > _REMEMBERED:
            self._verified.popitem(last=False)
        return caller

    def _key_for(self, token: str) -> tuple[str | None, Any]:
        if self._secret is not None:
            return None, self._secret
        kid = str(jwt.get_unverified_header(token)["kid"])
        return kid, self._keys[kid]

    def issue(self, caller: Caller, *, lifetime: timedelta) -> str:
        """Make a token, as an identity provider would (development, tests, the demo)."""
        if self._secret is None:
            raise ValueError("tokens are issued by the identity provider behind RDCHAT_JWT_JWKS_URL")
        now = self._clock.now()
        claims: dict[str, Any] = {
            "sub": str(caller.id),
            "role": caller.role.value,
            "fullName": caller.full_name,
            "iss": self._issuer,
            "aud": self._audience,
            "iat": now,
            "exp": now + lifetime,
        }
        if caller.email is not None:
            claims["email"] = caller.email
        if caller.organization_id is not None:
            claims["organizationId"] = str(caller.organization_id)
        return jwt.encode(claims, self._secret, algorithm=self._algorithms[0])


def _caller(claims: dict[str, Any]) -> Caller:
    name = _text(claims["fullName"])
    if not name.strip():
        raise ValueError("fullName")
    email = claims.get("email")
    organization = claims.get("organizationId")
    return Caller(
        id=UUID(claims["sub"]),
        role=Role(claims["role"]),
        full_name=name.strip(),
        email=_text(email) if email is not None else None,
        organization_id=UUID(organization) if organization is not None else None,
    )


def _text(claim: object) -> str:
    if not isinstance(claim, str) or len(claim) > _LONGEST_TEXT or "\x00" in claim:
        raise ValueError("not a text that can be stored")
    claim.encode()  # a lone surrogate raises here, and not in the database
    return claim

"""Tokens for Ably: what a client, or the server itself, may do there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import jwt
import orjson

if TYPE_CHECKING:
    from datetime import datetime, timedelta


def ably_token(
    key: str,
    *,
    capability: dict[str, list[str]],
    client_id: str | None,
    lifetime: timedelta,
    now: datetime,
    revocation_key: str | None = None,
) -> str:
    """Issue an Ably JWT, signed with an Ably key (`app.key:secret`).

    The form is the one that Ably documents: HS256, `kid` names the key, capability as JSON text.
    """
    name, _, secret = key.partition(":")
    claims: dict[str, Any] = {
        "iat": now,
        "exp": now + lifetime,
        "x-ably-capability": orjson.dumps(capability).decode(),
        # Without something unique, two tokens of one second would be one token, revoked together.
        "jti": uuid4().hex,
    }
    if client_id is not None:
        claims["x-ably-clientId"] = client_id
    if revocation_key is not None:
        claims["x-ably-revocation-key"] = revocation_key
    return jwt.encode(claims, secret, algorithm="HS256", headers={"kid": name})

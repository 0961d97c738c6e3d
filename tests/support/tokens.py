"""Tokens by hand: any header over any claims, signed with anything, as no library would."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from jwt.utils import base64url_encode

Signer = Callable[[bytes], bytes]


def claims_of(**changes: Any) -> dict[str, Any]:
    """What a token of a client says, with changes; `...` leaves a claim out."""
    now = int(time.time())
    good = {
        "sub": str(uuid4()),
        "role": "client",
        "fullName": "Budi",
        "iss": "rdchat",
        "aud": "rdchat",
        "iat": now,
        "exp": now + 300,
    }
    return {name: value for name, value in (good | changes).items() if value is not ...}


def hs256(secret: str | bytes) -> Signer:
    key = secret.encode() if isinstance(secret, str) else secret
    return lambda text: hmac.digest(key, text, "sha256")


def token_of(header: object, payload: object, sign: Signer) -> str:
    """A token of a header and claims: texts are taken as they are, bytes too, all else is made JSON."""
    parts = b".".join(base64url_encode(_bytes(one)) for one in (header, payload))
    return f"{parts.decode()}.{base64url_encode(sign(parts)).decode()}"


def _bytes(part: object) -> bytes:
    if isinstance(part, bytes):
        return part
    return (part if isinstance(part, str) else json.dumps(part)).encode()

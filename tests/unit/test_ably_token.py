"""The token that lets a client listen at Ably has exactly the form that Ably documents."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from rdchat.security.ably_tokens import ably_token

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CAPABILITY = {"chat:session:1": ["subscribe", "presence"]}
KEY = "a:secret that is long enough to sign with"


def issued(**changes: Any) -> str:
    given: dict[str, Any] = {
        "capability": CAPABILITY,
        "client_id": "budi",
        "lifetime": timedelta(minutes=30),
        "now": NOW,
        "revocation_key": "session-1",
    }
    return ably_token(f"app.key:{KEY}", **(given | changes))


def read(token: str) -> dict[str, Any]:
    return jwt.decode(token, KEY, algorithms=["HS256"], options={"verify_exp": False, "verify_iat": False})


def test_it_says_what_its_holder_may_do_as_whom_and_until_when() -> None:
    token = issued()
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT", "kid": "app.key"}
    claims = read(token)
    assert json.loads(claims.pop("x-ably-capability")) == CAPABILITY
    assert len(claims.pop("jti")) == 32
    assert claims == {
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 1800,
        "x-ably-clientId": "budi",
        "x-ably-revocation-key": "session-1",
    }


def test_what_is_not_given_is_not_claimed() -> None:
    claims = read(issued(client_id=None, revocation_key=None))
    assert claims.keys() == {"iat", "exp", "x-ably-capability", "jti"}


def test_two_tokens_of_one_instant_are_two() -> None:
    assert read(issued())["jti"] != read(issued())["jti"]

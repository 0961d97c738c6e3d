"""The genuine JavaScript SDK against the local endpoint: keys, tokens and clientIds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from rdchat.local.ably import AblyLocal

MakeEndpoint = Callable[..., Awaitable[AblyLocal]]
Mint = Callable[..., str]
Run = Callable[..., Awaitable[dict[str, Any]]]

# On one worker: the others need not wait until the SDK is installed.
pytestmark = pytest.mark.xdist_group("javascript")

Key = tuple[str, str]


@pytest.fixture
def key(endpoint: AblyLocal) -> Key:
    """A key of an app made for the test: the endpoint's own has spaces, which this SDK does not take."""
    [made] = endpoint.apps.create({"keys": [{"revocableTokens": True}]}).keyring.keys.values()
    return made.name, made.secret


@pytest.fixture
def sign(mint: Mint, key: Key) -> Mint:
    """Mint tokens with that key."""
    return partial(mint, key=key[0], secret=key[1])


async def test_request_token(run: Run, endpoint: AblyLocal, key: Key, fmt: str) -> None:
    assert await run("requestToken", endpoint, fmt, ":".join(key)) == {
        "token": "string",
        "keyName": True,
        "capability": '{"a":["*"],"c:*":["publish","subscribe"]}',
        "clientId": "ann",
        "ttl": 60_000,
        "usual": 3_600_000,
        "anonymous": None,
        "used": [None, [40160, 401]],
        "replayed": [40105, 401],
        "forged": [40101, 401],
        "old": 40104,
        "tooLong": 40003,
        "queried": "string",
    }


async def test_forms_of_tokens(run: Run, endpoint: AblyLocal, sign: Mint, key: Key, fmt: str) -> None:
    assert await run("authCallbacks", endpoint, fmt, ":".join(key), sign(client_id="ann")) == {
        form: ["ann", None] for form in ("request", "details", "jwt", "text")
    }


async def test_keys(run: Run, endpoint: AblyLocal, key: Key, fmt: str) -> None:
    assert await run("keyAuth", endpoint, fmt, ":".join(key)) == {
        "heard": [["anonymous", None], ["on behalf", "bob"], ["identified", "ann"], ["rest", "ann"]],
        "ids": [None, "ann"],
        "refused": [[40012, 400], [40012, 400]],
        "enterFor": None,
        "states": ["connected", "connected"],
    }


async def test_client_ids(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    tokens = mint(client_id="ann"), mint(client_id="*"), mint()
    assert await run("clientIds", endpoint, fmt, *tokens) == {
        "heard": [["own", "ann"], ["claimed", "bob"], ["rest", "ann"], ["any", "carl"]],
        "ids": ["ann", "bob"],
        "foreign": [[40012, 400]] * 3,
        "mismatch": [40102, 401],
        "unclaimable": 40102,
        "state": "connected",
    }


async def test_wrong_credentials(run: Run, endpoint: AblyLocal, sign: Mint, key: Key, fmt: str) -> None:
    forged, expired = sign(secret="another, and as long as it must be"), sign(lifetime=-60.0)
    assert await run("wrongCredentials", endpoint, fmt, ":".join(key), forged, expired) == {
        "secret": [[40101, 401], [40101, 401]],
        "unknown": [[40101, 401], [40400, 404]],
        "nonsense": [[40101, 401], [40101, 401]],
        "forged": [[40171, 403], [40144, 401]],
        "expired": [[40171, 403], [40142, 401]],
    }


async def test_renewal(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("renewal", endpoint, fmt, mint(lifetime=-60.0), mint()) == {"code": 40142, "calls": 2}


async def test_token_expiry(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    asked = {"mint": lambda: mint(lifetime=1.0)}
    assert await run("expiry", endpoint, fmt, mint(), asked=asked) == {"code": 40142, "same": True}


async def test_new_token_in_band(run: Run, make_endpoint: MakeEndpoint, mint: Mint, fmt: str) -> None:
    endpoint = await make_endpoint(reauth_lead=59.0)
    first = {"kept": ["subscribe"], "lost": ["subscribe"]}
    asked = {"mint": lambda: mint(first, lifetime=60.0)}
    assert await run("reauth", endpoint, fmt, mint({"kept": ["subscribe"]}), asked=asked) == {
        "code": 40160,
        "kept": "attached",
        "state": "connected",
    }


async def test_authorize(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    tokens = mint(client_id="ann"), mint({"kept": ["subscribe"]}, "ann"), mint(client_id="bob")
    assert await run("authorize", endpoint, fmt, *tokens) == {
        "code": 40160,
        "kept": "attached",
        "heard": "still",
        "same": True,
        "stranger": 40102,
        "state": "failed",
    }


async def test_revoking_tokens(run: Run, endpoint: AblyLocal, sign: Mint, key: Key, fmt: str) -> None:
    revoked = sign(client_id="ann"), sign(revocation_key="group"), sign({"room": ["*"]})
    assert await run("revoking", endpoint, fmt, ":".join(key), *revoked, sign({"c": ["*"]})) == {
        "counts": [3, 1],
        "results": [
            ["clientId:ann", True, True],
            ["revocationKey:group", True, True],
            ["channel:room", True, True],
            ["unheardOf:x", 400],
        ],
        "reasons": [40141, 40141, 40141],
        "bystander": "connected",
        "overRest": [40171, 403],
        "byToken": [40162, 401],
    }


async def test_revoking_with_a_margin(run: Run, endpoint: AblyLocal, sign: Mint, key: Key, fmt: str) -> None:
    asked = {"mint": lambda: sign(client_id="ann")}
    given = ":".join(key), sign(client_id="ann")
    assert await run("revokingWithMargin", endpoint, fmt, *given, asked=asked) == {
        "margin": True,
        "issuedBefore": True,
        "asked": 2,
        "left": 0,
        "same": True,
    }

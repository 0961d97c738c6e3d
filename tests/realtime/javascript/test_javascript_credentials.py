"""The genuine JavaScript SDK against the local endpoint: keys, tokens and clientIds."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from rdchat.local.ably import AblyLocal
from tests.support.waiting import until

if TYPE_CHECKING:
    import aiohttp

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
        "unknown": [[40101, 401], [40101, 401]],
        "nonsense": [[40101, 401], [40101, 401]],
        "forged": [[40171, 403], [40144, 401]],
        "expired": [[40171, 403], [40142, 401]],
    }


async def test_renewal(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("renewal", endpoint, fmt, mint(lifetime=-60.0), mint()) == {"code": 40142, "calls": 2}


async def test_token_expiry(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    asked = {"mint": lambda: mint(lifetime=1.0)}
    assert await run("expiry", endpoint, fmt, mint(), asked=asked) == {"code": 40142, "same": True}


async def test_tokens_that_expire_again(run: Run, make_endpoint: MakeEndpoint, mint: Mint, fmt: str) -> None:
    endpoint = await make_endpoint(channel_publishes=10_000)
    asked = {"mint": lambda: mint(client_id="ann", lifetime=1.0)}
    assert await run("expiries", endpoint, fmt, mint(), asked=asked) == {
        "reasons": [40142] * 3,
        "complete": True,
        "same": True,
    }


async def test_a_callback_that_fails(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    lifetimes = [1.0, 600.0]
    asked = {"mint": lambda: mint(lifetime=lifetimes.pop(0))}
    assert await run("failingCallback", endpoint, fmt, asked=asked) == {
        "changes": [
            ["disconnected", 40142],
            ["connecting", None],
            ["disconnected", 80019],
            ["connecting", None],
            ["connected", None],
        ],
        "calls": 3,
    }


async def test_a_callback_that_forbids(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    asked = {"mint": lambda: mint(lifetime=1.0)}
    assert await run("forbiddingCallback", endpoint, fmt, asked=asked) == {
        "changes": [["disconnected", 40142], ["connecting", None], ["failed", 80019]],
        "calls": 2,
    }


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


async def test_capabilities_that_change(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    less, more = mint({"c": ["subscribe"]}), mint({"c": ["subscribe", "publish"]})
    reading, writing = ["presence_subscribe", "subscribe"], ["presence_subscribe", "publish", "subscribe"]
    assert await run("changingCapabilities", endpoint, fmt, less, more, less) == {
        "seen": [
            [[40160, 401], reading, "attached"],
            [None, writing, "attached"],
            [[40160, 401], reading, "attached"],
        ],
        "heard": "between",
        "state": "connected",
    }


@pytest.mark.parametrize(("margin", "reasons"), [(None, [40141]), (0.5, [])])
async def test_a_revoked_token_that_is_renewed_costs_no_message(
    *,
    run: Run,
    make_endpoint: MakeEndpoint,
    mint: Mint,
    http: aiohttp.ClientSession,
    fmt: str,
    margin: float | None,
    reasons: list[int],
) -> None:
    endpoint = await make_endpoint(revocation_margin=margin or 1.0, channel_publishes=10_000)
    capabilities = [{"kept": ["subscribe"], "lost": ["subscribe"]}, {"kept": ["subscribe"]}]
    applies_at = [0.0]

    async def revoke() -> None:
        url, headers = (
            f"http://{endpoint.address}/keys/app.key/revokeTokens",
            {"Authorization": f"Bearer {mint()}"},
        )
        body = {"targets": ["revocationKey:one"], "allowReauthMargin": margin is not None}
        async with http.post(url, json=body, headers=headers) as answer:
            applies_at[0] = (await answer.json())["results"][0]["appliesAt"] / 1000

    asked = {
        "mint": lambda: mint(capabilities.pop(0), "ann", revocation_key="one"),
        "revoke": revoke,
        "applied": lambda: until(lambda: time.time() > applies_at[0]),
    }
    scenario = "revokedAndRenewed" if margin is None else "revokedWithAMargin"
    assert await run(scenario, endpoint, fmt, mint(), asked=asked) == {
        "complete": True,
        "several": True,
        "same": True,
        "reasons": reasons,
        "lost": 40160,
        "kept": "attached",
        "state": "connected",
    }
    assert capabilities == []

"""Credentials that must be refused, each with its own code, over both transports; and what tokens may do."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

from rdchat.local.ably import AblyLocal

if TYPE_CHECKING:
    import aiohttp

Mint = Callable[..., str]
Connect = Callable[..., Awaitable[Any]]
Named = tuple[str, str]


def _tampered(mint: Mint) -> str:
    """A good token whose capability was widened after it had been signed."""
    header, _, mac = mint({"own": ["subscribe"]}).split(".")
    claims = {"iat": time.time(), "exp": time.time() + 60, "x-ably-capability": '{"*":["*"]}'}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{header}.{body}.{mac}"


def _with_claims(**claims: object) -> Callable[[Mint], str]:
    def make(mint: Mint) -> str:
        now = time.time()
        body = {"iat": now, "exp": now + 60} | claims
        body = {name: value for name, value in body.items() if value is not None}
        return mint(claims=body)

    return make


HOSTILE: dict[str, tuple[Callable[[Mint], str], int, int]] = {
    "wrong mac": (lambda mint: mint(secret="x" * 40), 40144, 401),
    "expired": (lambda mint: mint(lifetime=-1.0), 40142, 401),
    "another app": (lambda mint: mint(key="elsewhere.key"), 40400, 404),
    "unknown key": (lambda mint: mint(key="app.unknown"), 40400, 401),
    "kid that is no key's name": (lambda mint: mint(key="nothing"), 40400, 404),
    "alg none": (lambda mint: mint(secret="", algorithm="none"), 40144, 401),
    "another algorithm": (lambda mint: mint(algorithm="HS512"), 40144, 401),
    "capability widened": (_tampered, 40144, 401),
    "capability that is none": (_with_claims(**{"x-ably-capability": "everything"}), 40000, 400),
    "capability of nothing": (_with_claims(**{"x-ably-capability": "{}"}), 40000, 400),
    "operation that is none": (_with_claims(**{"x-ably-capability": '{"c":["shout"]}'}), 40000, 400),
    "clientId that is no text": (_with_claims(**{"x-ably-clientId": 7}), 40012, 400),
    "clientId that is empty": (_with_claims(**{"x-ably-clientId": ""}), 40012, 400),
    "never expires": (_with_claims(exp=None), 40144, 400),
    "no issue instant": (_with_claims(iat=None), 40144, 400),
    "expires before it is issued": (_with_claims(exp=0), 40144, 401),
    "lives too long": (lambda mint: mint(lifetime=86_500.0), 40003, 400),
    "revocable, lives too long": (lambda mint: mint(lifetime=3_700.0, revocation_key="s"), 40003, 400),
    "from the future": (_with_claims(iat=time.time() + 5_000, exp=time.time() + 5_060), 40144, 401),
    "expires at no instant": (_with_claims(exp=float("nan")), 40144, 401),
    "issued at no instant": (_with_claims(iat=float("nan")), 40144, 401),
    "expires never": (_with_claims(exp=float("inf")), 40144, 401),
    "expires too late for a float": (_with_claims(exp=10**400), 40144, 401),
    "garbage": (lambda _: "garbage", 40101, 401),
    "an opaque token": (lambda _: "app.opaque", 40143, 401),
    "five parts": (lambda _: "a.b.c.d.e", 40143, 401),
    "garbage with dots": (lambda _: "gar.ba.ge", 40144, 401),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_hostile_tokens_over_http(
    endpoint: AblyLocal, http: aiohttp.ClientSession, mint: Mint, case: str
) -> None:
    make, code, status = HOSTILE[case]
    token = base64.b64encode(make(mint).encode()).decode()
    url = f"http://{endpoint.address}/channels/c/messages"
    async with http.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
        assert (answer.status, answer.headers["X-Ably-Errorcode"]) == (status, str(code))
        assert answer.headers["Content-Type"] == "application/json"
        error = (await answer.json())["error"]
    assert (error["code"], error["statusCode"]) == (code, status)
    assert error["message"] == answer.headers["X-Ably-Errormessage"]


@pytest.mark.parametrize("case", HOSTILE)
async def test_hostile_tokens_over_a_websocket(
    endpoint: AblyLocal, connect: Connect, mint: Mint, case: str
) -> None:
    make, code, status = HOSTILE[case]
    if code == 40400:
        # Who connects is not told which part of the credentials is unknown.
        code, status = 40101, 401
    client = await connect(endpoint, make(mint))
    error = (await client.receive(9))["error"]
    assert (error["code"], error["statusCode"]) == (code, status)
    await client.closed()


@pytest.mark.parametrize("case", HOSTILE)
async def test_hostile_tokens_offered_in_band(
    endpoint: AblyLocal, connect: Connect, mint: Mint, case: str
) -> None:
    make, code, _ = HOSTILE[case]
    client = await connect(endpoint)
    await client.receive(4)
    await client.send(action=17, auth={"accessToken": make(mint)})
    assert (await client.receive(9))["error"]["code"] == code
    await client.closed()


async def test_a_client_id_other_than_the_tokens(endpoint: AblyLocal, connect: Connect, mint: Mint) -> None:
    client = await connect(endpoint, mint(client_id="ann"), clientId="ben")
    assert (await client.receive(9))["error"]["code"] == 40102
    client = await connect(endpoint, mint(client_id="ann"))
    assert (await client.receive(4))["connectionDetails"]["clientId"] == "ann"
    await client.send(action=17, auth={"accessToken": mint(client_id="ben")})
    assert (await client.receive(9))["error"]["code"] == 40102


@pytest.mark.parametrize(
    ("credentials", "code", "status"),
    [
        ("app.key:wrong", 40101, 401),
        ("app.unknown:x", 40400, 401),
        ("elsewhere.key:x", 40101, 401),
        ("nothing", 40101, 401),
        ("no-app:x", 40101, 401),
        (None, 40101, 401),
    ],
)
async def test_wrong_keys(
    endpoint: AblyLocal, http: aiohttp.ClientSession, credentials: str | None, code: int, status: int
) -> None:
    headers = {}
    if credentials is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(credentials.encode()).decode()
    async with http.get(f"http://{endpoint.address}/channels/c/messages", headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (status, code)


async def test_a_key_and_a_client_id(endpoint: AblyLocal, connect: Connect, key: Named) -> None:
    client = await connect(endpoint, key=":".join(key), clientId="ann")
    assert (await client.receive(4))["connectionDetails"]["clientId"] == "ann"


Revoke = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def revoke(endpoint: AblyLocal, http: aiohttp.ClientSession, mint: Mint) -> Revoke:
    """Revoke targets; gives the answer."""

    async def ask(*targets: str, status: int = 201, **more: Any) -> dict[str, Any]:
        url = f"http://{endpoint.address}/keys/app.key/revokeTokens"
        headers = {"Authorization": f"Bearer {mint()}"}
        async with http.post(url, json={"targets": targets, **more}, headers=headers) as answer:
            assert answer.status == status
            told: dict[str, Any] = await answer.json()
            return told

    return ask


@pytest.mark.parametrize(
    "target", ["revocationKey:session-1", "clientId:ann", "channel:chat:session:1", "channel:chat:*"]
)
async def test_revoked_tokens_are_disconnected_and_refused(
    endpoint: AblyLocal, connect: Connect, mint: Mint, revoke: Revoke, target: str
) -> None:
    token = mint({"chat:session:1": ["*"], "chat:*": ["subscribe"]}, "ann", revocation_key="session-1")
    spared = mint({"chat:session:10": ["*"], "*": ["subscribe"]}, "ben", revocation_key="session-2")
    revoked, other = await connect(endpoint, token), await connect(endpoint, spared)
    await revoked.receive(4)
    await other.receive(4)
    results = await revoke(target)

    assert (results["successCount"], results["results"][0]["target"]) == (1, target)
    assert (await revoked.receive(6))["error"]["code"] == 40141
    await revoked.closed()
    again = await connect(endpoint, token)
    assert (await again.receive(9))["error"]["code"] == 40141
    await other.send(action=0, id="still here")
    assert (await other.receive(0))["id"] == "still here"


async def test_a_target_that_is_none_fails_alone(revoke: Revoke) -> None:
    answer = await revoke("colour:red", "clientId:ann", "clientId:", "ann")
    assert (answer["successCount"], answer["failureCount"]) == (1, 3)
    for failed in (answer["results"][0], *answer["results"][2:]):
        assert (failed["error"]["code"], failed["error"]["statusCode"]) == (40000, 400)
        assert "appliesAt" not in failed


async def test_tokens_issued_later_are_good(
    endpoint: AblyLocal, connect: Connect, mint: Mint, revoke: Revoke
) -> None:
    token = mint(client_id="ann")
    await revoke("clientId:ann", issuedBefore=int((time.time() - 60) * 1000))
    await (await connect(endpoint, token)).receive(4)
    for issued_before in (int((time.time() + 60) * 1000), int((time.time() - 3_700) * 1000), "now"):
        refused = await revoke("clientId:ann", status=400, issuedBefore=issued_before)
        assert refused["error"]["code"] == 40003


async def test_a_margin_gives_clients_the_time_for_a_new_token(
    make_endpoint: Callable[..., Awaitable[AblyLocal]],
    connect: Connect,
    mint: Mint,
    http: aiohttp.ClientSession,
) -> None:
    endpoint = await make_endpoint(revocation_margin=1.0)
    token = mint(client_id="ann")
    prompt, slow = await connect(endpoint, token), await connect(endpoint, token)
    await prompt.receive(4)
    await slow.receive(4)
    url = f"http://{endpoint.address}/keys/app.key/revokeTokens"
    body = {"targets": ["clientId:ann"], "allowReauthMargin": True}
    headers = {"Authorization": f"Bearer {mint()}"}
    asked_at = time.time() * 1000
    async with http.post(url, json=body, headers=headers) as answer:
        assert (await answer.json())["results"][0]["appliesAt"] > asked_at + 1_000
    await slow.receive(17)
    await prompt.receive(17)
    await prompt.send(action=17, auth={"accessToken": mint(client_id="ann")})
    await prompt.receive(4)
    await (await connect(endpoint, token)).receive(4)
    assert (await slow.receive(6))["error"]["code"] == 40141
    await prompt.send(action=0, id="still here")
    assert (await prompt.receive(0))["id"] == "still here"


async def test_a_token_of_any_length_is_not_remembered(
    endpoint: AblyLocal, connect: Connect, mint: Mint
) -> None:
    client = await connect(endpoint)
    await client.send(action=17, auth={"accessToken": _with_claims(padding="x" * 20_000)(mint)})
    assert (await client.receive(9))["error"]["code"] == 40144


async def test_a_margin_ends_for_those_who_come_again_too(
    make_endpoint: Callable[..., Awaitable[AblyLocal]], connect: Connect, mint: Mint
) -> None:
    endpoint = await make_endpoint(revocation_margin=0.5)
    token = mint(client_id="ann")
    first = await connect(endpoint, token)
    resume = (await first.receive(4))["connectionDetails"]["connectionKey"]
    app = endpoint.apps.get("app")
    now = time.time()
    app.keyring.revocations.revoke("clientId:ann", now, now + 0.5, now)
    app.connections.revoke()
    await first.receive(17)
    app.connections.revoke()
    await first.send(action=0, id="asked once")
    assert [frame["action"] for frame in await first.frames_until(0)] == [0]
    for again in (await connect(endpoint, token, resume=resume), await connect(endpoint, token)):
        assert (await again.receive(6))["error"]["code"] == 40141
        await again.closed()


async def test_a_connection_cannot_change_its_key(connect: Connect, mint: Mint, key: Named) -> None:
    endpoint = AblyLocal(keys={key[0]: key[1], "app.other": "another secret, long enough " * 2})
    await endpoint.start()
    try:
        client = await connect(endpoint)
        other = mint(key="app.other", secret="another secret, long enough " * 2)
        await client.send(action=17, auth={"accessToken": other})
        assert (await client.receive(9))["error"]["code"] == 40102
    finally:
        await endpoint.close()


async def test_only_the_keys_owner_revokes(
    endpoint: AblyLocal, http: aiohttp.ClientSession, mint: Mint
) -> None:
    url = f"http://{endpoint.address}/keys/app.key/revokeTokens"
    for token in (mint({"*": ["publish"]}), mint(client_id="ann")):
        headers = {"Authorization": f"Bearer {token}"}
        async with http.post(url, json={"targets": ["clientId:ben"]}, headers=headers) as answer:
            assert answer.headers["X-Ably-Errorcode"] == "40162"

"""Tokens signed by an identity provider: keys are fetched, kept fresh, and kept while it is away."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from rdchat.common.clock import SystemClock
from rdchat.common.errors import ErrorCode, RdchatError, UnavailableError
from rdchat.security import key_set as key_set_module
from rdchat.security.caller_tokens import CallerTokens
from rdchat.security.key_set import KeySet, public_keys
from tests.support.key_provider import KeyProvider, rsa_key
from tests.support.tokens import claims_of, hs256, token_of
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def provider() -> AsyncIterator[KeyProvider]:
    async with KeyProvider.running() as provider:
        yield provider


@pytest.fixture
async def keys(provider: KeyProvider) -> AsyncIterator[KeySet]:
    """A key set that was fetched, and is not refreshed by itself for a minute."""
    keys = KeySet(provider.url)
    await keys.start()
    yield keys
    provider.held.set()
    await keys.close()


def verifier(keys: KeySet) -> CallerTokens:
    return CallerTokens(
        algorithms=("RS256",),
        issuer="rdchat",
        audience="rdchat",
        clock=SystemClock(),
        keys=keys.keys,
        find_key=keys.find,
    )


def refused(tokens: CallerTokens, token: str) -> None:
    with pytest.raises(RdchatError) as caught:
        tokens.verify(token)
    assert caught.value.code is ErrorCode.UNAUTHENTICATED


async def code_of(tokens: CallerTokens, token: str) -> ErrorCode | None:
    """How a token is refused, with the key set asked; None: it is not."""
    try:
        await tokens.verify_fetching(token)
    except RdchatError as error:
        return error.code
    return None


async def test_keys_are_fetched_and_follow_the_provider(
    provider: KeyProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set_module, "_REFRESH_SECONDS", 0.02)
    keys = KeySet(provider.url)
    await keys.start()
    tokens = verifier(keys)
    seen = provider.token("one")
    assert tokens.verify(seen).full_name == "Budi"
    refused(tokens, provider.token("two"))

    async def changed() -> bool:
        return list(keys.keys) == ["two"]

    provider.published = ["two"]
    await until(changed)
    assert tokens.verify(provider.token("two")).full_name == "Budi"
    for withdrawn in (seen, provider.token("one")):
        refused(tokens, withdrawn)

    provider.status = 500
    assert tokens.verify(provider.token("two")).full_name == "Budi"
    await keys.close()


async def test_a_key_that_was_published_a_moment_ago_is_accepted_at_once(
    provider: KeyProvider, keys: KeySet
) -> None:
    tokens = verifier(keys)
    assert await code_of(tokens, provider.forged("three")) is ErrorCode.UNAUTHENTICATED
    provider.published = ["one", "two"]
    assert (await tokens.verify_fetching(provider.token("two"))).full_name == "Budi"
    assert tokens.verify(provider.token("two")).full_name == "Budi"
    assert provider.asked == 3


async def test_a_provider_that_does_not_answer_is_given_up(
    provider: KeyProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set_module, "_FETCH_SECONDS", 0.05)
    provider.hangs = True
    keys = KeySet(provider.url)
    async with asyncio.timeout(5):
        await keys.start()
    await until(lambda: keys._fetching is None, 2)  # noqa: SLF001 - it has ended by itself
    assert keys.status == "away"
    await keys.close()


@pytest.mark.parametrize("key_set", [{}, {"keys": []}, [], {"keys": [{"kty": "unknown"}]}, {"keys": None}])
def test_what_is_no_key_set_is_said_so(key_set: Any) -> None:
    with pytest.raises(ValueError, match=r"^not a JSON Web Key Set with a usable key$"):
        public_keys(key_set)


async def test_a_key_that_a_fetch_under_way_came_too_early_for_is_asked_for_again(
    provider: KeyProvider, keys: KeySet
) -> None:
    tokens = verifier(keys)
    provider.held.clear()
    early = asyncio.create_task(code_of(tokens, provider.forged("three")))
    await until(lambda: provider.asked == 2)
    provider.published = ["one", "two"]
    late = asyncio.create_task(code_of(tokens, provider.token("two")))
    # A step for the late one to join what is under way.
    await asyncio.sleep(0)
    provider.held.set()
    assert await early is ErrorCode.UNAUTHENTICATED
    assert await late is None


async def test_made_up_names_of_keys_do_not_hammer_the_provider(provider: KeyProvider, keys: KeySet) -> None:
    tokens = verifier(keys)
    codes = await asyncio.gather(*(code_of(tokens, provider.forged("same")) for _ in range(50)))
    assert set(codes) == {ErrorCode.UNAUTHENTICATED}
    assert provider.asked <= 3, "those who come together are served by one fetch, or the one after"
    before = provider.asked
    for _ in range(20):
        assert await code_of(tokens, provider.forged("same")) is ErrorCode.UNAUTHENTICATED
    assert provider.asked == before, "what the provider has just not known is not asked for again"
    for number in range(40):
        assert await code_of(tokens, provider.forged(f"made up {number}")) is ErrorCode.UNAUTHENTICATED
    assert provider.asked <= 1 + key_set_module._MOST_FETCHES + 1  # noqa: SLF001 - the bound itself


async def test_a_fetch_delays_nobody_whose_key_is_known(provider: KeyProvider, keys: KeySet) -> None:
    tokens = verifier(keys)
    provider.held.clear()
    waiting = [
        asyncio.create_task(code_of(tokens, provider.forged(f"made up {number}"))) for number in range(20)
    ]
    await until(lambda: provider.asked == 2)
    assert tokens.verify(provider.token("one")).full_name == "Budi"
    assert not any(task.done() for task in waiting)
    provider.held.set()
    assert set(await asyncio.gather(*waiting)) == {ErrorCode.UNAUTHENTICATED}


async def test_a_provider_that_hangs_holds_up_few_and_not_for_long(
    provider: KeyProvider, keys: KeySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set_module, "_MOST_WAITING", 2)
    tokens = verifier(keys)
    provider.held.clear()
    waiting = [asyncio.create_task(code_of(tokens, provider.forged(f"held {n}"))) for n in range(2)]
    await until(lambda: provider.asked == 2)
    assert await code_of(tokens, provider.forged("third")) is ErrorCode.UNAUTHENTICATED
    assert not any(task.done() for task in waiting)
    monkeypatch.setattr(key_set_module, "_WAIT_SECONDS", 0.01)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await code_of(tokens, provider.forged("fourth")) is ErrorCode.UNAUTHENTICATED


async def test_the_provider_may_be_away_while_its_keys_are_known(provider: KeyProvider, keys: KeySet) -> None:
    tokens = verifier(keys)
    provider.status = 503
    assert await code_of(tokens, provider.token("two")) is ErrorCode.UNAUTHENTICATED
    assert (await tokens.verify_fetching(provider.token("one"))).full_name == "Budi"
    assert keys.status == "ok"
    # One more than the one that may have been under way, and no more.
    assert provider.asked == 3
    # A failed fetch has said nothing of the key.
    provider.status, provider.published = 200, ["one", "two"]
    assert await code_of(tokens, provider.token("two")) is None


@pytest.mark.parametrize("fault", ["status", "no keys", "closed"])
async def test_without_the_provider_the_service_starts_and_goes_on_asking(
    provider: KeyProvider, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set_module, "_FIRST_PAUSE_SECONDS", 0.02)
    provider.status = 500 if fault == "status" else 200
    provider.published = [] if fault == "no keys" else ["one"]
    keys = KeySet(provider.url if fault != "closed" else "http://127.0.0.1:9/keys")
    await keys.start()
    tokens = verifier(keys)
    assert keys.status == "away"
    with pytest.raises(UnavailableError) as caught:
        await tokens.verify_fetching(provider.token("one"))
    assert caught.value.retry_after
    assert caught.value.what == f"the key set at {keys._url}"  # noqa: SLF001 - as it is logged
    assert await code_of(tokens, "garbage") is ErrorCode.UNAUTHENTICATED
    if fault == "closed":
        keys._url = provider.url  # noqa: SLF001 - it comes back
    provider.status, provider.published = 200, ["one"]
    await until(lambda: keys.status == "ok")
    assert tokens.verify(provider.token("one")).full_name == "Budi"
    await keys.close()


async def test_a_start_does_not_wait_for_a_provider_that_hangs(
    provider: KeyProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set_module, "_START_SECONDS", 0.01)
    provider.held.clear()
    keys = KeySet(provider.url)
    await keys.start()
    assert keys.status == "away"
    provider.held.set()
    await until(lambda: keys.status == "ok")
    await keys.close()


async def test_another_key_under_the_same_name_lets_nobody_in_whom_the_first_let_in(
    provider: KeyProvider, keys: KeySet
) -> None:
    tokens = verifier(keys)
    seen = provider.token("one")
    assert tokens.verify(seen).full_name == "Budi"
    provider.published, provider.names = ["two"], {"two": "one"}
    assert await code_of(tokens, provider.forged("unknown")) is ErrorCode.UNAUTHENTICATED
    refused(tokens, seen)
    assert tokens.verify(provider.forged("one")).full_name == "Budi"


async def test_keys_are_trusted_for_a_time_only_while_the_provider_is_away(
    provider: KeyProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set_module, "_REFRESH_SECONDS", 0.02)
    monkeypatch.setattr(key_set_module, "_FIRST_PAUSE_SECONDS", 0.02)
    keys = KeySet(provider.url, timedelta(seconds=0.3))
    await keys.start()
    tokens = verifier(keys)
    seen = provider.token("one")
    assert tokens.verify(seen).full_name == "Budi"
    # While it answers, they are trusted for longer than that.
    asked = provider.asked
    await until(lambda: provider.asked > asked + 20)
    assert (keys.status, await code_of(tokens, seen)) == ("ok", None)
    provider.status = 503
    await until(lambda: keys.status == "away")
    for token in (seen, provider.token("one")):
        with pytest.raises(UnavailableError):
            await tokens.verify_fetching(token)
    assert await code_of(tokens, "garbage") is ErrorCode.UNAUTHENTICATED
    assert keys.keys == {}
    provider.status = 200
    await until(lambda: keys.status == "ok")
    assert await code_of(tokens, seen) is None
    await keys.close()


@pytest.mark.parametrize("path", ["/keys", "/", "http://127.0.0.1:9/keys"])
async def test_a_redirect_is_followed_nowhere(provider: KeyProvider, path: str) -> None:
    provider.redirect = path
    keys = KeySet(provider.url)
    await keys.start()
    assert (keys.status, provider.asked) == ("away", 1)
    await keys.close()


@pytest.mark.parametrize("more", [0, 1])
async def test_a_key_set_is_read_as_far_as_one_may_be_long(
    provider: KeyProvider, more: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set_module, "_LARGEST_SET", 100_000)
    # In parts that are as small as a network makes them.
    monkeypatch.setattr(aiohttp.StreamReader, "iter_any", lambda reader: reader.iter_chunked(100))
    known = json.dumps({"keys": [provider.public("one")]})
    provider.body = (known + " " * (100_000 - len(known) + more)).encode()
    keys = KeySet(provider.url)
    await keys.start()
    assert keys.status == ("away" if more else "ok")
    await keys.close()


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 100_000, b'{"keys": NaN}', b"null", b'{"keys": 5}'])
async def test_what_is_no_json_is_no_key_set(provider: KeyProvider, body: bytes) -> None:
    provider.body = body
    keys = KeySet(provider.url)
    await keys.start()
    assert keys.status == "away"
    provider.body = None
    assert await code_of(verifier(keys), provider.token("one")) is None
    await keys.close()


def test_of_a_key_set_those_are_taken_that_verify_something(provider: KeyProvider) -> None:
    one = provider.public("one")
    private = json.loads(RSAAlgorithm.to_jwk(provider.private["two"]))
    weak = json.loads(RSAAlgorithm.to_jwk(rsa_key("weak", 2047).public_key()))
    curve = json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))
    edwards = json.loads(OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key()))
    found = public_keys(
        {
            "keys": [
                one | {"use": "sig", "kid": "for signatures"},
                one | {"use": "enc", "kid": "for encryption"},
                curve | {"kid": "curve"},
                edwards | {"kid": "edwards"},
                private | {"kid": "private"},
                weak | {"kid": "weak"},
                {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"},
                {name: value for name, value in one.items() if name != "kid"},
                one | {"kid": 5},
                one,
            ]
        }
    )
    assert list(found) == ["for signatures", "curve", "edwards", "one"]
    for unusable in (weak | {"kid": "weak"}, one | {"use": "enc"}, private | {"kid": "private"}):
        with pytest.raises(ValueError, match=r"^not a JSON Web Key Set with a usable key$"):
            public_keys({"keys": [unusable]})


def test_a_key_set_has_so_many_keys_at_most(provider: KeyProvider) -> None:
    one = provider.public("one")
    assert len(public_keys({"keys": [one | {"kid": str(number)} for number in range(100)]})) == 100
    with pytest.raises(ValueError, match=r"^more than 100 keys$"):
        public_keys({"keys": [one | {"kid": str(number)} for number in range(101)]})


class Paced:
    """`asyncio` for the module, with a clock and pauses of one's own."""

    def __init__(self, most: int = 0) -> None:
        self.now = 100.0
        self.pauses: list[float] = []
        self._most = most

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    def get_running_loop(self) -> Any:
        return SimpleNamespace(time=lambda: self.now, call_later=asyncio.get_running_loop().call_later)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if len(self.pauses) == self._most:
            await asyncio.Event().wait()
        await asyncio.sleep(0)


async def test_how_often_keys_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """After pauses that double until they are there, then each minute; and so again once trust has ended."""
    paced = Paced(most=13)
    monkeypatch.setattr(key_set_module, "asyncio", paced)
    keys = KeySet("http://127.0.0.1:9/keys")

    async def ask(_self: KeySet) -> dict[str, Any]:
        if len(paced.pauses) == 10:
            keys._distrust()  # noqa: SLF001 - as the timer does
        if len(paced.pauses) in (8, 9, 12):
            return {"one": object()}
        raise ValueError("not now")

    monkeypatch.setattr(KeySet, "_ask", ask)
    await keys.start()
    await until(lambda: len(paced.pauses) == 13)
    assert paced.pauses == [0.5, 1, 2, 4, 8, 15, 15, 15, 60, 60, 0.5, 1, 60]
    await keys.close()


async def test_what_is_asked_for_at_once_and_when_again(monkeypatch: pytest.MonkeyPatch) -> None:
    paced = Paced()
    monkeypatch.setattr(key_set_module, "asyncio", paced)
    keys = KeySet("http://127.0.0.1:9/keys")
    may = keys._may_fetch  # noqa: SLF001 - the bound itself
    assert [may(str(number)) for number in range(7)] == [True] * 5 + [False] * 2
    paced.now = 101.99
    assert not may("x")
    paced.now = 102.0
    assert [may("x"), may("x")] == [True, False]
    # After a long time there are as many as at the beginning, and no more.
    paced.now = 1_000.0
    assert [may(str(number)) for number in range(7)] == [True] * 5 + [False] * 2


async def test_a_fetch_that_is_under_way_may_be_waited_for_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    paced = Paced()
    monkeypatch.setattr(key_set_module, "asyncio", paced)
    keys = KeySet("http://127.0.0.1:9/keys")
    keys._fetching = asyncio.create_task(asyncio.sleep(0, result=True))  # noqa: SLF001 - as if
    assert all(keys._may_fetch(str(number)) for number in range(50))  # noqa: SLF001 - it costs nothing
    await keys._fetching  # noqa: SLF001 - or it would be left


async def test_what_the_provider_does_not_know_is_remembered_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paced = Paced()
    monkeypatch.setattr(key_set_module, "asyncio", paced)
    monkeypatch.setattr(key_set_module, "_REMEMBERED", 2)
    keys = KeySet("http://127.0.0.1:9/keys")
    remember, may = keys._remember_unknown, keys._may_fetch  # noqa: SLF001 - the bounds themselves
    remember("a")
    paced.now = 104.99
    assert (may("a"), may("b")) == (False, True)
    paced.now = 105.0
    assert may("a")
    remember("b")
    remember("c")
    assert (may("a"), may("b"), may("c")) == (True, True, False), "there are too many: it begins again"


async def test_places_to_wait_are_given_back(
    provider: KeyProvider, keys: KeySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set_module, "_MOST_WAITING", 1)
    tokens = verifier(keys)
    for asked in (2, 3, 4):
        assert await code_of(tokens, provider.forged(f"{asked}")) is ErrorCode.UNAUTHENTICATED
        assert provider.asked == asked
    provider.held.clear()
    waiting = asyncio.create_task(code_of(tokens, provider.forged("held")))
    await until(lambda: provider.asked == 5)
    assert await code_of(tokens, provider.forged("another")) is ErrorCode.UNAUTHENTICATED
    assert not waiting.done()
    provider.held.set()
    assert await waiting is ErrorCode.UNAUTHENTICATED


async def test_what_the_provider_has_not_answered_is_not_remembered(
    provider: KeyProvider, keys: KeySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set_module, "_WAIT_SECONDS", 0.01)
    provider.held.clear()
    assert not await keys.find("two")
    assert not keys._unknown  # noqa: SLF001 - nothing was said of it
    provider.published = ["one", "two"]
    provider.held.set()
    await until(lambda: keys._fetching is None)  # noqa: SLF001 - it goes on without those who waited
    # That one had begun too early.
    monkeypatch.undo()
    assert await keys.find("two")


async def test_keys_stop_being_asked_for_in_the_middle_of_it(provider: KeyProvider) -> None:
    keys = KeySet(provider.url)
    await keys.start()
    trusted = keys._trusted  # noqa: SLF001 - a timer is no task, whose leak would be seen
    assert trusted is not None
    provider.held.clear()
    fetching = keys._fetch()  # noqa: SLF001 - as each minute
    await until(lambda: provider.asked == 2)
    await keys.close()
    assert fetching.cancelled()
    assert trusted.cancelled()


async def test_one_that_was_never_started_can_be_closed(provider: KeyProvider) -> None:
    await KeySet(provider.url).close()
    assert provider.asked == 0


async def test_a_fetch_makes_trust_begin_again(provider: KeyProvider) -> None:
    keys = KeySet(provider.url, timedelta(hours=5))
    now = asyncio.get_running_loop().time()
    await keys.start()
    first = keys._trusted  # noqa: SLF001 - when it ends
    assert first is not None
    assert now + 18_000 <= first.when() <= now + 18_010
    await keys._fetch()  # noqa: SLF001 - as each minute
    second = keys._trusted  # noqa: SLF001 - when it ends
    assert second is not None
    assert (first.cancelled(), second.cancelled(), second.when() > first.when()) == (True, False, True)
    await keys.close()
    usual = KeySet(provider.url)
    await usual.start()
    assert usual._trusted is not None  # noqa: SLF001 - when it ends
    assert 86_400 <= usual._trusted.when() - now <= 86_430  # noqa: SLF001 - when it ends
    await usual.close()


async def test_a_key_that_stays_is_the_same_object_and_one_that_is_gone_is_forgotten(
    provider: KeyProvider, keys: KeySet
) -> None:
    provider.published = ["one", "two"]
    await keys._fetch()  # noqa: SLF001 - as each minute
    one, two = keys.keys["one"], keys.keys["two"]
    provider.published = ["one"]
    await keys._fetch()  # noqa: SLF001 - as each minute
    assert list(keys.keys) == ["one"]
    assert keys.keys["one"] is one
    provider.published, provider.names = ["two"], {"two": "one"}
    await keys._fetch()  # noqa: SLF001 - as each minute
    assert keys.keys["one"] == two


async def test_a_shared_secret_is_no_public_key(provider: KeyProvider, keys: KeySet) -> None:
    """The classic confusion: a token signed with HMAC over the text of the public key."""
    head = {"alg": "HS256", "typ": "JWT", "kid": "one"}
    refused(verifier(keys), token_of(head, claims_of(), hs256(provider.public_text("one"))))
    assert verifier(keys).verify(provider.token("one")).full_name == "Budi"

"""Tokens of callers, without a service: what is read from them, what is refused, and how long one is good."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import jwt
import pytest

from rdchat.common.clock import SystemClock, to_ms
from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain.person import Caller, Role
from rdchat.security import caller_tokens, compact_tokens
from rdchat.security.caller_tokens import CallerTokens, UnknownKeyError
from rdchat.security.refusals import reason_of
from tests.support.tokens import hs256, token_of

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "a secret that is long enough for sixty-four bytes, which HS512 would want of it"
SOMEBODY = UUID("00000000-0000-4000-8000-000000000001")
FIRM = UUID("00000000-0000-4000-8000-000000000002")
CALLER = Caller(SOMEBODY, Role.CLIENT, "Budi", "budi@example.id", FIRM)


class AheadClock(SystemClock):
    """The machine's clock, and what is added to it."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead

    def ms(self) -> float:
        return super().ms() + self.ahead / timedelta(milliseconds=1)


@pytest.fixture
def clock() -> AheadClock:
    return AheadClock()


def made(clock: AheadClock, **changes: Any) -> CallerTokens:
    given: dict[str, Any] = {
        "algorithms": ("HS256", "HS512"),
        "issuer": "issuer",
        "audience": "audience",
        "secret": KEY,
    }
    return CallerTokens(clock=clock, **(given | changes))


@pytest.fixture
def tokens(clock: AheadClock) -> CallerTokens:
    return made(clock)


def claims(**changes: Any) -> dict[str, Any]:
    now = to_ms(SystemClock().now()) / 1000
    good = {
        "sub": str(SOMEBODY),
        "role": "client",
        "fullName": "Budi",
        "iss": "issuer",
        "aud": "audience",
        "iat": now,
        "exp": now + 600,
    }
    return {name: value for name, value in (good | changes).items() if value is not ...}


def signed(**changes: Any) -> str:
    return jwt.encode(claims(**changes), KEY, algorithm="HS256")


def refused(tokens: CallerTokens, token: str) -> None:
    with pytest.raises(RdchatError) as caught:
        tokens.verify(token)
    assert caught.value.code is ErrorCode.UNAUTHENTICATED


@pytest.mark.parametrize("caller", [CALLER, Caller(SOMEBODY, Role.PSYCHOLOGIST, "Dewi")])
def test_a_token_says_who_it_was_issued_to(tokens: CallerTokens, caller: Caller) -> None:
    assert tokens.verify(tokens.issue(caller, lifetime=timedelta(minutes=1))) == caller


def test_an_issued_token_holds_what_an_identity_provider_would_write(tokens: CallerTokens) -> None:
    before = int(SystemClock().now().timestamp())
    token = tokens.issue(CALLER, lifetime=timedelta(minutes=1))
    after = int(SystemClock().now().timestamp())
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    read = jwt.decode(token, KEY, algorithms=["HS256"], audience="audience")
    issued = read.pop("iat")
    assert before <= issued <= after
    assert read == {
        "sub": str(SOMEBODY),
        "role": "client",
        "fullName": "Budi",
        "iss": "issuer",
        "aud": "audience",
        "exp": issued + 60,
        "email": "budi@example.id",
        "organizationId": str(FIRM),
    }
    bare = jwt.decode(
        tokens.issue(Caller(SOMEBODY, Role.CLIENT, "Budi"), lifetime=timedelta(minutes=1)),
        options={"verify_signature": False},
    )
    assert bare.keys() == {"sub", "role", "fullName", "iss", "aud", "iat", "exp"}


def test_a_token_is_issued_with_the_first_algorithm(clock: AheadClock) -> None:
    token = made(clock, algorithms=("HS512", "HS256")).issue(CALLER, lifetime=timedelta(minutes=1))
    assert jwt.get_unverified_header(token)["alg"] == "HS512"


def test_tokens_are_issued_only_with_the_secret(clock: AheadClock) -> None:
    with pytest.raises(
        ValueError, match=r"^tokens are issued by the identity provider behind RDCHAT_JWT_JWKS_URL$"
    ):
        made(clock, secret=None).issue(CALLER, lifetime=timedelta(minutes=1))


def test_each_algorithm_that_is_named_is_taken_and_no_other(tokens: CallerTokens) -> None:
    assert tokens.verify(jwt.encode(claims(), KEY, algorithm="HS512")).id == SOMEBODY
    refused(tokens, jwt.encode(claims(), KEY, algorithm="HS384"))
    refused(tokens, jwt.encode(claims(), KEY + "!", algorithm="HS256"))


@pytest.mark.parametrize("name", ["exp", "iat", "iss", "aud", "sub", "role", "fullName"])
def test_no_claim_may_be_missing(tokens: CallerTokens, name: str) -> None:
    refused(tokens, signed(**{name: ...}))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "another"},
        {"aud": "another"},
        {"aud": ["another", "third"]},
        # Which has its name in it.
        {"aud": "the audience of another"},
        {"aud": ["the audience of another"]},
        {"aud": 5},
        {"sub": "budi"},
        {"role": " "},
        {"role": 5},
        {"fullName": " \u3000"},
        {"fullName": 5},
        {"email": 5},
        {"email": "b" * 201},
        {"organizationId": "PT Satu"},
    ],
)
def test_a_claim_that_is_wrong_is_refused(tokens: CallerTokens, changes: dict[str, Any]) -> None:
    refused(tokens, signed(**changes))


# Made when it is its turn: those that are made when tests are collected have run out in a long run.
@pytest.mark.parametrize(
    ("make_token", "reason"),
    [
        (lambda: signed(iat=1_000, exp=1_060), "expired"),
        (lambda: signed(nbf=4_000_000_000), "not_yet_valid"),
        (lambda: jwt.encode(claims(), KEY[::-1], algorithm="HS256"), "signature"),
        (lambda: jwt.encode(claims(), KEY, algorithm="HS384"), "algorithm"),
        (lambda: signed(iss="another"), "issuer"),
        (lambda: signed(aud="another"), "audience"),
        (lambda: signed(sub=...), "claims"),
        (lambda: signed(sub="budi"), "claims"),
        (lambda: signed(exp=4_000_000_000), "claims"),
        (lambda: "budi", "malformed"),
        (lambda: "b" * 8_191, "other"),
    ],
)
def test_why_a_token_is_refused_can_be_counted(
    tokens: CallerTokens, make_token: Callable[[], str], reason: str
) -> None:
    with pytest.raises(RdchatError) as caught:
        tokens.verify(make_token())
    assert reason_of(caught.value) == reason


def test_an_audience_may_be_one_of_several(tokens: CallerTokens) -> None:
    assert tokens.verify(signed(aud=["another", "audience"])).id == SOMEBODY


def test_a_valid_token_with_a_role_that_is_none_here_is_forbidden(tokens: CallerTokens) -> None:
    with pytest.raises(RdchatError) as caught:
        tokens.verify(signed(role="admin"))
    assert (caught.value.code, caught.value.reason) == (ErrorCode.FORBIDDEN, "role")


def test_names_are_cleaned_and_cut(tokens: CallerTokens) -> None:
    assert tokens.verify(signed(fullName="  Bu\x00di ")).full_name == "Budi"
    assert tokens.verify(signed(fullName="x" * 101)).full_name == "x" * 100


def test_an_email_or_organization_of_null_is_none(tokens: CallerTokens) -> None:
    caller = tokens.verify(signed(email=None, organizationId=None))
    assert (caller.email, caller.organization_id) == (None, None)


@pytest.mark.parametrize("token", ["", "a.b.c", "\ud83d", "😊.😊.😊"])
def test_what_is_no_token_at_all_is_refused(tokens: CallerTokens, token: str) -> None:
    refused(tokens, token)


def test_clocks_may_differ_by_five_seconds(tokens: CallerTokens) -> None:
    now = int(SystemClock().now().timestamp())
    assert tokens.verify(signed(iat=now + 4, exp=now + 60)).id == SOMEBODY
    assert tokens.verify(signed(nbf=now + 4)).id == SOMEBODY
    assert tokens.verify(signed(iat=now - 60, exp=now - 3)).id == SOMEBODY
    refused(tokens, signed(iat=now - 60, exp=now - 6))
    refused(tokens, signed(iat=now + 60, exp=now + 120))
    refused(tokens, signed(nbf=now + 60))


def test_the_leeway_ends_at_the_instant(tokens: CallerTokens, clock: AheadClock) -> None:
    now = 1_800_000_000
    clock.ms = lambda: now * 1000.0  # type: ignore[method-assign]
    assert tokens.verify(signed(iat=now + 5, exp=now + 60)).issued_at == now + 5
    assert tokens.verify(signed(iat=now - 60, nbf=now + 5, exp=now + 60)).issued_at == now - 60
    assert tokens.verify(signed(iat=now - 60, exp=now - 4.5)).id == SOMEBODY
    refused(tokens, signed(iat=now + 5.5, exp=now + 60))
    refused(tokens, signed(iat=now + 5.5, nbf=now - 60, exp=now + 60))
    refused(tokens, signed(iat=now - 60, nbf=now + 5.5, exp=now + 60))
    refused(tokens, signed(iat=now - 60, exp=now - 5))


def test_no_token_lives_longer_than_is_allowed(clock: AheadClock) -> None:
    now = to_ms(clock.now()) // 1000
    for tokens, longest in (
        (made(clock), 86_400),
        (made(clock, max_lifetime=timedelta(minutes=5)), 300),
    ):
        assert tokens.verify(signed(iat=now - 60, exp=now - 60 + longest)).id == SOMEBODY
        assert tokens.verify(signed(iat=now, exp=now + 1)).id == SOMEBODY
        assert tokens.verify(signed(iat=now, exp=now + 0.5)).id == SOMEBODY
        refused(tokens, signed(iat=now - 60, exp=now - 59 + longest))
        # Neither by a beginning that is to come, nor by one long ago.
        refused(tokens, signed(iat=now + 3, exp=now + 4 + longest))
        refused(tokens, signed(iat=-1, exp=now + 60))
        refused(tokens, signed(iat=now, exp=now))
        refused(tokens, signed(iat=now, exp=now - 1))


@pytest.mark.parametrize("name", ["iat", "exp", "nbf"])
@pytest.mark.parametrize("value", [True, "1800000000", None, [], {}, float("nan"), float("inf"), 10**400])
def test_an_instant_is_a_finite_number(tokens: CallerTokens, name: str, value: object) -> None:
    refused(tokens, signed(**{name: value}))


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", None])
def test_a_token_may_say_that_it_is_one_for_a_service(tokens: CallerTokens, kind: str | None) -> None:
    assert tokens.verify(jwt.encode(claims(), KEY, "HS256", {"typ": kind})).id == SOMEBODY


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "logout+jwt"},
        {"typ": "JWE"},
        {"typ": 5},
        {"typ": ["JWT"]},
        {"crit": ["exp"]},
        {"crit": []},
    ],
)
def test_a_header_that_means_something_else_is_refused(tokens: CallerTokens, header: dict[str, Any]) -> None:
    refused(tokens, by_hand({"alg": "HS256"} | header, claims()))


def test_extensions_are_refused_before_any_library_reads_them() -> None:
    for named in (["exp"], [], None):
        with pytest.raises(ValueError, match=r"^not a token for a service$"):
            compact_tokens.read_header(by_hand({"alg": "HS256", "crit": named}, claims()))


def test_what_is_wrong_with_a_form_is_said() -> None:
    for token in ("", "a.b", "a.b.c.d", "a.b.c=", "a.b.c" + "d" * compact_tokens.LONGEST_TOKEN):
        with pytest.raises(jwt.DecodeError, match=r"^not a token in compact form$"):
            compact_tokens.read_header(token)
    for text, fault in (
        (b"[]", "not an object"),
        (b'"a"', "not an object"),
        (b'{"a": 1, "a": 1}', "a name is there twice"),
        (b'{"a": {"b": 1, "b": 2}}', "a name is there twice"),
        (b'{"a": NaN}', "not a number of JSON"),
        (b'{"a": -Infinity}', "not a number of JSON"),
    ):
        with pytest.raises(ValueError, match=f"^{fault}$"):
            compact_tokens.read_object(text)
    for value in (True, "1", None, float("inf")):
        with pytest.raises(ValueError, match=r"^not a finite number$"):
            compact_tokens.read_instant({"exp": value}, "exp")
    assert compact_tokens.read_instant({"exp": 5}, "exp") == 5


def test_only_keys_that_there_may_be_are_asked_for(clock: AheadClock) -> None:
    """What cannot be one of the provider's tokens does not make it be asked."""

    def is_asked(kid: str, alg: str = "HS256") -> bool:
        with pytest.raises(RdchatError) as caught:
            made(clock, secret=None).verify(by_hand({"alg": alg, "kid": kid}, claims()))
        assert caught.value.code is ErrorCode.UNAUTHENTICATED
        is_asked = isinstance(caught.value, UnknownKeyError)
        assert (caught.value.reason == "unknown_key") is is_asked
        return is_asked

    assert is_asked("one")
    assert is_asked("k" * 200)
    assert not is_asked("k" * 201)
    assert not is_asked("one", "HS384")
    assert not is_asked("one", "none")


def by_hand(header: object, payload: object) -> str:
    return token_of(header, payload, hs256(KEY))


def test_what_can_be_read_in_two_ways_is_refused(tokens: CallerTokens) -> None:
    head, said = {"alg": "HS256", "typ": "JWT"}, json.dumps(claims())
    assert tokens.verify(by_hand(head, said)).id == SOMEBODY
    refused(tokens, by_hand('{"alg":"none","alg":"HS256"}', said))
    refused(tokens, by_hand(head, said[:-1] + ', "role": "super_admin"}'))
    refused(tokens, by_hand(head, said[:-1] + ', "more": {"a": 1, "a": 2}}'))
    refused(tokens, by_hand(head, said[:-1] + ', "more": NaN}'))
    refused(tokens, by_hand(head, f"[{said}]"))
    refused(tokens, by_hand(f"[{json.dumps(head)}]", said))
    good = by_hand(head, said)
    for token in (
        good + "=",
        good + ".",
        "." + good,
        good + " ",
        " " + good,
        good + "\n",
        good + ".x",
        good[:-1],
    ):
        refused(tokens, token)
    refused(tokens, good.replace(".", "=."))


def test_how_long_a_token_may_be(tokens: CallerTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as a header: of one more character, nothing is read."""
    assert compact_tokens.LONGEST_TOKEN == 8_190
    token = signed()
    for module in (compact_tokens, caller_tokens):
        monkeypatch.setattr(module, "LONGEST_TOKEN", len(token))
    checked = counted(monkeypatch)
    assert tokens.verify(token).id == SOMEBODY
    refused(tokens, signed(fullName="Budi yang jauh lebih panjang"))
    assert checked == [token]


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note each token whose signature is checked."""
    checked: list[str] = []
    decode = jwt.PyJWS.decode

    def noting(self: jwt.PyJWS, token: str, *args: Any, **options: Any) -> Any:
        checked.append(token)
        return decode(self, token, *args, **options)

    monkeypatch.setattr(jwt.PyJWS, "decode", noting)
    return checked


def test_a_signature_is_checked_once_until_the_token_expires(
    tokens: CallerTokens, clock: AheadClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = counted(monkeypatch)
    now = int(SystemClock().now().timestamp())
    token, another = signed(exp=now + 600), signed(exp=now + 601)
    assert tokens.verify(token) == tokens.verify(token) == tokens.verify(token)
    assert checked == [token]
    tokens.verify(another)
    assert checked == [token, another]
    clock.ahead = timedelta(seconds=590)
    tokens.verify(token)
    assert checked == [token, another]
    clock.ahead = timedelta(seconds=601)
    tokens.verify(token)
    assert checked == [token, another, token]


def test_a_token_is_looked_at_again_at_the_very_instant_that_it_expires(
    tokens: CallerTokens, clock: AheadClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = counted(monkeypatch)
    expires = int(SystemClock().now().timestamp()) + 600
    token = signed(exp=expires)
    tokens.verify(token)
    monkeypatch.setattr(clock, "ms", lambda: expires * 1000 - 1)
    tokens.verify(token)
    assert len(checked) == 1
    monkeypatch.setattr(clock, "ms", lambda: expires * 1000)
    tokens.verify(token)
    assert len(checked) == 2


def test_the_oldest_token_is_forgotten_first(tokens: CallerTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller_tokens, "_REMEMBERED", 2)
    checked = counted(monkeypatch)
    first, second, third = (signed(fullName=name) for name in ("A", "B", "C"))
    for token in (first, second):
        tokens.verify(token)
    tokens.verify(first)
    assert checked == [first, second]
    tokens.verify(third)
    for token in (second, third):
        tokens.verify(token)
    assert checked == [first, second, third]
    tokens.verify(first)
    assert checked == [first, second, third, first]


def test_the_key_is_the_one_that_the_token_names(clock: AheadClock) -> None:
    keys = {"1": KEY, "two": KEY[::-1]}
    tokens = made(clock, secret=None, keys=keys)
    by_one = jwt.encode(claims(), KEY, algorithm="HS256", headers={"kid": "1"})
    assert tokens.verify(by_one).id == SOMEBODY
    refused(tokens, jwt.encode(claims(), KEY, algorithm="HS256", headers={"kid": "two"}))
    refused(tokens, jwt.encode(claims(), KEY, algorithm="HS256", headers={"kid": "three"}))
    refused(tokens, signed())
    del keys["1"]
    refused(tokens, by_one)
    refused(made(clock, secret=None), by_one)


def test_a_named_key_is_remembered_with_its_token(clock: AheadClock, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = counted(monkeypatch)
    tokens = made(clock, secret=None, keys={"one": KEY})
    token = jwt.encode(claims(), KEY, algorithm="HS256", headers={"kid": "one"})
    assert tokens.verify(token) == tokens.verify(token)
    assert checked == [token]


def test_the_clock_of_an_issued_token_is_the_one_that_was_given(
    tokens: CallerTokens, clock: AheadClock
) -> None:
    clock.ahead = -timedelta(minutes=2)
    old = tokens.issue(CALLER, lifetime=timedelta(minutes=1))
    assert jwt.decode(old, options={"verify_signature": False})["exp"] < datetime.now(UTC).timestamp()
    # And so is the one that it is verified by.
    assert tokens.verify(old) == CALLER
    clock.ahead = timedelta(0)
    refused(made(clock), old)


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("id", "id"),
        ("ID-id", "id"),
        ("in_ID", "id"),
        ("en_US.UTF-8", "en"),
        ("en@euro", "en"),
        ("fr", None),
        ("", None),
        (None, None),
    ],
)
def test_the_language_is_read_off_a_locale(
    tokens: CallerTokens, locale: str | None, language: str | None
) -> None:
    assert tokens.verify(signed(locale=locale)).language == language


@pytest.mark.parametrize(
    ("zone", "timezone"),
    [("Asia/Makassar", "Asia/Makassar"), ("Mars/Olympus", None), ("", None), (None, None)],
)
def test_a_zone_that_is_known_is_the_callers(
    tokens: CallerTokens, zone: str | None, timezone: str | None
) -> None:
    assert tokens.verify(signed(zoneinfo=zone)).timezone == timezone


def test_what_is_issued_keeps_zone_and_language(tokens: CallerTokens) -> None:
    caller = Caller(SOMEBODY, Role.PSYCHOLOGIST, "Sari", timezone="Asia/Jayapura", language="en")
    token = tokens.issue(caller, lifetime=timedelta(minutes=1))
    said = jwt.decode(token, options={"verify_signature": False})
    assert (said["zoneinfo"], said["locale"]) == ("Asia/Jayapura", "en")
    read = tokens.verify(token)
    assert (read.timezone, read.language, read.issued_at) == ("Asia/Jayapura", "en", float(said["iat"]))


def test_a_probe_is_good_and_opens_nothing(tokens: CallerTokens) -> None:
    probe = tokens.issue_probe(lifetime=timedelta(minutes=1))
    with pytest.raises(RdchatError) as caught:
        tokens.verify(probe)
    assert caught.value.code is ErrorCode.FORBIDDEN
    said = jwt.decode(probe, options={"verify_signature": False})
    assert (said["role"], said["fullName"], said["exp"] - said["iat"]) == ("probe", "probe", 60)
    assert UUID(said["sub"]).version == 4


@pytest.mark.parametrize(("email", "is_good"), [("a" * 200, True), ("a" * 201, False), ("a\x00b", False)])
def test_a_text_must_be_one_that_can_be_stored(tokens: CallerTokens, email: str, *, is_good: bool) -> None:
    token = signed(email=email)
    if is_good:
        assert tokens.verify(token).email == email
    else:
        refused(tokens, token)

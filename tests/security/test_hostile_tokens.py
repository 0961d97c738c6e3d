"""Tokens as an attacker makes them. None of them opens anything, and none of them makes the service fail.

Two services: one shares a secret with its identity provider, one fetches the provider's public keys.
"""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from rdchat.domain.person import Role
from tests.support.envelope import envelope_fault
from tests.support.key_provider import KeyProvider, rsa_key
from tests.support.raw import exchange
from tests.support.service import SECRET, Reply, Service, service_settings
from tests.support.tokens import claims_of, hs256, token_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from tests.support.attacks import Attacks

_HEAD = {"alg": "HS256", "typ": "JWT"}


def say(header: object = _HEAD, payload: object = None, /, **changes: Any) -> str:
    """A token under the right shared secret: only what it says is wrong."""
    said = json.dumps(claims_of(**changes)) if payload is None else payload
    return token_of(header, said, hs256(SECRET))


def with_text(name: str, value: str) -> str:
    """Claims with a value as it is written, which no JSON library would write."""
    return json.dumps(claims_of(**{name: "@"})).replace('"@"', value)


def headers_that_lie() -> dict[str, str]:
    unsigned = lambda _text: b""  # noqa: E731 - a signature in a line
    said = json.dumps(claims_of())
    return {
        "alg none": token_of({"alg": "none"}, said, unsigned),
        "alg None": token_of({"alg": "None"}, said, unsigned),
        "alg none, and a signature": token_of({"alg": "none"}, said, hs256(SECRET)),
        "alg empty": say({"alg": ""}),
        "alg null": say({"alg": None}),
        "alg a list": say({"alg": ["HS256"]}),
        "no alg": say({"typ": "JWT"}),
        "alg in small letters": say({"alg": "hs256"}),
        "alg with a blank": say({"alg": "HS256 "}),
        "alg twice": say('{"alg":"none","alg":"HS256"}'),
        "alg of another length": say({"alg": "HS512"}),
        "alg of public keys": say({"alg": "RS256"}),
        "crit": say(_HEAD | {"crit": ["exp"]}),
        "crit of what is not there": say(_HEAD | {"crit": ["urn:example"]}),
        "crit empty": say(_HEAD | {"crit": []}),
        "a payload that is not encoded": say(_HEAD | {"b64": False, "crit": ["b64"]}),
        "b64 alone": say(_HEAD | {"b64": False}),
        "typ of a logout token": say(_HEAD | {"typ": "logout+jwt"}),
        "typ of a proof": say(_HEAD | {"typ": "dpop+jwt"}),
        "typ of an event": say(_HEAD | {"typ": "secevent+jwt"}),
        "typ a number": say(_HEAD | {"typ": 7}),
        "typ in another script": say(_HEAD | {"typ": "\u0408WT"}),
        "a header that is a list": say([_HEAD]),
        "a header that is a text": say('"HS256"'),
        "a header of 3,000 brackets": say("[" * 3_000),
        "a header in UTF-16": say(json.dumps(_HEAD).encode("utf-16")),
        "an empty secret": token_of(_HEAD, said, hs256("")),
        "the secret and a blank": token_of(_HEAD, said, hs256(SECRET + " ")),
        "the issuer as the secret": token_of(_HEAD, said, hs256("rdchat")),
        "no signature": token_of(_HEAD, said, unsigned),
        "half of a signature": token_of(_HEAD, said, lambda text: hs256(SECRET)(text)[:16]),
        "a signature of zeros": token_of(_HEAD, said, lambda _text: bytes(32)),
    }


def instants_that_lie() -> dict[str, str]:
    now = int(time.time())
    found = {
        "exp long ago": say(exp=now - 3_600, iat=now - 7_200),
        "exp now, iat too": say(exp=now, iat=now),
        "exp before iat": say(iat=now, exp=now - 2),
        "exp in a thousand years": say(exp=now + 1_000 * 31_557_600),
        "a day and a second": say(iat=now, exp=now + 86_401),
        "for ever from long ago": say(iat=0, exp=now + 60),
        "iat below zero": say(iat=-now),
        "iat in a minute": say(iat=now + 60, exp=now + 120),
        "nbf in a minute": say(nbf=now + 60),
        "exp in milliseconds": say(exp=now * 1_000),
    }
    for name in ("iat", "exp", "nbf"):
        for what in (
            "NaN",
            "Infinity",
            "-Infinity",
            "1e400",
            "9" * 400,
            "9" * 5_000,
            "true",
            "null",
            '""',
            "[]",
        ):
            found[f"{name} {what[:12]} of {len(what)}"] = say(_HEAD, with_text(name, what))
        found[f"{name} as a text"] = say(_HEAD, with_text(name, f'"{now + 60}"'))
    return found


def claims_that_lie() -> dict[str, str]:
    good = json.dumps(claims_of())
    wrong: dict[str, dict[str, Any]] = {
        "another audience": {"aud": "others"},
        "an audience that begins alike": {"aud": "rdchat-admin"},
        "an audience with a number in it": {"aud": ["rdchat", 5]},
        "no audience in a list": {"aud": []},
        "an audience that is an object": {"aud": {"rdchat": 1}},
        "another issuer": {"iss": "https://evil.example"},
        "an issuer with a slash": {"iss": "rdchat/"},
        "an issuer in other letters": {"iss": "RDCHAT"},
        "issuers": {"iss": ["rdchat"]},
        "sub a list": {"sub": [str(uuid4())]},
        "sub an object": {"sub": {"id": str(uuid4())}},
        "sub a number": {"sub": 12},
        "sub and more": {"sub": f"{uuid4()}' OR '1'='1"},
        "sub with NUL": {"sub": f"{uuid4()}\x00"},
        "sub in other digits": {"sub": "\uff10" * 32},
        "an unknown role": {"role": "root"},
        "a role in other letters": {"role": "SUPER_ADMIN"},
        "a role with a blank": {"role": "super_admin "},
        "a role in another script": {"role": "sup\u0435r_admin"},
        "roles": {"role": ["client", "super_admin"]},
        "a role that is true": {"role": True},
        "half of a surrogate pair as a role": {"role": "\ud83d"},
        "a name of what cannot be seen": {"fullName": "\u202e\u200b\u2066"},
        "an organisation that is none": {"organizationId": "../../etc"},
        "an e-mail with NUL": {"email": "a\x00@b.id"},
    }
    found = {what: say(**changes) for what, changes in wrong.items()}
    found |= {f"without {name}": say(**{name: ...}) for name in ("exp", "iat", "iss", "aud", "sub", "role")}
    found |= {
        "a role that is there twice": say(_HEAD, good[:-1] + ', "role": "super_admin"}'),
        "a sub that is there twice": say(_HEAD, good[:-1] + f', "sub": "{uuid4()}"}}'),
        "an exp that is there twice": say(_HEAD, '{"exp": 9999999999, ' + good[1:]),
        "claims in a list": say(_HEAD, f"[{good}]"),
        "claims as a text": say(_HEAD, json.dumps(good)),
        "claims in UTF-16": say(_HEAD, good.encode("utf-16")),
        "claims that are no UTF-8": say(_HEAD, good.encode() + b"\xff"),
        "claims after a byte order mark": say(_HEAD, b"\xef\xbb\xbf" + good.encode()),
        "claims and more": say(_HEAD, good + "{}"),
        "claims of 3,000 brackets": say(_HEAD, "[" * 3_000),
        "a token within a token": say(_HEAD | {"cty": "JWT"}, say()),
    }
    return found


def forms_that_lie() -> dict[str, str]:
    good = say()
    head, payload, signature = good.split(".")
    return {
        "padding": good + "=",
        "two paddings": good + "==",
        "a padded payload": f"{head}.{payload}==.{signature}",
        "a dot at the end": good + ".",
        "a dot before": "." + good,
        "five parts, as an encrypted one": f"{good}.{payload}.{signature}",
        "two parts": f"{head}.{payload}",
        "a blank within": f"{head} .{payload}.{signature}",
        "a tabulator within": f"{head}.{payload}\t.{signature}",
        "the other base64": good.translate(str.maketrans("-_", "+/")) + "+",
        "other bits at the end": good[:-1] + chr(ord(good[-1]) + 1),
        "one character less": good[:-1],
        "more than a header may hold": say(fullName="x" * 6_300),
        "letters of another script": good.replace("e", "\u0435", 1),
        "only dots": "..",
        "only a payload": f".{payload}.",
        "twice": f"{good},{good}",
        "quoted": f'"{good}"',
        "as JSON": json.dumps({"protected": head, "payload": payload, "signature": signature}),
    }


@asynccontextmanager
async def by_public_keys(
    tmp_path: Path, database_url: str, redis_url: str
) -> AsyncIterator[tuple[Service, KeyProvider]]:
    async with KeyProvider.running() as provider:
        settings = service_settings(
            tmp_path, jwt_secret=None, jwt_jwks_url=provider.url, jwt_algorithms=("RS256", "PS256", "ES256")
        )
        async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
            yield service, provider


def keys_that_lie(provider: KeyProvider) -> dict[str, str]:
    """Tokens by keys that are not the provider's, and ways to have them taken for its own."""
    mine = rsa_key("mine")
    known: dict[str, Any] = {"alg": "RS256", "kid": "one"}
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(mine.public_key()))

    def signed(header: dict[str, Any]) -> str:
        return token_of(header, claims_of(), lambda text: mine.sign(text, padding.PKCS1v15(), SHA256()))

    pem, der = provider.public_text("one"), provider.public_text("one", Encoding.DER)
    hmac_by = {f"HS256 by the public key, {name}": key for name, key in (("PEM", pem), ("DER", der))}
    hmac_by["HS256 by the PEM without its last line break"] = pem.strip()
    hmac_by["HS256 by its modulus"] = provider.public("one")["n"].encode()
    curve = ec.generate_private_key(ec.SECP256R1())
    found = {
        what: token_of({"alg": "HS256", "kid": "one"}, claims_of(), hs256(key))
        for what, key in hmac_by.items()
    }
    return found | {
        "another key under a known name": signed(known),
        "its own key in the header (jwk)": signed(known | {"jwk": jwk}),
        "its own key set (jku)": signed(known | {"jku": provider.url.replace("/keys", "/evil")}),
        "its own certificate by address (x5u)": signed(known | {"x5u": "https://evil.example/chain.pem"}),
        "its own certificate (x5c)": signed(known | {"x5c": ["MIIB"]}),
        "no kid": signed({"alg": "RS256"}),
        "kid null": signed(known | {"kid": None}),
        "kid empty": signed(known | {"kid": ""}),
        "kid a number": signed(known | {"kid": 1}),
        "kid a list": signed(known | {"kid": ["one"]}),
        "kid an object": signed(known | {"kid": {}}),
        "kid a path": signed(known | {"kid": "../../../../dev/null"}),
        "kid a statement": signed(known | {"kid": "x' UNION SELECT 'secret"}),
        "kid of 5,000 characters": signed(known | {"kid": "k" * 5_000}),
        "kid with NUL": signed(known | {"kid": "one\x00"}),
        "kid half of a surrogate pair": signed(known | {"kid": "\ud83d"}),
        "kid of a method": signed(known | {"kid": "__class__"}),
        "alg none with a known kid": token_of({"alg": "none", "kid": "one"}, claims_of(), lambda _text: b""),
        "RS256 with SHA-1": token_of(
            known,
            claims_of(),
            lambda text: mine.sign(text, padding.PKCS1v15(), SHA1()),  # noqa: S303
        ),
        "ES256 under a key of RSA": token_of(
            {"alg": "ES256", "kid": "one"}, claims_of(), lambda text: curve.sign(text, ec.ECDSA(SHA256()))
        ),
        "ES256 of zeros": token_of({"alg": "ES256", "kid": "one"}, claims_of(), lambda _text: bytes(64)),
        "PS256 with the signature of RS256": provider.by_hand({"alg": "PS256", "kid": "one"}, claims_of()),
        "RS512, which is not allowed": provider.by_hand({"alg": "RS512", "kid": "one"}, claims_of()),
        "a key that is too short": token_of(
            known | {"kid": "weak"},
            claims_of(),
            lambda text: rsa_key("weak", 1024).sign(text, padding.PKCS1v15(), SHA256()),
        ),
        "the right key, and a critical extension": provider.by_hand(known | {"crit": ["x"]}, claims_of()),
        "the right key, of a logout token": provider.by_hand(known | {"typ": "logout+jwt"}, claims_of()),
        "the right key, kid twice": provider.by_hand('{"alg":"RS256","kid":"two","kid":"one"}', claims_of()),
        "the right key, for others": provider.token("one", aud="others"),
        "the right key, for a year": provider.token("one", exp=int(time.time()) + 31_536_000),
        "the right key, and NaN": provider.by_hand(known, with_text("exp", "NaN")),
    }


async def knock(service: Service, *authorizations: str) -> Reply:
    """Ask for something with so many headers of authorization."""
    lines = "".join(f"Authorization: {one}\r\n" for one in authorizations)
    request = f"GET /api/v1/counselings HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n"
    return await exchange(service.base, request.encode("utf-8", "surrogatepass"))


async def got_through(service: Service, tokens: Mapping[str, str]) -> list[str]:
    """Knock with each token. Return those that were not refused as they should be."""
    through = []
    for what, token in tokens.items():
        request = (
            f"GET /api/v1/counselings HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        reply = await exchange(service.base, request.encode("utf-8", "surrogatepass"))
        fault = envelope_fault(reply)
        if fault is None and reply.status not in (401, 403):
            # What is longer than a header is refused before it is a token.
            is_too_long = len(token) > 8_000 and reply.status in (400, 413, 431)
            fault = None if is_too_long else f"{reply.status} {reply.json['code']}"
        if fault is not None:
            through.append(f"{what}: {fault}")
    return through


async def test_no_hostile_token_opens_anything(service: Service, attacks: Attacks) -> None:
    assert (await knock(service, f"Bearer {say()}")).status == 200, "or all are refused for another reason"
    for kind, tokens in {
        "tokens: header": headers_that_lie(),
        "tokens: instants": instants_that_lie(),
        "tokens: claims": claims_that_lie(),
        "tokens: form": forms_that_lie(),
    }.items():
        attacks.count(kind, tried=len(tokens), through=await got_through(service, tokens))


async def test_no_key_of_others_opens_anything(
    tmp_path: Path, database_url: str, redis_url: str, attacks: Attacks
) -> None:
    async with by_public_keys(tmp_path, database_url, redis_url) as (service, provider):
        provider.private["weak"] = rsa_key("weak", 1024)
        provider.published = ["one", "weak"]
        assert (await knock(service, f"Bearer {provider.token('one')}")).status == 200
        tokens = keys_that_lie(provider)
        asked = provider.asked
        attacks.count("tokens: keys", tried=len(tokens), through=await got_through(service, tokens))
        assert provider.asked <= asked + 6, "names of keys that anyone can make up do not hammer the provider"
        assert (await knock(service, f"Bearer {provider.token('one')}")).status == 200


@pytest.mark.parametrize("second", ["good", "bad", "empty", "Basic"])
async def test_two_authorizations_are_none(service: Service, attacks: Attacks, second: str) -> None:
    admin = service.person(Role.SUPER_ADMIN).token
    other = {"good": f"Bearer {say()}", "bad": "Bearer x", "empty": "", "Basic": "Basic YTpi"}[second]
    through = []
    for lines in ((f"Bearer {admin}", other), (other, f"Bearer {admin}")):
        reply = await knock(service, *lines)
        if (reply.status, reply.json.get("code")) != (401, "UNAUTHENTICATED"):
            through.append(f"{second}: {reply.status}")
    attacks.count("tokens: two at once", tried=2, through=through)


async def test_no_part_of_a_good_token_can_be_changed(service: Service, attacks: Attacks) -> None:
    """Every bit of every character: of the header, the claims and the signature."""
    token = say()
    others = set()
    for place, old in enumerate(token):
        for bit in range(7):
            new = chr(ord(old) ^ 1 << bit)
            if new.isprintable():
                others.add(token[:place] + new + token[place + 1 :])
    through = []
    for changed in others:
        try:
            service.runtime.tokens.verify(changed)
        except Exception as error:  # noqa: BLE001 - which one is asked
            if getattr(error, "status", None) != 401:
                through.append(f"{changed}: {error!r}")
        else:
            through.append(changed)
    attacks.count("tokens: bits", tried=len(others), through=through)

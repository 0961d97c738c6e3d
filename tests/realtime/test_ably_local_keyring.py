"""What keys and tokens may do: TokenRequests, capabilities, expiry."""

from __future__ import annotations

import base64
import hashlib
import hmac

import jwt
import pytest

from rdchat.local.ably.capabilities import Capability
from rdchat.local.ably.errors import AblyError
from rdchat.local.ably.grants import Key
from rdchat.local.ably.tokens import Keyring

Named = tuple[str, str]

NOW = 1_800_000_000.0


def _request(key: Named, **fields: object) -> dict[str, object]:
    """A signed TokenRequest; `fields` are put in before it is signed."""
    request: dict[str, object] = {
        "keyName": key[0],
        "timestamp": int(NOW * 1000),
        "nonce": "once-upon-a-time",
    }
    request |= fields
    signed = [
        key[0],
        *(request.get(name, "") for name in ("ttl", "capability", "clientId", "timestamp", "nonce")),
    ]
    text = "".join(f"{value}\n" for value in signed).encode()
    request["mac"] = base64.b64encode(hmac.digest(key[1].encode(), text, hashlib.sha256)).decode()
    return request


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"timestamp": int((NOW - 5_000) * 1000)}, 40104),
        ({"timestamp": "now"}, 40104),
        ({"nonce": ""}, 40003),
        ({"ttl": 86_400_001}, 40003),
        ({"ttl": -1}, 40003),
        ({"capability": "all"}, 40000),
        ({"capability": '{"own:1":["publish_"]}'}, 40000),
        ({"capability": '{"own:1":["*","publish"]}'}, 40000),
        ({"capability": '{"own:1":[]}'}, 40000),
        ({"clientId": ""}, 40012),
        ({"ttl": "soon"}, 40003),
        ({"capability": '{"other":["publish"]}'}, 40160),
    ],
)
def test_token_requests_that_are_refused(key: Named, fields: dict[str, object], code: int) -> None:
    narrow = Key(*key, Capability.parse({"own:*": ["publish", "subscribe"]}))
    with pytest.raises(AblyError) as refused:
        Keyring([narrow], clock=lambda: NOW).request_token(key[0], _request(key, **fields))
    assert refused.value.code == code


def test_a_token_request_changed_after_signing(key: Named) -> None:
    keyring = Keyring([Key(*key)], clock=lambda: NOW)
    for change in ({"capability": '{"*":["*"]}'}, {"clientId": "ann"}, {"mac": None}, {"mac": "é"}):
        with pytest.raises(AblyError) as refused:
            keyring.request_token(key[0], _request(key, capability='{"own":["publish"]}') | change)
        assert refused.value.code == 40101
    with pytest.raises(AblyError) as refused:
        keyring.request_token(key[0], _request(key, keyName="app.other"))
    assert refused.value.code == 40102


def test_a_nonce_is_good_once(key: Named) -> None:
    keyring = Keyring([Key(*key)], clock=lambda: NOW)
    keyring.request_token(key[0], _request(key))
    with pytest.raises(AblyError) as refused:
        keyring.request_token(key[0], _request(key))
    assert refused.value.code == 40105
    keyring.request_token(key[0], _request(key, nonce="another"))


def test_no_token_can_more_than_its_key(key: Named) -> None:
    narrow = Key(*key, Capability.parse({"own:*": ["publish", "subscribe"]}))
    keyring = Keyring([narrow], clock=lambda: NOW)
    asked = '{"*":["*"],"own:1":["publish","history"]}'

    details = keyring.request_token(key[0], _request(key, capability=asked, ttl=1_000))
    assert details["capability"] == '{"own:*":["publish","subscribe"],"own:1":["publish"]}'
    assert (details["issued"], details["expires"]) == (NOW * 1000, NOW * 1000 + 1_000)
    claims = {"iat": NOW, "exp": NOW + 60, "x-ably-capability": asked}
    grant = keyring.verify_token(jwt.encode(claims, key[1], headers={"kid": key[0]}))
    assert grant.capability.text() == details["capability"]


def test_a_token_known_to_be_good_expires_all_the_same(key: Named) -> None:
    now = [NOW]
    keyring = Keyring([Key(*key)], clock=lambda: now[0])
    token = jwt.encode({"iat": NOW, "exp": NOW + 60}, key[1], headers={"kid": key[0]})
    assert keyring.verify_token(token) == keyring.verify_token(token)
    now[0] += 60
    keyring.sweep()
    with pytest.raises(AblyError) as refused:
        keyring.verify_token(token)
    assert refused.value.code == 40142


@pytest.mark.parametrize(
    ("resource", "channel", "covered"),
    [
        ("*", "any:thing", True),
        ("chat:1", "chat:1", True),
        ("chat:1", "chat:2", False),
        ("chat:*", "chat:1", True),
        ("chat:*", "chat:session:1", True),
        ("chat:*", "chat", False),
        ("chat:*", "chats:1", False),
        ("chat:*:typing", "chat:1:typing", True),
        ("chat:*:typing", "chat:1:2:typing", False),
        ("*:typing", "chat:typing", True),
        ("ch*", "chat", False),
    ],
)
def test_which_channels_a_resource_covers(resource: str, channel: str, *, covered: bool) -> None:
    capability = Capability.parse({resource: ["publish"]})
    assert capability.permits(channel, "publish") is covered
    assert not capability.permits(channel, "subscribe")

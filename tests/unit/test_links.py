"""Links to attachments: for one attachment and one person, for five minutes, and only ours."""

from __future__ import annotations

import base64
from uuid import UUID, uuid4

import pytest

from rdchat.files.links import Links
from tests.support.memory_storage import SetClock

KEY, OTHER = b"k" * 32, b"o" * 32
ONE, PERSON = uuid4(), uuid4()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


def test_a_link_opens_its_attachment_for_its_person_until_it_expires(clock: SetClock) -> None:
    links = Links([KEY], clock)
    link = links.sign(ONE, PERSON)
    assert (link.expires_at - clock.now()).total_seconds() == 300
    assert links.verify(link.token, ONE) == PERSON
    assert links.verify(link.token, uuid4()) is None
    clock.forward(seconds=299.999)
    assert links.verify(link.token, ONE) == PERSON
    clock.forward(seconds=0.001)
    assert links.verify(link.token, ONE) is None


def test_nothing_of_a_link_can_be_changed(clock: SetClock) -> None:
    links = Links([KEY], clock)
    signed = base64.urlsafe_b64decode(links.sign(ONE, PERSON).token + "=")
    for place in range(len(signed)):
        changed = bytearray(signed)
        changed[place] ^= 1
        assert links.verify(base64.urlsafe_b64encode(changed).decode(), ONE) is None, place


@pytest.mark.parametrize(
    "token", ["", "x", "x" * 75, "=" * 75, "ä" * 75, "A" * 100, "😀", "a b", "\x00" * 75]
)
def test_what_is_no_link_at_all(clock: SetClock, token: str) -> None:
    assert Links([KEY], clock).verify(token, UUID(int=0)) is None


def test_keys_are_rotated_and_are_not_those_that_seal(clock: SetClock) -> None:
    old, both, new = Links([KEY], clock), Links([OTHER, KEY], clock), Links([OTHER], clock)
    assert both.verify(old.sign(ONE, PERSON).token, ONE) == PERSON
    assert new.verify(old.sign(ONE, PERSON).token, ONE) is None
    assert new.verify(both.sign(ONE, PERSON).token, ONE) == PERSON

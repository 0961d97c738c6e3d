import itertools
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdchat.security.encryption import (
    DecryptionError,
    Encryptor,
    KeyRing,
    UnknownRingKeyError,
    context,
    new_data_key,
)

OLD, NEW = {"old": b"o" * 32}, {"new": b"n" * 32}
KEY = b"d" * 32
PLACE = UUID("00000000-0000-4000-8000-000000000001")
PART = st.one_of(st.none(), st.integers(-5, 300), st.text(max_size=4), st.uuids())


def test_what_is_encrypted_opens_in_its_context() -> None:
    encryptor = Encryptor(KEY)
    encrypted = encryptor.encrypt("rahasia 💙".encode(), b"session")
    assert b"rahasia" not in encrypted
    assert encryptor.decrypt(encrypted, b"session").decode() == "rahasia 💙"


def test_the_same_text_never_looks_the_same() -> None:
    encryptor = Encryptor(KEY)
    assert encryptor.encrypt(b"ya", b"session") != encryptor.encrypt(b"ya", b"session")


def test_encrypted_alike_the_same_text_of_the_same_context_looks_the_same_and_no_other() -> None:
    encryptor = Encryptor(KEY)
    texts = [
        (b"Sari", b"name"),
        (b"Sara", b"name"),
        (b"Sari", b"email"),
        (b"ari", b"nameS"),
        (b"", b"nameSari"),
    ]
    sealed = {one: encryptor.encrypt_alike(*one) for one in texts}
    assert sealed == {one: encryptor.encrypt_alike(*one) for one in texts}
    assert all(encryptor.decrypt(sealed[text, bound], bound) == text for text, bound in texts)
    # A nonce that two texts shared would give away how they differ.
    assert len({one[:13] for one in sealed.values()}) == len(texts)
    assert Encryptor(b"e" * 32).encrypt_alike(*texts[0])[1:13] != sealed[texts[0]][1:13]


def test_a_row_copied_into_another_context_does_not_open() -> None:
    encryptor = Encryptor(KEY)
    with pytest.raises(DecryptionError, match=r"^changed, or of another context$"):
        encryptor.decrypt(encryptor.encrypt(b"ya", b"session"), b"another")


def test_with_another_key_nothing_opens() -> None:
    with pytest.raises(DecryptionError):
        Encryptor(b"e" * 32).decrypt(Encryptor(KEY).encrypt(b"ya", b"session"), b"session")


def test_no_changed_or_missing_byte_opens() -> None:
    encryptor = Encryptor(KEY)
    encrypted = encryptor.encrypt(b"ya, sekarang", b"session")
    for position in range(len(encrypted)):
        changed = bytearray(encrypted)
        changed[position] ^= 1
        for broken in (bytes(changed), encrypted[:position]):
            with pytest.raises(DecryptionError):
                encryptor.decrypt(broken, b"session")


def test_a_value_of_a_later_form_is_told_from_one_that_was_changed() -> None:
    encryptor = Encryptor(KEY)
    later = b"\x02" + encryptor.encrypt(b"ya", b"session")[1:]
    for unknown in (later, b""):
        with pytest.raises(DecryptionError, match=r"^of a form that is not known$"):
            encryptor.decrypt(unknown, b"session")


def test_a_code_is_of_one_key_and_one_context() -> None:
    encryptor = Encryptor(KEY)
    mac = encryptor.mac(b"place 1")
    assert len(mac) == 16
    assert encryptor.has_mac(mac, b"place 1")
    assert not encryptor.has_mac(mac, b"place 2")
    assert not encryptor.has_mac(None, b"place 1")
    assert not encryptor.has_mac(mac[:-1], b"place 1")
    assert not Encryptor(b"e" * 32).has_mac(mac, b"place 1")


@given(st.lists(PART, max_size=4), st.lists(PART, max_size=4))
def test_two_contexts_are_the_same_only_if_all_that_they_say_is(
    one: list[UUID | int | str | None], other: list[UUID | int | str | None]
) -> None:
    assert (context("a", *one) == context("a", *other)) == (one == other)


def test_parts_of_a_context_do_not_run_into_each_other() -> None:
    told = [("ab", ""), ("a", "b"), ("", "ab"), ("ab",), (1, 2), (12,), (None,), (), ("1", 2), (uuid4(),)]
    for one, other in itertools.combinations(told, 2):
        assert context("p", *one) != context("p", *other), (one, other)
    assert context("p") != context("q")


def test_a_data_key_opens_for_whom_it_was_wrapped() -> None:
    ring, key = KeyRing(NEW), new_data_key()
    wrapped = ring.wrap(key, b"two people")
    assert key not in wrapped
    assert ring.unwrap("new", wrapped, b"two people") == key
    with pytest.raises(DecryptionError):
        ring.unwrap("new", wrapped, b"two others")
    for broken in (b"", wrapped[:8], wrapped[:-1], bytes(60)):
        with pytest.raises(DecryptionError, match=r"^not the data key of this owner, or changed$"):
            ring.unwrap("new", broken, b"two people")


def test_after_a_rotation_old_keys_open_and_new_ones_take_the_new_key() -> None:
    before = KeyRing(OLD).wrap(KEY, b"c")
    rotated = KeyRing({**NEW, **OLD})
    assert (rotated.current, rotated.kids) == ("new", ["new", "old"])
    assert rotated.unwrap("old", before, b"c") == KEY
    with pytest.raises(
        UnknownRingKeyError, match="RDCHAT_ENCRYPTION_KEYS does not have the key 'new'"
    ) as caught:
        KeyRing(OLD).unwrap("new", rotated.wrap(KEY, b"c"), b"c")
    assert caught.value.kid == "new"


def test_a_check_value_tells_a_key_from_others_of_its_name_and_not_the_key() -> None:
    value = KeyRing(NEW).check_value("new")
    assert KeyRing({"other": NEW["new"]}).check_value("other") == value
    assert KeyRing({"new": b"x" * 32}).check_value("new") != value
    assert len(value) == 16
    assert NEW["new"][:16] != value


def test_what_was_stored_before_still_opens() -> None:
    """Values of a fixed key, as stores hold them: whatever changes here, these have to open."""
    key = bytes(range(32))
    assert context("message", PLACE, 7, "budi", None, -1) == (
        b"message\0" + b"u" + PLACE.bytes + b"i7;" + b"s4:budi" + b"-" + b"i-1;"
    )
    stored = bytes.fromhex("010000000000000000000000001880e6036a05e376ee735e517f3cb52ba9eab4bf")
    assert Encryptor(key).decrypt(stored, context("message", PLACE, 7)) == b"Halo"
    assert Encryptor(key).mac(context("message", PLACE, 7)).hex() == "60457b438885ea89964d69d8668a2ebd"
    # As bytes too: otherwise everyone was renamed.
    alike = Encryptor(key).encrypt_alike(b"Sari", b"name")
    assert alike.hex() == "01703d43d8957742b1f27a4d8437423f104b1ec499cf99fbac62e85e75c940e7be"
    wrapped = bytes.fromhex(
        "000000000000000000000000272656c66882d3908c76c11555c64cb45495300823c35931d6318b15351071685"
        "67d6435d187cfe87fd0fa42efe290ec"
    )
    ring = KeyRing({"one": key})
    assert ring.unwrap("one", wrapped, context("session", PLACE)) == bytes(32)
    assert ring.check_value("one").hex() == "430ba1fbd31facfe45b53c58c41ad736"


def test_the_keys_of_a_channel_are_its_own() -> None:
    """Of a fixed data key: clients of before and behind an upgrade hear each other."""
    keys = Encryptor(bytes(range(32))).channel_keys
    assert (keys.cipher.hex(), keys.proof.hex()) == (
        "3912f64680d0c31fd5f410c258ad69ebef4221e34683a0639f99d1423978da08",
        "ca2863410b4df4851b031f62a728c20809dd4b13701985bc59ecbc1d0523a375",
    )
    assert Encryptor(bytes(32)).channel_keys != keys
    assert keys.cipher != keys.proof
    assert {len(key) for key in keys} == {32}

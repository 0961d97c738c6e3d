import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rdchat.security.encryption import DecryptionError, Encryptor

OLD, NEW = {"old": b"o" * 32}, {"new": b"n" * 32}


def test_what_is_encrypted_opens_in_its_context() -> None:
    encryptor = Encryptor(NEW)
    encrypted = encryptor.encrypt("rahasia 💙".encode(), b"session")
    assert b"rahasia" not in encrypted
    assert encryptor.decrypt(encrypted, b"session").decode() == "rahasia 💙"


def test_the_same_text_never_looks_the_same() -> None:
    encryptor = Encryptor(NEW)
    assert encryptor.encrypt(b"ya", b"session") != encryptor.encrypt(b"ya", b"session")


def test_a_row_copied_into_another_context_does_not_open() -> None:
    encryptor = Encryptor(NEW)
    with pytest.raises(DecryptionError, match="changed, or of another context"):
        encryptor.decrypt(encryptor.encrypt(b"ya", b"session"), b"another")


@pytest.mark.parametrize("position", [5, 20, -1])
def test_changed_bytes_do_not_open(position: int) -> None:
    encryptor = Encryptor(NEW)
    encrypted = bytearray(encryptor.encrypt(b"ya, sekarang", b"session"))
    encrypted[position] ^= 1
    with pytest.raises(DecryptionError, match="changed, or of another context"):
        encryptor.decrypt(bytes(encrypted), b"session")


def test_after_a_rotation_old_rows_open_and_new_ones_take_the_new_key() -> None:
    before = Encryptor(OLD).encrypt(b"lama", b"session")
    rotated = Encryptor({**NEW, **OLD})
    assert rotated.decrypt(before, b"session") == b"lama"
    with pytest.raises(DecryptionError, match="RDCHAT_ENCRYPTION_KEYS"):
        Encryptor(OLD).decrypt(rotated.encrypt(b"baru", b"session"), b"session")


def test_a_value_has_the_form_that_is_written_down() -> None:
    key = b"k" * 32
    encrypted = Encryptor({"kid": key}).encrypt(b"ya", b"session")
    assert encrypted[:4] == b"\x03kid"
    assert AESGCM(key).decrypt(encrypted[4:16], encrypted[16:], b"session") == b"ya"


@pytest.mark.parametrize(
    ("encryptor", "why"),
    [
        (Encryptor(OLD), "encrypted with a key that RDCHAT_ENCRYPTION_KEYS does not name"),
        (Encryptor({"new": b"x" * 32}), "changed, or of another context"),
    ],
)
def test_the_log_can_say_why_a_value_does_not_open(encryptor: Encryptor, why: str) -> None:
    with pytest.raises(DecryptionError, match=f"^{why}$"):
        encryptor.decrypt(Encryptor(NEW).encrypt(b"ya", b"session"), b"session")

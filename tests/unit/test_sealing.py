import pytest

from rdchat.sealing import Sealer, SealError

OLD, NEW = {"old": b"o" * 32}, {"new": b"n" * 32}


def test_what_is_sealed_opens_in_its_context() -> None:
    sealer = Sealer(NEW)
    sealed = sealer.seal("rahasia 💙".encode(), b"session")
    assert b"rahasia" not in sealed
    assert sealer.open(sealed, b"session").decode() == "rahasia 💙"


def test_the_same_text_never_looks_the_same() -> None:
    sealer = Sealer(NEW)
    assert sealer.seal(b"ya", b"session") != sealer.seal(b"ya", b"session")


def test_a_row_copied_into_another_context_does_not_open() -> None:
    sealer = Sealer(NEW)
    with pytest.raises(SealError, match="changed, or of another context"):
        sealer.open(sealer.seal(b"ya", b"session"), b"another")


@pytest.mark.parametrize("position", [5, 20, -1])
def test_changed_bytes_do_not_open(position: int) -> None:
    sealer = Sealer(NEW)
    sealed = bytearray(sealer.seal(b"ya, sekarang", b"session"))
    sealed[position] ^= 1
    with pytest.raises(SealError, match="changed, or of another context"):
        sealer.open(bytes(sealed), b"session")


def test_after_a_rotation_old_rows_open_and_new_ones_take_the_new_key() -> None:
    before = Sealer(OLD).seal(b"lama", b"session")
    rotated = Sealer({**NEW, **OLD})
    assert rotated.open(before, b"session") == b"lama"
    with pytest.raises(SealError, match="RDCHAT_ENCRYPTION_KEYS"):
        Sealer(OLD).open(rotated.seal(b"baru", b"session"), b"session")

"""Ids in asyncpg's class: they are what `uuid` makes and reads, and equal to it."""

from __future__ import annotations

from uuid import RFC_4122, UUID

import pytest

from rdchat.common.ids import new_id, read_id
from rdchat.common.json import as_json

TEXT = "6f1c2f63-90a6-4a0e-8f35-4a0c3a3b5a77"


def test_new_ids_are_random_ones_of_version_4() -> None:
    made = [new_id() for _ in range(200)]
    assert {(one.version, one.variant) for one in made} == {(4, RFC_4122)}
    assert len(set(made)) == 200
    # Every other bit comes both ways, but for a chance that is none.
    bits = [one.int for one in made]
    always, ever = ~0, 0
    for number in bits:
        always, ever = always & number, ever | number
    fixed = (0xF << 76) | (0x3 << 62)
    assert (always | fixed, ever | fixed) == (fixed, 2**128 - 1)


def test_an_id_equals_pythons_own() -> None:
    fast, own = read_id(TEXT), UUID(TEXT)
    assert isinstance(fast, UUID)
    assert (fast, hash(fast), str(fast), fast.hex, fast.bytes) == (own, hash(own), TEXT, own.hex, own.bytes)
    assert (own, {own: 1}[fast], {fast: 1}[own]) == (fast, 1, 1)
    assert sorted([UUID(int=fast.int + 1), fast, UUID(int=fast.int - 1)])[1] is fast
    assert as_json({"id": fast}) == as_json({"id": own}) == b'{"id":"%s"}' % TEXT.encode()


@pytest.mark.parametrize("text", [TEXT.upper(), f"{{{TEXT}}}", f"urn:uuid:{TEXT}", TEXT.replace("-", "")])
def test_all_forms_are_read_that_python_reads(text: str) -> None:
    assert read_id(text) == UUID(text) == UUID(TEXT)
    assert type(read_id(text)) is type(new_id())


@pytest.mark.parametrize("text", ["", "x", TEXT[:-1], f"{TEXT}0", TEXT.replace("6", "g")])
def test_what_is_no_id(text: str) -> None:
    with pytest.raises(ValueError, match=r"UUID|invalid literal"):
        read_id(text)

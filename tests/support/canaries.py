"""Canaries: values that are like no others, looked for in every form in which they may lie about."""

from __future__ import annotations

import base64
import itertools
import secrets
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: None of them is a digit in hex: what is encrypted, and shown in hex, has none of these letters.
_LETTERS: Final = "ghjkmnpqrstvwxyz"
_LENGTH: Final = 32
#: What PostgreSQL compresses is interrupted after so many bytes of its own, or after fewer that repeat.
_PIECE: Final = 8


class Canary(NamedTuple):
    """A value, as bytes, and what it stands for."""

    kind: str
    value: bytes

    @property
    def text(self) -> str:
        return self.value.decode()


def text_canary(kind: str) -> Canary:
    """Return a canary of 32 letters, which may be the whole of a text or stand in it."""
    return Canary(kind, "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH)).encode())


def pieces(value: bytes) -> Iterator[bytes]:
    """Yield each run of eight bytes: whole, cut off, cut through by a page's header, or compressed."""
    return (value[start : start + _PIECE] for start in range(len(value) - _PIECE + 1))


def forms(value: bytes) -> dict[str, set[bytes]]:
    """Return what a value looks like in each form; one of a form's needles is enough."""
    in_base64 = set(itertools.chain.from_iterable(_within_base64(value, shift) for shift in range(3)))
    in_utf16 = {value.decode("latin-1").encode(way) for way in ("utf-16-le", "utf-16-be")}
    return {
        "as it is": set(pieces(value)),
        "hex": {value.hex().encode(), value.hex().upper().encode()},
        "base64": in_base64,
        "UTF-16": in_utf16,
        # As pg_dump writes bytes.
        "base64 in hex": {needle.hex().encode() for needle in in_base64},
        "UTF-16 in hex": {needle.hex().encode() for needle in in_utf16},
    }


def _within_base64(value: bytes, shift: int) -> Iterator[bytes]:
    """Yield what base64 has of a value that `shift` bytes precede: without the ends, which others share."""
    start = -shift % 3
    inner = value[start : start + (len(value) - start) // 3 * 3]
    yield base64.b64encode(inner)
    yield base64.urlsafe_b64encode(inner)


def search(canaries: Iterable[Canary], places: Mapping[str, bytes]) -> dict[str, dict[str, set[str]]]:
    """Return which kinds of canaries are found in which places, and in which forms."""
    found: dict[str, dict[str, set[str]]] = {}
    for canary in canaries:
        for form, needles in forms(canary.value).items():
            for place, content in places.items():
                if any(needle in content for needle in needles):
                    found.setdefault(canary.kind, {}).setdefault(place, set()).add(form)
    return found


class Canaries:
    """The canaries of one play, made when they are asked for."""

    def __init__(self) -> None:
        self.all: dict[str, Canary] = {}

    def __getitem__(self, kind: str) -> str:
        return self.all.setdefault(kind, text_canary(kind)).text

    def key(self, kind: str, value: bytes) -> bytes:
        """Look for a value that is no text of ours as well."""
        self.all[kind] = Canary(kind, value)
        return value

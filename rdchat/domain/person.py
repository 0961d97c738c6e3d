"""People: who calls, as what, and who can be booked."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID


class Role(StrEnum):
    """Who a person is. The first three are clients; what each may do is in `permissions`."""

    CLIENT = "client"
    STUDENT = "student"
    EMPLOYEE = "employee"
    PSYCHOLOGIST = "psychologist"
    SUPERVISOR = "supervisor"
    SUPER_ADMIN = "super_admin"


#: Characters of a name, after it was cleaned.
LONGEST_NAME: Final = 100
#: Control and format characters (line breaks, the overrides that write a name backwards), halves of surrogate
#: pairs, private and unassigned ones, separators of lines and paragraphs.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
#: Letters, marks and symbols by their category that show nothing: fillers of Hangul and Khmer, the grapheme
#: joiner, the empty Braille cell. A name of nothing else would look empty.
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
#: Joiner and non-joiner. The scripts below and emoji are written with them; in all others they would only
#: make two names look alike.
_JOINERS: Final = frozenset("\u200c\u200d")
_JOINED: Final = (
    *("ARABIC", "SYRIAC", "MONGOLIAN", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL"),
    *("TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "TIBETAN", "MYANMAR", "KHMER", "JAVANESE", "BALINESE"),
    *("SUNDANESE", "VARIATION SELECTOR"),
)
_EMOJI: Final = frozenset({"So", "Sk"})


def clean_name(given: str) -> str:
    """Make the name that is shown of the one that was given: at most `LONGEST_NAME` characters, maybe none.

    Every name comes through here, a token's as well as an administrator's. What cannot be seen is left out,
    white space of any kind is one space, and what is too long is cut. Nothing is left of a name that shows
    nothing: who asked decides what that means.
    """
    text = unicodedata.normalize("NFC", given)
    seen = [one for place, one in enumerate(text) if _is_kept(text, place)]
    name = " ".join(unicodedata.normalize("NFC", "".join(seen)).split())
    # A joiner that has lost what it joined to is as unseen as others.
    name = name[:LONGEST_NAME].rstrip("".join(_JOINERS) + " ")
    return name if any(unicodedata.category(one)[0] in "LNPS" for one in name) else ""


def _is_kept(text: str, place: int) -> bool:
    one = text[place]
    if one in _JOINERS:
        return _is_joined(text[place - 1 : place]) and _is_joined(text[place + 1 : place + 2])
    return one.isspace() or (unicodedata.category(one) not in _UNSEEN and one not in _BLANK)


def _is_joined(neighbour: str) -> bool:
    if not neighbour or neighbour in _BLANK:
        return False
    return unicodedata.category(neighbour) in _EMOJI or unicodedata.name(neighbour, "").startswith(_JOINED)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as their token says.

    `timezone` is an IANA name that is known here, `language` one that the service speaks; None where the
    token names none. `issued_at` is when the token was made, in seconds since the epoch.
    """

    id: UUID
    role: Role
    full_name: str
    email: str | None = None
    organization_id: UUID | None = None
    timezone: str | None = None
    language: str | None = None
    issued_at: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person who is told something, as their tokens describe them; None where none of them has said it."""

    id: UUID
    full_name: str
    email: str | None
    locale: str | None


@dataclass(frozen=True, slots=True)
class Psychologist:
    """A psychologist, whom clients can book."""

    id: UUID
    full_name: str
    timezone: str
    is_active: bool
    created_at: datetime
    updated_at: datetime

"""Crisis contacts: whom people in distress can reach at any time, read strictly from an operator's file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from config.texts import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    #: Takes the place within a contact, and what is wrong there.
    Fault = Callable[[tuple[str, ...], str], None]

#: More would hide the one that matters.
MOST_CONTACTS: Final = 20
_LONGEST: Final = {"name": 100, "phone": 40, "url": 300, "hours": 100, "text": 500}
_REVIEWED: Final = "reviewedAt"
_PHONE: Final = re.compile(r"[+(]?[0-9][0-9 ()./-]*( ?ext\.? ?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class CrisisContact:
    """Someone to turn to at once. `hours` and `text` are by language; one of `phone` and `url` is there.

    `reviewed_on`: the day on which it was last tried whether someone answers.
    """

    name: str
    phone: str | None = None
    url: str | None = None
    hours: Mapping[str, str] | None = None
    text: Mapping[str, str] | None = None
    reviewed_on: date | None = None


def read_contact(table: object, fault: Fault) -> CrisisContact | None:
    """Read a contact, and tell of everything that is wrong with it. None: it cannot be used."""
    if not isinstance(table, dict):
        fault((), "Must be a table.")
        return None
    faults = 0

    def count(place: tuple[str, ...], sentence: str) -> None:
        nonlocal faults
        faults += 1
        fault(place, sentence)

    known = (*_LONGEST, _REVIEWED)
    for name in table.keys() - set(known):
        count((name,), f"Unknown; there are {', '.join(known)}.")
    if "name" not in table:
        count(("name",), "Is missing.")
    if not table.keys() & {"phone", "url"}:
        count((), "Needs a phone or a url.")
    plain = {name: _line(table[name], (name,), count) for name in ("name", "phone", "url") if name in table}
    by_language = {name: _in_each(table[name], (name,), count) for name in ("hours", "text") if name in table}
    phone, url = plain.get("phone"), plain.get("url")
    if phone and not _PHONE.fullmatch(phone):
        count(("phone",), "Must be a number to dial, as +62 21 500 454 or 119 ext 8.")
    if url and not _is_https(url):
        count(("url",), "Must be an address that begins with https://.")
    reviewed_on = _day(table[_REVIEWED], (_REVIEWED,), count) if _REVIEWED in table else None
    if faults:
        return None
    return CrisisContact(
        plain["name"] or "", phone, url, by_language.get("hours"), by_language.get("text"), reviewed_on
    )


def _line(value: object, place: tuple[str, ...], fault: Fault) -> str | None:
    longest = _LONGEST[place[0]]
    if not isinstance(value, str):
        fault(place, "Must be a text.")
    elif not value.strip():
        fault(place, "Must not be empty.")
    elif not value.isprintable():
        fault(place, "Must be one line without control characters.")
    elif len(value) > longest:
        fault(place, f"Must have at most {longest} characters.")
    else:
        return value.strip()
    return None


def _day(value: object, place: tuple[str, ...], fault: Fault) -> date | None:
    # A date and time is a date too, of which the day would depend on the zone.
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    fault(place, "Must be a date without quotes, as 2026-05-31.")
    return None


def _in_each(value: object, place: tuple[str, ...], fault: Fault) -> dict[str, str] | None:
    """Read a text in every language; one that is given alone, such as `24/7`, is the same in all."""
    told: Any = value if isinstance(value, dict) else dict.fromkeys(LANGUAGES, value)
    if not isinstance(value, dict):
        line = _line(value, place, fault)
        return None if line is None else dict.fromkeys(LANGUAGES, line)
    for name in told.keys() - set(LANGUAGES):
        fault((*place, name), f"Unknown language; there are {', '.join(LANGUAGES)}.")
    for name in set(LANGUAGES) - told.keys():
        fault((*place, name), "Is missing: it is to be understood in every language.")
    read = {name: _line(told[name], (*place, name), fault) for name in LANGUAGES if name in told}
    return {name: line for name, line in read.items() if line is not None}


def _is_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and " " not in url and "@" not in parts.netloc

"""Texts with placeholders, such as `Halo {clientName}`: read strictly, so that filling in cannot fail.

A placeholder is a name from a fixed list and nothing more: no format, no attribute, no index. Literal braces
are doubled.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What can be filled in, and how many characters each has at most: names have 100, those of earlier rows
#: up to 200, and dates and times have a form.
PLACEHOLDERS: Final[Mapping[str, int]] = {
    "clientName": 200,
    "psychologistName": 200,
    "date": 32,
    "startTime": 8,
    "endTime": 8,
    "minutes": 4,
}
#: As long as a message may be.
LONGEST_TEXT: Final = 4096


@dataclass(frozen=True, slots=True)
class Template:
    """A text in pieces: literal parts, each followed by the name of a placeholder or by none."""

    pieces: tuple[tuple[str, str | None], ...]

    @classmethod
    def literal(cls, text: str) -> Template:
        """Make a template of a text without placeholders; braces mean nothing in it."""
        return cls(((text, None),))

    @property
    def names(self) -> frozenset[str]:
        """The placeholders in the text."""
        return frozenset(name for _, name in self.pieces if name is not None)

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the text with its placeholders filled in. Values are not searched for placeholders again.

        Values longer than their known limit are cut, so that the text still fits into a message.
        """
        return "".join(
            text if name is None else text + values[name][: PLACEHOLDERS[name]] for text, name in self.pieces
        )


def parse(text: str) -> tuple[Template | None, list[str]]:
    """Read a template. Return it, or None, and what is wrong with it, one sentence each."""
    try:
        found = list(Formatter().parse(text))
    except ValueError as error:
        return None, [f"{str(error).capitalize()}. A brace of its own is written doubled: {{{{ or }}}}."]
    faults = []
    for _, name, form, conversion in found:
        if name is None or (name in PLACEHOLDERS and not form and not conversion):
            continue
        if name in PLACEHOLDERS:
            faults.append(f"{{{name}}} takes no format.")
        else:
            known = ", ".join(f"{{{one}}}" for one in PLACEHOLDERS)
            faults.append(f"Unknown placeholder {{{name}}}; there are {known}.")
    template = Template(tuple((literal, name) for literal, name, _, _ in found))
    faults += _unsendable(text, template) if not faults else []
    return (None, faults) if faults else (template, [])


def _unsendable(text: str, template: Template) -> list[str]:
    """Return why the text, filled in with the longest values, could not be sent as a message."""
    faults = []
    if not text.strip():
        faults.append("Must not be empty.")
    if any(unicodedata.category(one) == "Cc" and one != "\n" for one in text):
        faults.append("Must not hold control characters other than line feeds.")
    longest = sum(len(literal) + PLACEHOLDERS.get(name or "", 0) for literal, name in template.pieces)
    if longest > LONGEST_TEXT:
        faults.append(f"May become {longest} characters long; a message has at most {LONGEST_TEXT}.")
    return faults

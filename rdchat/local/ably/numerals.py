"""Numbers that come as text."""

from __future__ import annotations

import re

# Python refuses to read numbers of thousands of digits; nothing here needs more than 64 bits.
_DIGITS = re.compile(r"\d{1,18}", re.ASCII)


def whole_number(text: str) -> int | None:
    """Read a number that is written in digits alone, 18 at most; None for any other text."""
    return int(text) if _DIGITS.fullmatch(text) else None

"""The form of a token: three parts of base64url, and in two of them JSON that says each thing once.

Libraries forgive much of that: padding, a name that is there twice, `NaN`, any `typ`. What two readers
may understand in two ways is no token here.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

from jwt import DecodeError
from jwt.utils import base64url_decode

#: As long as a header of a request may be.
LONGEST_TOKEN: Final = 8_190
_FORM: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2}")
#: What a token for a service may say that it is (RFC 7519, 5.1; RFC 9068, 2.1). Others, such as `logout+jwt`
#: or `dpop+jwt`, bear the same signature and mean something else.
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})


def read_header(token: str) -> dict[str, Any]:
    """Read a token's header, which nothing has verified yet. Raise DecodeError, ValueError.

    One that names extensions that have to be understood (`crit`) is refused: none of them is.
    """
    if len(token) > LONGEST_TOKEN or not _FORM.fullmatch(token):
        raise DecodeError("not a token in compact form")
    header = read_object(base64url_decode(token.partition(".")[0]))
    kind = header.get("typ", "JWT")
    if "crit" in header or not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise ValueError("not a token for a service")
    return header


def read_object(encoded: bytes) -> dict[str, Any]:
    """Read a JSON object in UTF-8 that names nothing twice. Raise ValueError, RecursionError."""
    found = json.loads(encoded.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - of what comes from outside
    return found


def read_instant(claims: dict[str, Any], name: str) -> float:
    """Return a claim that is an instant, in seconds since the epoch.

    Raise KeyError where it is missing, ValueError or OverflowError where it is none.
    """
    value = claims[name]
    # Not isinstance: to Python, true is a number.
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError("not a finite number")
    return float(value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _refuse(_name: str) -> NoReturn:
    raise ValueError("not a number of JSON")

"""JSON as RFC 8259 means it, for bodies from outside.

The standard loader accepts NaN, duplicate keys and lone surrogates, and raises RecursionError on deep nesting
and ValueError on very long numbers. Here each of these is one clear refusal, and NUL (which PostgreSQL cannot
store) is refused with them.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

#: No number of the contract has more digits.
_LONGEST_NUMBER: Final = 32


class StrictJsonError(ValueError):
    """The body is not acceptable JSON; the text says why."""


def loads(body: bytes) -> Any:  # noqa: ANN401 - whatever the JSON says
    """Read a body. Raise StrictJsonError."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StrictJsonError("The body is not valid UTF-8.") from error
    try:
        return _text(_DECODER.decode(text))
    except StrictJsonError:
        raise
    except json.JSONDecodeError as error:
        raise StrictJsonError(f"The body is not valid JSON: {error.msg}.") from error
    except RecursionError as error:
        raise StrictJsonError("The body is nested too deeply.") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = {_text(key): _text(value) for key, value in pairs}
    if len(result) != len(pairs):
        raise StrictJsonError("The body names a field twice.")
    return result


def _text(value: Any) -> Any:  # noqa: ANN401 - passes everything but bad text through
    if isinstance(value, str):
        if "\x00" in value:
            raise StrictJsonError("The body contains a NUL character.")
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError as error:
                raise StrictJsonError("The body contains half of a surrogate pair.") from error
    elif isinstance(value, list):
        for item in value:
            _text(item)
    return value


def _number(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise StrictJsonError("The body contains a number that is too long.")
    return int(text)


def _fraction(text: str) -> float:
    if len(text) > _LONGEST_NUMBER:
        raise StrictJsonError("The body contains a number that is too long.")
    return float(text)


def _constant(name: str) -> NoReturn:
    raise StrictJsonError(f"{name} is not JSON.")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_number, parse_float=_fraction, parse_constant=_constant
)

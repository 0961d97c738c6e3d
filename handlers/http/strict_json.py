"""JSON as RFC 8259 means it, for bodies from outside.

The standard loader accepts NaN, duplicate keys and lone surrogates, and raises RecursionError on deep nesting
and ValueError on very long numbers. Here each of these is one clear refusal, and NUL (which PostgreSQL cannot
store) is refused with them. So are more fields than any body of the contract has: each would be looked at,
and named in the answer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

#: No object of the contract has half as many fields.
MOST_FIELDS: Final = 64
#: A week of working hours with exceptions for a year has 1,770.
MOST_FIELDS_IN_ALL: Final = 2_048
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
    # Each field has a colon. Nearly no body has so many, and these alone are counted.
    decoder = _DECODER if body.count(b":") <= MOST_FIELDS_IN_ALL else _counting_decoder()
    try:
        return _text(decoder.decode(text))
    except StrictJsonError:
        raise
    except json.JSONDecodeError as error:
        raise StrictJsonError(f"The body is not valid JSON: {error.msg}.") from error
    except RecursionError as error:
        raise StrictJsonError("The body is nested too deeply.") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MOST_FIELDS:
        raise StrictJsonError(f"The body has an object with more than {MOST_FIELDS} fields.")
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


def _decoder(read_object: Callable[[list[tuple[str, Any]]], dict[str, Any]]) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=read_object, parse_int=_number, parse_float=_fraction, parse_constant=_constant
    )


def _counting_decoder() -> json.JSONDecoder:
    counted = 0

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal counted
        counted += len(pairs)
        if counted > MOST_FIELDS_IN_ALL:
            raise StrictJsonError(f"The body has more than {MOST_FIELDS_IN_ALL} fields.")
        return _object(pairs)

    return _decoder(read_object)


_DECODER: Final = _decoder(_object)

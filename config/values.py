"""Readers of single settings: text in, value out.

Each takes the text and returns the value, or raises InvalidValueError.
"""

from __future__ import annotations

import base64
import math
import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import limits

from config import organizations

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from ipaddress import IPv4Network, IPv6Network

    from limits import RateLimitItem

    from config.organizations import Organizations

T = TypeVar("T")

#: RFC 7518 §3.2: an HS256 key is at least as long as the hash.
_SHORTEST_SECRET: Final = 32
#: Of the sixteen digits of a hexadecimal secret, fewer are there once in twenty million.
_LEAST_DIFFERENT: Final = 8
_KEY_BYTES: Final = 32
_LONGEST_REMINDER: Final = 30 * 86400
_MOST_REMINDERS: Final = 10
_TRUE: Final = frozenset({"1", "t", "true", "y", "yes", "on"})
_FALSE: Final = frozenset({"0", "f", "false", "n", "no", "off"})
#: How often one person may call, by kind of call: far more than people need, and less than would hurt others.
RATES: Final = {
    "default": "1200/minute",
    "booking": "120/minute",
    "message": "3000/minute",
    "upload": "60/minute",
    "typing": "20/10second",
    "read": "600/minute",
    "diagram": "60/minute",
}


class InvalidValueError(ValueError):
    """A text is not valid for its setting. `faults` says why, one sentence each, and shows no secret."""

    def __init__(self, *faults: str) -> None:
        super().__init__(" ".join(faults))
        self.faults = faults


def text(value: str) -> str:
    """Return the text as it is."""
    return value


def path(value: str) -> Path:
    """Read a path."""
    return Path(value)


def flag(value: str) -> bool:
    """Read yes or no, in the usual ways of writing them."""
    lowered = value.lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise InvalidValueError("Not a valid boolean.")


def whole(
    *, least: int | None = None, above: int | None = None, most: int | None = None
) -> Callable[[str], int]:
    """Make a reader of whole numbers within bounds."""

    def parse(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            raise InvalidValueError("Not a valid integer.") from None
        _check_bounds(number, least, above, most)
        return number

    return parse


def days(*, least: int, most: int) -> Callable[[str], timedelta]:
    """Make a reader of whole days within bounds."""
    count = whole(least=least, most=most)
    return lambda value: timedelta(days=count(value))


def seconds(
    *, least: int | None = None, above: int | None = None, most: int | None = None
) -> Callable[[str], timedelta]:
    """Make a reader of seconds, also parts of them, within bounds."""

    def parse(value: str) -> timedelta:
        try:
            number = float(value)
        except ValueError:
            raise InvalidValueError("Not a valid number.") from None
        if not math.isfinite(number):
            raise InvalidValueError("Special numeric values (nan or infinity) are not permitted.")
        _check_bounds(number, least, above, most)
        try:
            return timedelta(seconds=number)
        except OverflowError:
            raise InvalidValueError("Number too large.") from None

    return parse


def _check_bounds(number: float, least: int | None, above: int | None, most: int | None) -> None:
    bounds = (
        (above, "greater than", above is None or number > above),
        (least, "greater than or equal to", least is None or number >= least),
        (most, "less than or equal to", most is None or number <= most),
    )
    if not all(holds for _, _, holds in bounds):
        wanted = [f"{words} {bound}" for bound, words, _ in bounds if bound is not None]
        raise InvalidValueError(f"Must be {' and '.join(wanted)}.")


def reminders(value: str) -> tuple[timedelta, ...]:
    """Read how long before the start people are reminded, the longest first; `off`: never."""
    if value == "off":
        return ()
    read = seconds(above=0, most=_LONGEST_REMINDER)
    leads = sorted((read(part) for part in value.split(",")), reverse=True)
    if len(set(leads)) < len(leads):
        raise InvalidValueError("Each must be there once.")
    if len(leads) > _MOST_REMINDERS:
        raise InvalidValueError(f"Must be at most {_MOST_REMINDERS}.")
    return tuple(leads)


def one_of(allowed: Collection[str]) -> Callable[[str], str]:
    """Make a check that the value is one of those allowed."""

    def check(value: str) -> str:
        if value not in allowed:
            raise InvalidValueError(f"Must be one of: {', '.join(allowed)}.")
        return value

    return check


def some_of(allowed: Collection[str], form: Callable[[Iterable[str]], T]) -> Callable[[str], T]:
    """Make a reader of comma separated values, each of which is one of those allowed."""

    def parse(value: str) -> T:
        values = value.split(",")
        unknown = sorted(set(values) - set(allowed))
        if unknown:
            raise InvalidValueError(f"Must be some of {', '.join(sorted(allowed))}; got {unknown}.")
        return form(values)

    return parse


def with_scheme(*schemes: str) -> Callable[[str], str]:
    """Make a check that an address begins with one of the schemes."""

    def check(value: str) -> str:
        if value.partition("://")[0] not in schemes:
            raise InvalidValueError(f"Must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}.")
        return value

    return check


def bucket(value: str) -> str:
    """Check the address of a bucket."""
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.-]+)*/?", value):
        raise InvalidValueError("Must have the form s3://bucket or s3://bucket/prefix.")
    return value


def listener(value: str) -> str:
    """Check where another program listens: `host:port`, or the path of a socket."""
    if value.startswith("/"):
        return value
    host, _, port = value.rpartition(":")
    if not re.fullmatch(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+", host) or not re.fullmatch(
        r"[1-9]\d{0,4}", port
    ):
        raise InvalidValueError("Must be host:port, or the path of a socket.")
    return value


def key_of_ably(value: str) -> str:
    """Check the form of an Ably key."""
    if not re.fullmatch(r"[\w-]+\.[\w-]+:\S+", value):
        raise InvalidValueError("Must have the form app.key:secret.")
    return value


def long_enough(value: str) -> str:
    """Check that a secret is as long as its algorithm needs, and is not a shorter one that is repeated."""
    secret = value.encode()
    if len(secret) < _SHORTEST_SECRET:
        raise InvalidValueError(f"Must be at least {_SHORTEST_SECRET} bytes long.")
    if len(set(secret)) < _LEAST_DIFFERENT or _repeats(secret):
        raise InvalidValueError("Must not be a few bytes that are repeated: that is as good as a short one.")
    return value


def _repeats(secret: bytes) -> bool:
    """Whether a secret is one of at most sixteen bytes over and over, also with a part of it at the end."""
    return any(secret.startswith(secret[length:]) for length in range(1, _SHORTEST_SECRET // 2 + 1))


def encryption_keys(value: str) -> dict[str, bytes]:
    """Read encryption keys by key id; the first encrypts."""
    keys: dict[str, bytes] = {}
    for entry in value.split(","):
        kid, colon, encoded = entry.strip().partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except ValueError:
            key = b""
        if not (colon and re.fullmatch(r"[A-Za-z0-9_-]{1,32}", kid) and len(key) == _KEY_BYTES):
            raise InvalidValueError("Must be kid:base64 of 32 bytes, comma separated.")
        keys[kid] = key
    return keys


def rate_limits(value: str) -> dict[str, RateLimitItem]:
    """Read the limits of calls by kind; kinds not named keep their default, `off` has no limit."""
    rates = {kind: limits.parse(rate) for kind, rate in RATES.items()}
    if value.strip() == "off":
        return {}
    for entry in filter(None, (one.strip() for one in value.split(","))):
        kind, _, rate = entry.partition("=")
        if kind not in rates:
            raise InvalidValueError(f"Must be kind=count/period; the kinds are {', '.join(RATES)}.")
        try:
            rates[kind] = limits.parse(rate)
        except ValueError as error:
            raise InvalidValueError(f"{entry}: the rate must be like 60/minute or 5/second.") from error
    return rates


def networks(value: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read addresses and networks, comma separated."""
    found = []
    for entry in filter(None, (one.strip() for one in value.split(","))):
        try:
            found.append(ip_network(entry))
        except ValueError as error:
            text = f"{entry} is neither an address nor a network such as 10.0.0.0/8."
            raise InvalidValueError(text) from error
    return tuple(found)


def organizations_file(value: str) -> Organizations:
    """Read the file of organisations; without it, nothing differs from what is built in."""
    found, faults = organizations.read(Path(value) if value else None)
    if faults:
        raise InvalidValueError(*faults)
    return found

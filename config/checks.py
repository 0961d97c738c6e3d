"""What is checked of the settings: the form of single ones, and whether they go together.

A check of one value raises ValidationError, with what is wrong as a sentence.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from typing import TYPE_CHECKING, Final

import limits
from environs import ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from limits import RateLimitItem

_SECRETS: Final = (
    "DATABASE_URL",
    "REDIS_URL",
    "ABLY_KEY",
    "JWT_SECRET",
    "ENCRYPTION_KEYS",
    "S3_ACCESS_KEY_ID",
    "S3_SECRET_ACCESS_KEY",
    "WEBHOOK_SECRETS",
)
#: RFC 7518 §3.2: an HS256 key is at least as long as the hash.
_SHORTEST_SECRET: Final = 32
_KEY_BYTES: Final = 32
#: How often one person may call, by kind of call: far more than people do, and less than hurts others.
RATES: Final = {
    "default": "1200/minute",
    "booking": "120/minute",
    "message": "3000/minute",
    "upload": "60/minute",
    "typing": "20/10second",
    "read": "600/minute",
}


def unreadable_secret_files() -> list[str]:
    """Name the files of secrets that are set and cannot be read."""
    faults = []
    for name in _SECRETS:
        variable = f"RDCHAT_{name}_FILE"
        path = os.environ.get(variable)
        if path and not os.access(path, os.R_OK):
            faults.append(f"{variable}: {path} cannot be read.")
    return faults


def contradictions(
    seconds: Mapping[str, float | None],
    jwt_secret: str | None,
    jwks_url: str | None,
    algorithms: list[str] | None,
) -> list[str]:
    """Say which settings do not go together."""
    faults = []
    shortest, longest = seconds["min_session"], seconds["max_session"]
    if shortest and longest and shortest > longest:
        faults.append("RDCHAT_MIN_SESSION: must not be longer than RDCHAT_MAX_SESSION.")
    if jwt_secret and jwks_url:
        faults.append("RDCHAT_JWT_SECRET, RDCHAT_JWT_JWKS_URL: set one of them, not both.")
    symmetric = {name.startswith("HS") for name in algorithms or ()}
    if len(symmetric) > 1:
        faults.append("RDCHAT_JWT_ALGORITHMS: symmetric (HS*) and asymmetric ones must not be mixed.")
    elif symmetric == {True} and jwks_url:
        faults.append(
            "RDCHAT_JWT_ALGORITHMS: a key set (RDCHAT_JWT_JWKS_URL) needs asymmetric ones, e.g. RS256."
        )
    elif symmetric == {False} and not jwks_url:
        faults.append("RDCHAT_JWT_ALGORITHMS: asymmetric ones need RDCHAT_JWT_JWKS_URL.")
    return faults


def missing_secrets(caller_keys: str | None, encryption_keys: str | None) -> list[str]:
    """Say which secrets nobody may generate are missing."""
    faults = []
    if caller_keys is None:
        faults.append(
            "RDCHAT_JWT_SECRET or RDCHAT_JWT_JWKS_URL: required with RDCHAT_DATABASE_URL; "
            "generated secrets are for the embedded default only."
        )
    if encryption_keys is None:
        faults.append(
            "RDCHAT_ENCRYPTION_KEYS: required with RDCHAT_DATABASE_URL, or nobody could read its messages "
            "from another machine. Make one: echo main:$(openssl rand -base64 32)"
        )
    return faults


def parse_rates(value: str) -> dict[str, RateLimitItem]:
    """Read the limits of calls by kind; what is not named keeps its default, and `off` has none."""
    rates = {kind: limits.parse(rate) for kind, rate in RATES.items()}
    if value.strip() == "off":
        return {}
    for entry in filter(None, (one.strip() for one in value.split(","))):
        kind, _, rate = entry.partition("=")
        if kind not in rates:
            raise ValidationError(f"Must be kind=count/period; the kinds are {', '.join(RATES)}.")
        try:
            rates[kind] = limits.parse(rate)
        except ValueError as error:
            raise ValidationError(f"{entry}: the rate must be like 60/minute or 5/second.") from error
    return rates


def with_scheme(*schemes: str) -> Callable[[str], str]:
    """Make a check that an address begins with one of the schemes."""

    def check(value: str) -> str:
        if value.partition("://")[0] not in schemes:
            raise ValidationError(f"Must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}.")
        return value

    return check


def bucket(value: str) -> str:
    """Check the address of a bucket."""
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.-]+)*/?", value):
        raise ValidationError("Must have the form s3://bucket or s3://bucket/prefix.")
    return value


def some_of(allowed: Iterable[str]) -> Callable[[list[str]], list[str]]:
    """Make a check that every value is one of those allowed, and that there is one."""

    def check(values: list[str]) -> list[str]:
        unknown = sorted(set(values) - set(allowed))
        if unknown or not values:
            raise ValidationError(
                f"Must be some of {', '.join(sorted(allowed))}; got {unknown or 'nothing'}."
            )
        return values

    return check


def key_of_ably(value: str) -> str:
    """Check the form of an Ably key."""
    if not re.fullmatch(r"[\w-]+\.[\w-]+:\S+", value):
        raise ValidationError("Must have the form app.key:secret.")
    return value


def long_enough(value: str) -> str:
    """Check that a secret is as long as its algorithm needs."""
    if len(value.encode()) < _SHORTEST_SECRET:
        raise ValidationError(f"Must be at least {_SHORTEST_SECRET} bytes long.")
    return value


def parse_keys(value: str) -> dict[str, bytes]:
    """Read encryption keys by key id; the first seals."""
    keys: dict[str, bytes] = {}
    for entry in value.split(","):
        kid, colon, encoded = entry.strip().partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            key = b""
        if not (colon and re.fullmatch(r"[A-Za-z0-9_-]{1,32}", kid) and len(key) == _KEY_BYTES):
            raise ValidationError("Must be kid:base64 of 32 bytes, comma separated.")
        keys[kid] = key
    return keys

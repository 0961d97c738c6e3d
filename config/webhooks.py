"""Checks on the settings of webhooks."""

from __future__ import annotations

import base64
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from config.values import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFIX: Final = "whsec_"
#: Standard Webhooks: "between 24 bytes (192 bits) and 64 bytes (512 bits)".
_SHORTEST: Final = 24
_LONGEST: Final = 64


def webhook_secrets(value: str) -> tuple[bytes, ...]:
    """Read `whsec_<base64>`, comma separated; none if the value is empty. Raise InvalidValueError."""
    secrets: list[bytes] = []
    if not value:
        return ()
    for entry in value.split(","):
        prefix, encoded = entry.strip()[: len(_PREFIX)], entry.strip()[len(_PREFIX) :]
        try:
            secret = base64.b64decode(encoded, validate=True)
        except ValueError:
            secret = b""
        if prefix != _PREFIX or not _SHORTEST <= len(secret) <= _LONGEST:
            raise InvalidValueError(
                f"Must be whsec_ and base64 of {_SHORTEST} to {_LONGEST} bytes, comma separated. "
                "Make one: echo whsec_$(openssl rand -base64 32)"
            )
        secrets.append(secret)
    return tuple(secrets)


def webhook_urls(value: str) -> tuple[str, ...]:
    """Read addresses, comma separated, each once; none if the value is empty."""
    return tuple(dict.fromkeys(url.strip() for url in value.split(","))) if value else ()


def webhook_faults(urls: Sequence[str], *, signed: bool, allow_private: bool) -> list[str]:
    """Return what is wrong with the addresses, or that they lack secrets, one sentence each."""
    faults = [f"RDCHAT_WEBHOOK_URL: {fault}" for url in urls for fault in _faults_of(url, allow_private)]
    if urls and not signed:
        faults.append(
            "RDCHAT_WEBHOOK_SECRETS: required with RDCHAT_WEBHOOK_URL, or receivers could not tell who calls."
            " Make one: echo whsec_$(openssl rand -base64 32)"
        )
    return faults


def _faults_of(url: str, allow_private: bool) -> list[str]:  # noqa: FBT001 - private, and called once
    try:
        parts = urlsplit(url)
        # Asking for the port is what checks it.
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        return [f"{error}."]
    schemes = ("https", "http") if allow_private else ("https",)
    if parts.scheme not in schemes or not host:
        return [f"Must be an address that begins with {' or '.join(f'{one}://' for one in schemes)}."]
    if parts.username is not None or parts.password is not None:
        return ["Must not hold a user or a password: the signature says who calls."]
    if parts.fragment or any(sign.isspace() for sign in url):
        return ["Must hold neither a fragment (#) nor spaces."]
    return [] if allow_private or not _is_private(host) else [f"{host} is not a public address."]


def _is_private(host: str) -> bool:
    """Return whether it is visibly private, without a look-up; each connection is checked when it is made."""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == "localhost"

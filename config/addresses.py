"""Where the service is on the web: which origins may call it, and how its clients reach it."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from config.values import InvalidValueError

#: What a browser writes into `Origin`: no path, no default port, a name in lower case.
_ORIGIN: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?"
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_HIGHEST_PORT: Final = 65535
#: Where one calls a service that listens on every address of a machine.
_LOOPBACK_OF: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def origins(value: str) -> frozenset[str]:
    """Read origins, comma separated."""
    found = [origin.strip() for origin in value.split(",")]
    faults = [fault for origin in found if (fault := _origin_fault(origin)) is not None]
    if faults:
        raise InvalidValueError(*faults)
    return frozenset(found)


def public_url(value: str) -> str:
    """Read the address that clients use; a slash at its end is dropped."""
    try:
        parts = urlsplit(value)
        # Asking for the port is what checks it.
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidValueError(f"{error}.") from None
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise InvalidValueError("Must be an address that begins with https:// or http://.")
    if parts.username is not None or parts.password is not None:
        raise InvalidValueError("Must hold neither a user nor a password: it stands in answers.")
    if "?" in value or "#" in value:
        raise InvalidValueError("Must hold neither a query (?) nor a fragment (#): paths are added to it.")
    if not re.fullmatch(r"[!-~]+", value) or re.search(r'["<>\\^`{|}]', value):
        raise InvalidValueError("Must be written in ASCII, with everything else percent-encoded.")
    if re.search(r"//|/\.{1,2}(/|$)", parts.path):
        raise InvalidValueError("Must hold neither empty segments (//) nor dots (/../) in its path.")
    return value.rstrip("/")


def authority(host: str, port: int) -> str:
    """Write `host:port` as in a URL, where a service that listens on `host` is reached from its machine."""
    host = _LOOPBACK_OF.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def public_host(host: str, url: str | None) -> str | None:
    """Return the host of the public address where it leads to a service that listens on every address.

    What listens there beside the service, the local Ably endpoint, is then reached by the same host.
    """
    if url is None or host not in _LOOPBACK_OF:
        return None
    return urlsplit(url).netloc.removesuffix(f":{urlsplit(url).port}")


def _origin_fault(origin: str) -> str | None:
    """Return what is wrong with an origin, in one sentence."""
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        return f"{_shortened(origin)} {_why_no_origin(origin)}"
    port = match["port"]
    if port is None:
        return None
    if not 0 < int(port) <= _HIGHEST_PORT or port.startswith("0"):
        return f"{origin} has no possible port."
    if int(port) == _DEFAULT_PORTS[match["scheme"]]:
        return f"{origin} must be written without :{port}, as browsers do."
    return None


def _why_no_origin(origin: str) -> str:
    scheme, _, rest = origin.partition("://")
    reasons = (
        (not origin, "is an empty entry."),
        (origin == "*", "would let every page call: name the origins."),
        (origin == "null", "is the origin of files and sandboxes, which could be anyone's."),
        (not rest or scheme not in _DEFAULT_PORTS, "must begin with https:// or http://."),
        ("@" in rest, "must not hold a user."),
        (rest.endswith("/") and rest.count("/") == 1, "must not end in a slash."),
        (any(sign in rest for sign in "/?#"), "must not hold a path: an origin is scheme, host and port."),
        ("*" in rest, "must not hold *: each origin is named as a whole."),
        (rest != rest.lower(), "must be written in lower case, as browsers do."),
        (True, "is no origin, as https://app.example is one."),
    )
    return next(reason for applies, reason in reasons if applies)


def _shortened(text: str) -> str:
    """Show a text that may be anything; a user and a password in it are left out."""
    return ascii(text.rpartition("@")[2])[:80]

"""Whether a request comes from a page of this service, opened on its own machine.

Where tokens are given to all who ask, only they may ask. A page of another site may not, although the browser
that shows it is on this machine: browsers say where a request comes from. Nor may a page whose name was made
to mean this machine after it was loaded (DNS rebinding): its requests bear that name as `Host`. Nor may
another machine, by whatever name, be it through a proxy.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from aiohttp import HttpVersion11

from rdchat.common.errors import ErrorCode, RdchatError

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest

#: What a proxy or a tunnel on the way leaves behind; also every header that begins with `X-Forwarded-`.
_OF_PROXIES: Final = frozenset(
    {"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"}
)


def check_same_machine(request: BaseRequest) -> None:
    """See that a request comes from this machine and not from another site. Raise RdchatError (FORBIDDEN)."""
    if not (is_near(request) and _is_own(request)):
        raise RdchatError(
            ErrorCode.FORBIDDEN, "Only pages of this service, opened on its own machine, may do this"
        )


def is_near(request: BaseRequest) -> bool:
    """Return whether a request comes from this machine, and through no proxy on it as far as that shows."""
    host = request.headers.get("Host", "")
    name = host.rpartition(":")[0] if ":" in host.rpartition("]")[2] else host
    return (
        (name == "localhost" or _is_loopback(name.removeprefix("[").removesuffix("]")))
        and _is_loopback(request.remote or "")
        and not any(_is_of_proxy(header.lower()) for header in request.headers)
        # No browser speaks less. A proxy may that is told nothing but where to pass requests on; it then says
        # nothing of itself, and this machine's name for all.
        and request.version >= HttpVersion11
    )


def _is_of_proxy(header: str) -> bool:
    return header in _OF_PROXIES or header.startswith("x-forwarded-")


def _is_own(request: BaseRequest) -> bool:
    headers = request.headers
    # What is typed into the address bar comes from no site. It can only look.
    trusted = {"same-origin"} if request.method == "POST" else {"same-origin", "none"}
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    return (site is None or site in trusted) and (
        origin is None or origin == f"{request.scheme}://{headers.get('Host')}"
    )


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback

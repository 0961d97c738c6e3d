"""Where a webhook may connect to: public addresses of the internet, and nothing else.

An endpoint is a name that another party's DNS resolves. Without this check, it could point to addresses that
only this machine can reach: a database, another tenant, the cloud's metadata service at 169.254.169.254.

The check is made where a socket is created for an address, the last place before the connection: addresses
that were resolved and those written as numbers, in any form, come through here, and between check and
connection nothing is looked up again (DNS rebinding).
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiohttp.connector import AddrInfoType

_MAPPED_BY_NAT64: Final = IPv6Network("64:ff9b::/96")
#: What the internet routes; https://www.iana.org/assignments/ipv6-address-space/.
_UNICAST: Final = IPv6Network("2000::/3")
#: To some of these `is_global` says yes, depending on the version of Python: IETF protocol assignments and
#: 6to4 relays; in IPv6 protocol assignments (Teredo among them), 6to4 (an IPv4 address inside, reached
#: through a relay) and documentation.
_REFUSED: Final = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("2001::/23"),
    IPv6Network("2002::/16"),
    IPv6Network("3fff::/20"),
)


class PrivateAddressError(OSError):
    """A connection to an address that is not public was refused."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address} is not a public address")


def is_public(address: str) -> bool:
    """Return whether an address (as resolvers and sockets write it) belongs to the open internet."""
    try:
        tz = ip_address(address)
    except ValueError:
        return False
    if isinstance(tz, IPv6Address):
        if tz.ipv4_mapped is not None:
            tz = tz.ipv4_mapped
        elif tz in _MAPPED_BY_NAT64:
            tz = IPv4Address(tz.packed[-4:])
        elif tz not in _UNICAST or tz.scope_id is not None:
            return False
    if any(tz in network for network in _REFUSED if network.version == tz.version):
        return False
    return tz.is_global and not tz.is_multicast and not tz.is_reserved


def public_socket(info: AddrInfoType) -> socket.socket:
    """Create the socket for a connection to an address. Raise PrivateAddressError."""
    family, kind, protocol, _, (address, *_rest) = info
    if not is_public(str(address)):
        raise PrivateAddressError(str(address))
    return socket.socket(family=family, type=kind, proto=protocol)

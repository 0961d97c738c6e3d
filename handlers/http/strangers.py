"""What comes without a token, by address: how many connections, and how often.

Who has a token is counted by who they are. The others can only be told apart by their addresses, and many
people may share one (a school, a provider's NAT), so these limits are far above what they do together, and
far below what holds the service up. A request with a valid token is never refused for its address.

An address is a connection's peer. Where that is one of `proxies`, the last address in `X-Forwarded-For` that
is none of them is meant, and its connections are not counted. This machine itself is not limited: what runs
here is a proxy, a probe or its operator. Of IPv6, the network of a subscriber (/64) counts as one address.
"""

from __future__ import annotations

import time
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ipaddress import IPv4Address, IPv4Network, IPv6Network

#: A page is some eighty files, once: this is two new people a second from one address, and 75 at once.
RATE: Final = 200.0
BURST: Final = 6_000.0
#: Refused tokens cost more than files, and people have one at a time.
_FAILURE_COSTS: Final = 10.0
#: When more addresses than this are remembered, those are forgotten that have all of their calls again.
_REMEMBERED: Final = 20_000
_FORWARDED: Final = "X-Forwarded-For"
_HOPS: Final = 16


class Strangers:
    """Counts what comes without a valid token. `on_refusal` is called for each request that is refused."""

    def __init__(
        self,
        proxies: tuple[IPv4Network | IPv6Network, ...],
        on_refusal: Callable[[], None],
        *,
        rate: float = RATE,
        burst: float = BURST,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._proxies = proxies
        self._on_refusal = on_refusal
        self._rate = rate
        self._burst = burst
        self._now = now
        self._left: dict[str, tuple[float, float]] = {}

    @property
    def remembered(self) -> int:
        """How many addresses are remembered."""
        return len(self._left)

    def peer(self, host: object) -> str | None:
        """Return what a connection from `host` is counted as; None if it is not, being a proxy's or ours."""
        address = _address(host)
        if address is None or address.is_loopback or self._is_proxy(address):
            return None
        return _network(address)

    def is_proxy(self, host: object) -> bool:
        """Whether a connection from `host` says in its requests on whose behalf it comes."""
        address = _address(host)
        return address is not None and self._is_proxy(address)

    def behind_proxy(self, headers: Mapping[str, str]) -> str | None:
        """Return what a request counts as that came by a proxy; None if it says nothing usable."""
        hops = headers.get(_FORWARDED, "").rsplit(",", _HOPS)[-_HOPS:]
        for hop in reversed(hops):
            address = _address(hop.strip())
            if address is None:
                return None
            if not self._is_proxy(address):
                return None if address.is_loopback else _network(address)
        return None

    def admits(self, address: str | None) -> bool:
        """Count a request without a token; say whether it may go on."""
        if address is None:
            return True
        if self._take(address, 1.0):
            return True
        self._on_refusal()
        return False

    def failed(self, address: str | None) -> bool:
        """Count a token that was refused; say whether the address may go on trying."""
        if address is None:
            return True
        if self._take(address, _FAILURE_COSTS):
            return True
        self._on_refusal()
        return False

    def _take(self, address: str, cost: float) -> bool:
        now = self._now()
        left, at = self._left.get(address, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        has_enough = left >= cost
        if address not in self._left and len(self._left) >= _REMEMBERED:
            self._forget(now)
        self._left[address] = (left - cost if has_enough else left, now)
        return has_enough

    def _forget(self, now: float) -> None:
        whole = self._burst / self._rate
        self._left = {one: known for one, known in self._left.items() if now - known[1] < whole}
        if len(self._left) >= _REMEMBERED:
            # So many at once are no one's neighbours: none of them is worth the memory.
            self._left.clear()

    def _is_proxy(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._proxies)


def _address(host: object) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(str(host).partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _network(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv6Address):
        return address.packed[:8].hex()
    return str(address)

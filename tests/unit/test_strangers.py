"""Who counts as which address, and how much comes from one without a token."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from handlers.http.strangers import Strangers

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


class Counted:
    def __init__(self, **options: float) -> None:
        self.refused = 0
        self.at = 0.0
        self.strangers = Strangers(PROXIES, self._refuse, now=lambda: self.at, **options)

    def _refuse(self) -> None:
        self.refused += 1


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "20010db800010002"),
        ("2001:db8:1:2::9%eth0", "20010db800010002"),
        ("127.0.0.1", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("10.1.2.3", None),
        ("fd00::1", None),
        ("", None),
        ("@", None),
    ],
)
def test_what_a_connection_counts_as(host: str, counted: str | None) -> None:
    assert Counted().strangers.peer(host) == counted


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        # What its client wrote before is not believed.
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7, 10.0.0.1, 10.0.0.2", "203.0.113.7"),
        ("2001:db8:1:2::1", "20010db800010002"),
        ("127.0.0.1", None),
        ("10.0.0.1", None),
        ("nonsense", None),
        ("203.0.113.7, nonsense", None),
        ("", None),
        (",".join(["203.0.113.7"] + ["10.0.0.1"] * 10_000), None),
    ],
)
def test_what_a_request_counts_as_that_a_proxy_hands_on(said: str, counted: str | None) -> None:
    strangers = Counted().strangers
    assert strangers.is_proxy("10.0.0.1")
    assert not strangers.is_proxy("203.0.113.7")
    assert not strangers.is_proxy("127.0.0.1"), "a proxy of this machine is believed only when it is named"
    assert strangers.behind_proxy({"X-Forwarded-For": said}) == counted


def test_an_address_has_so_many_at_once_and_then_so_many_a_second() -> None:
    counted = Counted(rate=2.0, burst=10.0)
    asked = [counted.strangers.admits("203.0.113.7") for _ in range(12)]
    assert asked == [True] * 10 + [False] * 2
    assert counted.refused == 2
    assert counted.strangers.admits("203.0.113.8"), "each has their own"
    counted.at = 1.0
    assert [counted.strangers.admits("203.0.113.7") for _ in range(3)] == [True, True, False]
    counted.at = 1_000.0
    assert [counted.strangers.admits("203.0.113.7") for _ in range(11)] == [True] * 10 + [False]


def test_refused_tokens_cost_more() -> None:
    counted = Counted(rate=1.0, burst=25.0)
    assert [counted.strangers.failed("203.0.113.7") for _ in range(3)] == [True, True, False]
    assert counted.strangers.admits("203.0.113.7")


def test_what_has_no_address_is_let_through() -> None:
    counted = Counted(rate=1.0, burst=1.0)
    assert all(counted.strangers.admits(None) and counted.strangers.failed(None) for _ in range(10))


def test_a_flood_of_addresses_is_not_remembered() -> None:
    counted = Counted(rate=1.0, burst=10.0)
    for number in range(50_000):
        counted.at += 0.0001
        assert counted.strangers.admits(f"{number}")
    assert counted.strangers.remembered <= 20_000

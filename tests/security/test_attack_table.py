"""The table of attacks itself: an attack that was never tried, or that got through, fails its test."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.support.attacks import Attack, Attacks, as_table, attacks_of


def test_attacks_of_one_kind_are_added_up_over_tests() -> None:
    properties: list[tuple[str, object]] = []
    Attacks(properties).count("forged tokens", tried=60, through=[])
    report = SimpleNamespace(when="call", user_properties=properties)
    teardown = SimpleNamespace(when="teardown", user_properties=properties)
    found = attacks_of([report, report, teardown])
    assert found == [Attack("forged tokens", 120, 0)]
    assert as_table(found).splitlines()[-1].split() == ["forged", "tokens", "120", "0"]


def test_what_got_through_or_was_never_tried_fails_and_is_noted() -> None:
    properties: list[tuple[str, object]] = []
    attacks = Attacks(properties)
    with pytest.raises(AssertionError, match="1 of 2 got through"):
        attacks.count("moved rows", tried=2, through=["a row"])
    with pytest.raises(AssertionError, match="not tried"):
        attacks.count("nothing", tried=0, through=[])
    assert attacks_of([SimpleNamespace(when="call", user_properties=properties)])[0].through == 1

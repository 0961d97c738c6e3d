"""Tests that attack the service count what they try; `make security` prints the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.attacks import Attacks, as_table, attacks_of

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter


@pytest.fixture
def attacks(request: pytest.FixtureRequest) -> Attacks:
    return Attacks(request.node.user_properties)


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print what was tried. In a run of all tests this file is loaded too late to be asked."""
    stats = terminalreporter.stats
    found = attacks_of([*stats.get("passed", []), *stats.get("failed", [])])
    if found:
        terminalreporter.section("attacks")
        terminalreporter.write_line(as_table(found))

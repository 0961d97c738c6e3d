"""Subjects of commits: what the hook refuses."""

from __future__ import annotations

import pytest

from tools.check_subject import faults


@pytest.mark.parametrize(
    "message",
    [
        "Fix it",
        "Fix it\n\nBecause it was broken.\n",
        "\n# a comment\n\nFix it\n# On branch main\n",
        "x" * 72,
        "fixup! " + "x" * 72,
        'Revert "' + "x" * 72 + '"',
        "# nothing but comments\n",
    ],
)
def test_subjects_that_pass(message: str) -> None:
    assert faults(message) == []


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("x" * 73, "73 characters"),
        ("Fix it.", "full stop"),
        ("Fix it.  \n", "full stop"),
        ("Fix it\nand more", "not empty"),
    ],
)
def test_subjects_that_are_refused(message: str, says: str) -> None:
    (fault,) = faults(message)
    assert says in fault

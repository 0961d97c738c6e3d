"""What the desk's pages decide without a browser: notes that are never lost, working hours, who waits."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.node import find_node

PARTS = Path(__file__).parent / "desk"
PATIENCE = 90.0


@pytest.mark.usefixtures("web_packages")
def test_the_modules_of_the_desk_alone() -> None:
    parts = sorted(str(path) for path in PARTS.glob("*.test.mjs"))
    said = subprocess.run(
        [str(find_node()), "--test", *parts], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert said.returncode == 0, said.stdout
    assert "# tests 0" not in said.stdout

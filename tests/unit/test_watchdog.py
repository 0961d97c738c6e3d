"""A test that never ends is ended with what it started, and named."""

from __future__ import annotations

import subprocess
import sys

from tests.support.command_server import ROOT

NEVER_ENDS = """
import subprocess, time
from tests.support.watchdog import Watchdog

watchdog = Watchdog(grace=0.2)
watchdog.start()
watchdog.expect_end("test_of_an_hour", 0.1)
subprocess.Popen(["sleep", "3600"])
time.sleep(3600)
"""
ENDS = """
import time
from tests.support.watchdog import Watchdog

watchdog = Watchdog(grace=0.2)
watchdog.start()
watchdog.expect_end("test_of_a_moment", 0.1)
watchdog.ended()
time.sleep(1.5)
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    # It is done when all that holds its output has ended: the child as well.
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_what_does_not_end_is_ended_with_its_children() -> None:
    ended = run(NEVER_ENDS)

    assert ended.returncode == 1
    assert "test_of_an_hour does not end" in ended.stderr
    assert 'File "<string>", line 9 in <module>' in ended.stderr


def test_what_has_ended_is_left_alone() -> None:
    ended = run(ENDS)

    assert (ended.returncode, ended.stderr) == (0, "")

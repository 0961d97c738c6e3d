#!/usr/bin/env python3
"""Refuse a commit whose subject is longer than 72 characters or ends with a full stop.

Usage: check_subject.py FILE, where FILE holds the message, as git hands it to its commit-msg hook.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

_LONGEST: Final = 72
#: git makes these itself, from subjects that were checked, and takes them away again when it squashes.
_OF_GIT: Final = ("fixup! ", "squash! ", "amend! ", "Revert ", "Merge ")


def faults(message: str) -> list[str]:
    """List what is wrong with the subject of a message."""
    lines = [line for line in message.splitlines() if not line.startswith("#")]
    while lines and not lines[0].strip():
        del lines[0]
    if not lines:
        return []  # git refuses it
    subject = lines[0].rstrip()
    found = []
    if len(subject) > _LONGEST and not subject.startswith(_OF_GIT):
        found.append(f"The subject has {len(subject)} characters; {_LONGEST} is the most.")
    if subject.endswith("."):
        found.append("The subject ends with a full stop.")
    if len(lines) > 1 and lines[1].strip():
        found.append("The line below the subject is not empty.")
    return found


if __name__ == "__main__":
    sys.exit("\n".join(faults(Path(sys.argv[1]).read_text(encoding="utf-8"))) or 0)

"""The problems that replicas reported in their logs."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.replica import Replica

#: An instant, the level, the sentence; behind it what differs from case to case.
_LINE: Final = re.compile(r"^\S+ \[(warning|error|critical) *\] (.+?) *(?:\w+=.*)?$", re.MULTILINE)
_TRACEBACK: Final = "Traceback (most recent call last)"


def problems(replicas: Iterable[Replica]) -> Counter[str]:
    """Count warnings and errors by their sentence, and tracebacks."""
    found: Counter[str] = Counter()
    for replica in replicas:
        log = replica.log
        found.update(f"{level}: {sentence}" for level, sentence in _LINE.findall(log))
        found["tracebacks"] += log.count(_TRACEBACK)
    return +found

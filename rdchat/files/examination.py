"""What a file is, found out in a process of its own: `python -m rdchat.files.examination`.

It is given files made by strangers and hands them to decoders written in C. So it runs apart: without the
service's environment, with little memory and time, and at a lower priority than the service's timers. It
reads the file from standard input and writes one line of JSON, followed by the file as it is to be kept;
when nothing follows the line, the file is kept as it came.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rdchat.files import documents, signatures
from rdchat.files.kinds import UnacceptableError

if TYPE_CHECKING:
    from rdchat.files.kinds import Kind

MEMORY_BYTES: Final = 2 * 1024**3
_PROCESSOR_SECONDS: Final = 20
_NICENESS: Final = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """What a file is kept as. `rewritten` is what is to be kept, unless it is what came."""

    kind: Kind
    rewritten: bytes | None = None
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None


def examine(content: bytes) -> Finding:
    """Find out what a file is, by its content. Raise UnacceptableError."""
    if not content:
        raise UnacceptableError("The file is empty.")
    # What is not needed is not loaded: that would be half of the time that most files take.
    kind = signatures.recognise(content)
    if kind is None:
        return Finding(*documents.identify(content))
    if kind.is_audio:
        from rdchat.files import recordings  # noqa: PLC0415

        return Finding(kind, *recordings.rewrite(content, kind))
    from rdchat.files import pictures  # noqa: PLC0415

    return Finding(*pictures.rewrite(content, kind))


def _confine() -> None:
    # The signal of the soft limit says why it died.
    resource.setrlimit(resource.RLIMIT_CPU, (_PROCESSOR_SECONDS, _PROCESSOR_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # Elsewhere the limit is not enforced, or below what a process maps to begin with.
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    os.nice(_NICENESS)


def main() -> None:
    """Examine standard input."""
    _confine()
    found: dict[str, object]
    rewritten = None
    try:
        finding = examine(sys.stdin.buffer.read())
    except UnacceptableError as error:
        found = {"fault": str(error), "found": error.found}
    else:
        rewritten = finding.rewritten
        found = {
            "contentType": finding.kind.content_type,
            "width": finding.width,
            "height": finding.height,
            "durationMs": finding.duration_ms,
        }
    sys.stdout.buffer.write(json.dumps(found).encode() + b"\n")
    sys.stdout.buffer.write(rewritten or b"")


if __name__ == "__main__":
    main()

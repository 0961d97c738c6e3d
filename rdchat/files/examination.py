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

from rdchat.files import documents, kinds
from rdchat.files.kinds import UnacceptableError

if TYPE_CHECKING:
    from rdchat.files.kinds import Kind

_MEMORY_BYTES: Final = 2 * 1024**3
_PROCESSOR_SECONDS: Final = 20
_NICENESS: Final = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """What a file is. `rewritten` is what is to be kept of a picture."""

    kind: Kind
    rewritten: bytes | None = None
    width: int | None = None
    height: int | None = None


def examine(content: bytes) -> Finding:
    """Find out what a file is, by its content. Raise UnacceptableError."""
    if not content:
        raise UnacceptableError("Must not be empty.")
    kind = _picture(content)
    if kind is None:
        return Finding(documents.identify(content))
    # Half of the time that this program takes to start would go into Pillow, which documents do not need.
    from rdchat.files import pictures  # noqa: PLC0415

    return Finding(kind, *pictures.rewrite(content, kind))


def _picture(content: bytes) -> Kind | None:
    if content.startswith(b"\xff\xd8\xff"):
        return kinds.JPEG
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return kinds.PNG
    if content.startswith((b"GIF87a", b"GIF89a")):
        return kinds.GIF
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return kinds.WEBP
    return None


def _confine() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_PROCESSOR_SECONDS, _PROCESSOR_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # Elsewhere the limit is not enforced, or below what a process maps to begin with.
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    os.nice(_NICENESS)


def main() -> None:
    """Examine standard input."""
    _confine()
    found: dict[str, object]
    rewritten = None
    try:
        finding = examine(sys.stdin.buffer.read())
    except UnacceptableError as error:
        found = {"fault": str(error)}
    else:
        rewritten = finding.rewritten
        found = {
            "contentType": finding.kind.content_type,
            "width": finding.width,
            "height": finding.height,
        }
    sys.stdout.buffer.write(json.dumps(found).encode() + b"\n")
    sys.stdout.buffer.write(rewritten or b"")


if __name__ == "__main__":
    main()

"""Examines one file after another, with as much memory as the examiner: `python -m tests.support.examining`.

Each file comes as its length, in eight bytes, and its content; each answer is a line of JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import traceback
from typing import Any

from rdchat.files.examination import MEMORY_BYTES, examine
from rdchat.files.kinds import UnacceptableError


def examined(content: bytes) -> dict[str, Any]:
    try:
        finding = examine(content)
    except UnacceptableError as error:
        return {"refused": str(error), "found": error.found}
    except BaseException:  # noqa: BLE001 - this is what is looked for
        return {"crashed": traceback.format_exc()}
    kept = content if finding.rewritten is None else finding.rewritten
    return {"kind": finding.kind.content_type, "kept": kept.hex(), "duration": finding.duration_ms}


def main() -> None:
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    while head := sys.stdin.buffer.read(8):
        answer = examined(sys.stdin.buffer.read(int.from_bytes(head, "big")))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

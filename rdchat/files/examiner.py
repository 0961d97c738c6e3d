"""Has files examined, a few at a time, without holding up the timers."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson
import structlog

from rdchat.common.errors import UnavailableError, invalid
from rdchat.files import examination
from rdchat.files.kinds import KINDS
from rdchat.files.names import claim, clean_file_name

if TYPE_CHECKING:
    from rdchat.files.virus_scanner import VirusScanner

log = structlog.get_logger(__name__)

_ROOT: Final = Path(__file__).parents[2]
_PATIENCE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it came. The name is its sender's, and may be anything."""

    name: str | None
    content: bytes


@dataclass(frozen=True, slots=True)
class Examined:
    """A file as it is to be kept. Images have a width and a height in pixels, recordings a duration."""

    file_name: str
    content_type: str
    content: bytes
    width: int | None
    height: int | None
    duration_ms: int | None


class Examiner:
    """Examines up to `at_once` files at a time; a large picture takes some hundred MB meanwhile.

    `largest` bounds what is kept, in bytes: a picture may grow when it is re-encoded. `scanner`, if there
    is one, is asked first.
    """

    def __init__(self, *, largest: int, at_once: int = 2, scanner: VirusScanner | None = None) -> None:
        self._largest = largest
        self._scanner = scanner
        self._slots = asyncio.Semaphore(at_once)

    async def examine(self, upload: Upload) -> Examined:
        """Find out what a file is, and return it as it is to be kept.

        Raise RdchatError: VALIDATION_FAILED for what cannot be sent, UNAVAILABLE when it takes too long or
        the scanner is away.
        """
        if not upload.content:
            raise invalid("file", "The file is empty.")
        async with self._slots:
            if self._scanner is not None:
                await self._scanner.scan(upload.content)
            returned, answer = await _ask(upload.content)
        head, _, rewritten = answer.partition(b"\n")
        if returned != 0 or not head:
            # Its limits or a faulty decoder ended it.
            log.warning("a file could not be examined", size=len(upload.content), returned=returned)
            is_slow = returned == -signal.SIGXCPU
            raise invalid(
                "file", "This file takes too long to open." if is_slow else "This file cannot be read."
            )
        found = orjson.loads(head)
        if "fault" in found:
            raise invalid("file", _sentence(found["fault"], found["found"], upload.name))
        if len(rewritten) > self._largest:
            raise invalid("file", "The image is too large without the compression it came with.")
        kind = KINDS[found["contentType"]]
        return Examined(
            file_name=clean_file_name(upload.name, kind),
            content_type=kind.content_type,
            content=rewritten or upload.content,
            width=found["width"],
            height=found["height"],
            duration_ms=found["durationMs"],
        )


def _sentence(why: str, found: str | None, name: str | None) -> str:
    if found is None:
        return why
    claimed = claim(name)
    # An image of a kind that cannot be sent is an image.
    if claimed is None or claimed.split()[-1] in found:
        return f"This is {found}. {why}"
    return f"Its name says that it is {claimed}, but it is {found}. {why}"


async def _ask(content: bytes) -> tuple[int, bytes]:
    # Without the environment, which holds the service's secrets.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", examination.__name__, cwd=_ROOT, env={}, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            answer, _ = await process.communicate(content)
    except TimeoutError as error:
        raise UnavailableError("examination of files") from error
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode or 0, answer

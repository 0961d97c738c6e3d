"""A scanner for viruses beside the service: clamd, by its own protocol (INSTREAM).

It is asked about every file before anything else looks into it. While it does not answer, none is accepted.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

from rdchat.common.errors import UnavailableError, invalid

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

log = structlog.get_logger(__name__)

_CONNECT_SECONDS: Final = 5.0
#: The largest files take clamd some seconds; it gives up by itself after two minutes.
_ANSWER_SECONDS: Final = 60.0
_CHUNK_BYTES: Final = 64 * 1024
_LONGEST_ANSWER: Final = 4096
_CLEAN: Final = "stream: OK"
_FOUND: Final = re.compile(r"stream: (.+) FOUND")
_TOO_LARGE: Final = "size limit exceeded"
#: What is shown of a name that a database of signatures gives.
_LONGEST_NAME: Final = 80


class VirusScanner:
    """One clamd, at `host:port` or at the path of a socket."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def scan(self, content: bytes) -> None:
        """Return if nothing is found in a file.

        Raise RdchatError: VALIDATION_FAILED for an infected file, and for one that is too large for it;
        UNAVAILABLE while it does not answer as it should.
        """
        try:
            answer = await self._ask(content)
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError) as error:
            log.warning("the virus scanner does not answer; files are refused", why=repr(error))
            raise UnavailableError("virus scanner") from error
        if answer == _CLEAN:
            return
        found = _FOUND.fullmatch(answer)
        if found is not None:
            name = "".join(filter(str.isprintable, found[1]))[:_LONGEST_NAME]
            log.warning("a virus was found in a file", found=name, size=len(content))
            raise invalid("file", f"A virus scanner has found something in this file: {name}.")
        if _TOO_LARGE in answer:
            # An operator has to let it take as much as the service does.
            log.error(
                "the virus scanner refuses a file for its size: raise its StreamMaxLength", size=len(content)
            )
            raise invalid("file", "This file is too large for the virus scanner.")
        log.error("the virus scanner cannot scan; files are refused", answer=answer[:_LONGEST_ANSWER])
        raise UnavailableError("virus scanner")

    async def _ask(self, content: bytes) -> str:
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await self._connect()
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                # It may answer and hang up before it has read everything; then its answer is what counts.
                sending = asyncio.ensure_future(_send(writer, content))
                try:
                    answer = await reader.readuntil(b"\0")
                finally:
                    sending.cancel()
                    with suppress(asyncio.CancelledError, OSError):
                        await sending
        finally:
            writer.transport.abort()
        return answer[:-1].decode("utf-8", "replace").strip()

    async def _connect(self) -> tuple[StreamReader, StreamWriter]:
        if self._address.startswith("/"):
            return await asyncio.open_unix_connection(self._address, limit=_LONGEST_ANSWER)
        host, _, port = self._address.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port), limit=_LONGEST_ANSWER)


async def _send(writer: StreamWriter, content: bytes) -> None:
    writer.write(b"zINSTREAM\0")
    for start in range(0, len(content), _CHUNK_BYTES):
        chunk = content[start : start + _CHUNK_BYTES]
        writer.write(len(chunk).to_bytes(4, "big") + chunk)
        await writer.drain()
    writer.write(bytes(4))
    await writer.drain()

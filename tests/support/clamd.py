"""A virus scanner for tests: ClamAV's own, where it is installed, and one that plays its protocol."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

#: What every scanner takes for a virus, and what is none: the test file of EICAR, in two pieces.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
#: How much both take of one file.
MOST_BYTES = 2 * 1024 * 1024


def find_clamd() -> str | None:
    """Find the program."""
    return shutil.which("clamd") or shutil.which("clamd", path="/usr/sbin:/usr/local/sbin")


@asynccontextmanager
async def real_clamd(program: str, folder: Path) -> AsyncIterator[str]:
    """Run ClamAV's with one signature. Give where it listens."""
    socket = _configure(folder)
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        program, "-c", str(folder / "conf"), stdout=quiet, stderr=quiet
    )
    try:
        await until(socket.exists, 30)
        yield str(socket)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _configure(folder: Path) -> Path:
    folder.mkdir()
    signature = f"{hashlib.md5(EICAR).hexdigest()}:{len(EICAR)}:Eicar"  # noqa: S324 - the form of signatures
    (folder / "test.hdb").write_text(f"{signature}\n", encoding="ascii")
    socket = folder / "socket"
    lines = [
        *("Foreground yes", "OfficialDatabaseOnly no", "StreamMaxLength 2M"),
        *(f"LocalSocket {socket}", f"DatabaseDirectory {folder}", f"TemporaryDirectory {folder}"),
    ]
    (folder / "conf").write_text("\n".join([*lines, ""]), encoding="ascii")
    return socket


@asynccontextmanager
async def played_clamd(*, answer: bytes | None = None, hangs: bool = False) -> AsyncIterator[str]:
    """Play its protocol. `answer`: whatever is sent, it says that, nothing if empty; or it `hangs`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            writer.write(await _answer(reader) if answer is None and not hangs else answer or b"")
            if hangs:
                await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    if await reader.readuntil(b"\0") != b"zINSTREAM\0":
        return b"UNKNOWN COMMAND\0"
    content = b""
    while size := int.from_bytes(await reader.readexactly(4), "big"):
        content += await reader.readexactly(size)
        if len(content) > MOST_BYTES:
            return b"INSTREAM size limit exceeded. ERROR\0"
    return b"stream: Eicar FOUND\0" if content == EICAR else b"stream: OK\0"

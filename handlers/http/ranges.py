"""Parts of what is sent (RFC 9110, 14): players ask for a recording's end before they play its beginning.

One range is served. A request for several is answered with the whole, as the RFC allows.
"""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from aiohttp import web

from rdchat.common.errors import ErrorCode, RdchatError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.web_request import BaseRequest

_ONE: Final = re.compile(r"bytes=[ \t]*(\d{0,19})-(\d{0,19})[ \t]*", re.IGNORECASE | re.ASCII)


class StreamedFile(web.StreamResponse):
    """An answer that is read while it is sent: what its reader does not take is not read yet either."""

    def __init__(
        self, pieces: AsyncGenerator[bytes, None], first: bytes, *, status: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(status=status, headers=headers)
        self._pieces = pieces
        self._first = first
        self._bodiless = False

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Send the head."""
        self._bodiless = request.method == "HEAD"
        return await super().prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the body, if one is asked for."""
        async with aclosing(self._pieces):
            if not self._bodiless:
                await self.write(self._first)
                async for piece in self._pieces:
                    await self.write(piece)
        await super().write_eof(data)


async def respond(
    size: int,
    read: Callable[[int, int], AsyncGenerator[bytes, None]],
    tag: str,
    asked: Mapping[str, str],
    headers: Mapping[str, str],
) -> web.StreamResponse:
    """Answer with a file of `size` bytes, or with the part of it that the headers of a request ask for.

    `read` reads from one place to before another. `tag` is what these very bytes are known by. Raise
    RdchatError: RANGE_NOT_SATISFIABLE, and what `read` raises.
    """
    given = {**headers, "Accept-Ranges": "bytes", "ETag": f'"{tag}"'}
    part, status = None, 206
    # A caller that has a part of something else must not be given another part of this.
    if asked.get("If-Range", given["ETag"]) == given["ETag"]:
        part = _part(asked.get("Range", ""), size)
    if part is None:
        part, status = range(size), 200
    else:
        given["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    given["Content-Length"] = str(len(part))
    pieces = read(part.start, part.stop)
    # What cannot be read is told as such, instead of an answer that breaks off.
    first = await anext(pieces, b"")
    return StreamedFile(pieces, first, status=status, headers=given)


def _part(asked: str, size: int) -> range | None:
    """Return the range that a header asks for; None for everything, also where it is not understood."""
    found = _ONE.fullmatch(asked)
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        # The last so many.
        part = range(max(0, size - int(last)), size)
    elif last and int(last) < int(first):
        return None
    else:
        part = range(int(first), min(size, int(last) + 1) if last else size)
    if not part:
        raise RdchatError(ErrorCode.RANGE_NOT_SATISFIABLE, headers={"Content-Range": f"bytes */{size}"})
    return part

"""Parts of what is sent (RFC 9110, 14): players ask for a recording's end before they play its beginning.

One range is served. A request for several is answered with the whole, as the RFC allows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from aiohttp import web

from rdchat.common.errors import ErrorCode, RdchatError

if TYPE_CHECKING:
    from collections.abc import Mapping

_ONE: Final = re.compile(r"bytes=[ \t]*(\d{0,19})-(\d{0,19})[ \t]*", re.IGNORECASE | re.ASCII)


def respond(content: bytes, tag: str, asked: Mapping[str, str], headers: Mapping[str, str]) -> web.Response:
    """Answer with a file, or with the part of it that the headers of a request ask for.

    `tag` is what these very bytes are known by. Raise RdchatError: RANGE_NOT_SATISFIABLE.
    """
    given = {**headers, "Accept-Ranges": "bytes", "ETag": f'"{tag}"'}
    part = None
    # A caller that has a part of something else must not be given another part of this.
    if asked.get("If-Range", given["ETag"]) == given["ETag"]:
        part = _part(asked.get("Range", ""), len(content))
    if part is None:
        return web.Response(body=content, headers=given)
    given["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(content)}"
    return web.Response(status=206, body=content[part.start : part.stop], headers=given)


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

"""Answers as bytes, for where no response of aiohttp's is made."""

from __future__ import annotations

import asyncio
import zlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp.helpers import rfc822_formatted_time
from multidict import CIMultiDict

from handlers.http.compression import SMALLEST, negotiate_gzip
from handlers.http.json_answers import BODILESS, ID_HEADER, JSON_HEADERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handlers.http.edge_headers import EdgeHeaders
    from handlers.http.json_answers import JsonAnswer

#: Heads that are kept, by status and origin. Few origins are allowed, but for the ports of one's own machine.
_KEPT: Final = 256
#: What an answer may only say once, so that a head that has it is written with care.
_ONCE: Final = frozenset({*JSON_HEADERS, "Vary", "Content-Encoding"})
_GZIP: Final = 16 + zlib.MAX_WBITS
#: Up to that, compressing takes less than going to a thread and back costs others.
_PACKED_AT_ONCE: Final = 16 * 1024


class Writer:
    """Writes answers whole. What every answer bears is put together once by status and origin."""

    def __init__(self, edge: EdgeHeaders) -> None:
        self._edge = edge
        self._heads: dict[tuple[int, str | None], str] = {}

    def is_plain(self, answer: JsonAnswer) -> bool:
        """Whether an answer is small and says nothing that the usual head says otherwise."""
        own = answer.headers
        return (
            len(answer.body) <= SMALLEST
            and answer.status not in BODILESS
            and (own is None or _ONCE.isdisjoint(own))
        )

    def write_plain(self, answer: JsonAnswer, request_id: str, origin: str | None) -> bytes:
        """Return the bytes of a plain answer to a page of `origin`, or to none."""
        body = answer.body
        own = answer.headers
        head = self._heads.get((answer.status, origin)) or self._head(answer.status, origin)
        more = ""
        if own:
            more = "".join([f"{name}: {text}\r\n" for name, text in own.items() if name != ID_HEADER])
        more += f"Content-Length: {len(body)}\r\nDate: {rfc822_formatted_time()}"
        return f"{head}{request_id}\r\n{more}\r\n\r\n".encode() + body

    def _head(self, status: int, origin: str | None) -> str:
        if origin is not None and not self._edge.cross_origin.allows(origin):
            # As without any: strangers do not fill what is kept by inventing some.
            return self._heads.get((status, None)) or self._head(status, None)
        headers = JSON_HEADERS.copy()
        self._edge.complete(headers, origin)
        head = f"{head_lines(status, headers)}{ID_HEADER}: "
        if len(self._heads) < _KEPT:
            self._heads[status, origin] = head
        return head

    async def write(self, answer: JsonAnswer, request_id: str, asked: Mapping[str, str]) -> bytes:
        """Return the bytes of any answer; `asked` are the headers of its request."""
        body = answer.body
        headers = CIMultiDict[str]() if answer.status in BODILESS else JSON_HEADERS.copy()
        headers.update(answer.headers or {})
        headers[ID_HEADER] = request_id
        if negotiate_gzip(headers, len(body), asked):
            headers["Content-Encoding"] = "gzip"
            if len(body) <= _PACKED_AT_ONCE:
                body = _packed(body)
            else:
                body = await asyncio.get_running_loop().run_in_executor(None, _packed, body)
        self._edge.complete(headers, asked.get("Origin"))
        if answer.status not in BODILESS:
            headers["Content-Length"] = str(len(body))
        headers["Date"] = rfc822_formatted_time()
        return f"{head_lines(answer.status, headers)}\r\n".encode() + body


def _packed(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=_GZIP)
    return packer.compress(body) + packer.flush()


def head_lines(status: int, headers: Mapping[str, str]) -> str:
    """Write the head of an answer, without the empty line that ends it."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"]
    lines += [f"{name}: {text}\r\n" for name, text in headers.items()]
    return "".join(lines)

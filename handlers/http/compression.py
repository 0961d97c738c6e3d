"""Compression of answers, for those who ask for it. Only gzip: every client knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.web_request import BaseRequest
    from multidict import CIMultiDict

#: Up to that a packet is a packet.
SMALLEST: Final = 1024
#: What becomes smaller; pictures and documents are compressed already.
_WORTH_IT: Final = ("application/json", "text/", "image/svg+xml")


def offer_gzip(request: BaseRequest, answer: web.StreamResponse) -> None:
    """Have an answer of more than 1 KiB compressed where the request accepts that."""
    if not isinstance(answer, web.Response):
        return
    body = answer.body
    if body is None:
        return
    # Of what is made as it is sent, the size is not known.
    size = len(body) if isinstance(body, bytes) else None
    headers = answer.headers
    if not negotiate_gzip(headers, size, request.headers):
        return
    if request.method == "HEAD" and size is None:
        # aiohttp would send the end of a compressed stream, behind an answer that has no body.
        headers["Content-Encoding"] = "gzip"
    else:
        answer.enable_compression(web.ContentCoding.gzip)


def negotiate_gzip(headers: CIMultiDict[str], size: int | None, asked: Mapping[str, str]) -> bool:
    """Decide whether an answer is compressed, and mark it as one that might be.

    `headers` are the answer's, `asked` the request's.
    """
    if size is not None and size <= SMALLEST:
        return False
    # A tag names these very bytes. What has one must not leave in two forms under it.
    if not headers.get("Content-Type", "").startswith(_WORTH_IT) or "ETag" in headers:
        return False
    headers["Vary"] = f"{headers['Vary']}, Accept-Encoding" if "Vary" in headers else "Accept-Encoding"
    return accepts_gzip(asked.get("Accept-Encoding", ""))


def accepts_gzip(accepted: str) -> bool:
    """Read `Accept-Encoding` (RFC 9110, 12.5.3): whether gzip may be sent."""
    weights = {}
    for entry in accepted.lower().split(","):
        coding, _, parameters = entry.partition(";")
        name, _, weight = parameters.strip().partition("=")
        try:
            weights[coding.strip()] = float(weight) if name.strip() == "q" else 1.0
        except ValueError:
            weights[coding.strip()] = 0.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0

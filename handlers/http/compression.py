"""Compression of answers, for those who ask for it. Only gzip: every client knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest

#: Below that a packet is a packet.
_SMALLEST: Final = 1024
#: What becomes smaller; pictures and documents are compressed already.
_WORTH_IT: Final = ("application/json", "text/", "image/svg+xml")


def offer_gzip(request: BaseRequest, answer: web.StreamResponse) -> None:
    """Have an answer of more than 1 KiB compressed where the request accepts that."""
    if not isinstance(answer, web.Response):
        return
    body = answer.body
    if body is None or (isinstance(body, bytes) and len(body) <= _SMALLEST):
        return
    headers = answer.headers
    # A tag names these very bytes. What has one must not leave in two forms under it.
    if not headers.get("Content-Type", "").startswith(_WORTH_IT) or "ETag" in headers:
        return
    headers["Vary"] = f"{headers['Vary']}, Accept-Encoding" if "Vary" in headers else "Accept-Encoding"
    if not accepts_gzip(request.headers.get("Accept-Encoding", "")):
        return
    if request.method == "HEAD" and not isinstance(body, bytes):
        # aiohttp would send the end of a compressed stream, behind an answer that has no body.
        headers["Content-Encoding"] = "gzip"
    else:
        answer.enable_compression(web.ContentCoding.gzip)


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
